-- schema
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO users VALUES (1, 'one'), (2, 'two'), (3, 'three');
-- statements
SELECT name FROM users LIMIT 2;
SELECT name FROM users ORDER BY id LIMIT 2;
SELECT name FROM users WHERE id = 4 LIMIT 2;
SELECT name FROM users LIMIT 1;
-- expect
statement 1
