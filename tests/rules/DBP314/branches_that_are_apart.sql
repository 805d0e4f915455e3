-- schema
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL UNIQUE, city text, name text);
INSERT INTO users SELECT i, 'mail ' || i, 'city ' || i % 30, repeat('x', 60) FROM generate_series(1, 20000) i;
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users, status text NOT NULL, total numeric, at date NOT NULL);
INSERT INTO orders SELECT i, i % 20000 + 1, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, i, date '2024-01-01' + i % 360
  FROM generate_series(1, 40000) i;
CREATE INDEX ON orders (user_id);
CREATE TABLE shops (id int PRIMARY KEY, user_id int, name text);
INSERT INTO shops SELECT i, i, 'shop ' || i FROM generate_series(1, 9) i;
-- statements
SELECT id, 'user' AS kind FROM users UNION SELECT id, 'order' FROM orders;
SELECT id, name, 1 FROM users UNION SELECT id, status, 2 FROM orders UNION SELECT user_id, status, 3 FROM orders GROUP BY user_id, status;
SELECT id, status FROM orders WHERE status = 'open' UNION SELECT id, status FROM orders WHERE status = 'lost';
SELECT DISTINCT city, 'city' FROM users UNION SELECT DISTINCT status, 'status' FROM orders;
SELECT count(*), 'users' FROM users UNION SELECT count(*), 'orders' FROM orders;
SELECT id, 'user' AS kind FROM users UNION ALL SELECT id, 'order' FROM orders;
SELECT city, 'user' AS kind FROM users UNION SELECT status, 'order' FROM orders;
SELECT id FROM users UNION SELECT user_id FROM orders;
SELECT id, 'one' FROM users UNION SELECT id, 'one' FROM orders;
SELECT id, 'one' FROM users UNION SELECT user_id AS id, 'ONE' FROM shops;
SELECT id, '2024-01-01' FROM users AS u UNION SELECT id, '2024-1-1' FROM orders AS o;
SELECT id, NULL FROM users UNION SELECT id, 'two' FROM orders;
SELECT id, $1 FROM users UNION SELECT id, $2 FROM orders;
SELECT id, 'user' FROM users UNION SELECT id, 'order' FROM orders EXCEPT SELECT id, 'user' FROM shops;
SELECT u.id, 'user' FROM users u JOIN orders o ON o.user_id = u.id UNION SELECT id, 'order' FROM orders;
SELECT DISTINCT ON (city) name, 'user' FROM users UNION SELECT DISTINCT status, 'order' FROM orders;
SELECT id, 'a' FROM shops UNION SELECT id, 'b' FROM shops WHERE id > 4;
WITH RECURSIVE up AS (SELECT id, 'root' AS kind FROM users WHERE id = 4 UNION SELECT o.id, 'child' FROM orders o JOIN up ON up.id = o.user_id) SELECT * FROM up;
SELECT id, 0 FROM users UNION SELECT user_id, -0 FROM orders;
-- expect
statement 1
statement 2
statement 3
statement 4
statement 5
