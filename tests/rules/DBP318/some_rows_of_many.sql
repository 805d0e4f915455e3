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
SELECT name FROM users LIMIT 20;
SELECT name FROM users WHERE city = 'city 1' LIMIT 20 OFFSET 40;
SELECT name FROM users LIMIT 1 OFFSET 3;
SELECT name FROM shops LIMIT 5;
SELECT city, count(*) FROM users GROUP BY city LIMIT 10;
SELECT u.name FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 4 LIMIT 10;
SELECT * FROM (SELECT total FROM orders LIMIT 50) some ORDER BY total;
SELECT id FROM users LIMIT $1 OFFSET $2;
SELECT name FROM users ORDER BY id LIMIT 20;
SELECT name FROM users LIMIT 1;
SELECT name FROM users WHERE city = 'city 2' LIMIT 1;
SELECT name FROM users LIMIT 0;
SELECT name FROM users;
SELECT name FROM users WHERE id = 4 LIMIT 2;
SELECT name FROM users WHERE email = $1 LIMIT 2;
SELECT count(*) FROM users LIMIT 10;
SELECT city FROM users LIMIT $1;
SELECT id FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id LIMIT 5);
SELECT id FROM users u WHERE id IN (SELECT user_id FROM orders LIMIT 100);
DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE status = 'done' LIMIT 1000);
SELECT id FROM orders WHERE status = 'open' LIMIT 10 FOR UPDATE SKIP LOCKED;
SELECT id FROM users TABLESAMPLE SYSTEM (1) LIMIT 10;
SELECT n FROM generate_series(1, 100) n LIMIT 10;
SELECT relname FROM pg_catalog.pg_class LIMIT 10;
-- expect
statement 1
statement 2
statement 3
statement 4
statement 5
statement 6
statement 7
statement 8
