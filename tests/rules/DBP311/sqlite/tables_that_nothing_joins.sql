-- schema
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  INSERT INTO users SELECT i, 'a name that is rather long, so that the table is large ' || i FROM n;
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id), note TEXT);
INSERT INTO orders SELECT id, id, name FROM users;
CREATE TABLE shops (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO shops VALUES (1, 'one'), (2, 'two');
-- statements
SELECT users.name, orders.note FROM users, orders;
SELECT users.name, orders.note FROM users, orders WHERE orders.user_id = users.id;
SELECT users.name, orders.note FROM users, orders WHERE users.id = 4;
SELECT users.name, shops.name FROM users, shops;
-- expect
statement 1
