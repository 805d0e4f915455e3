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
DELETE FROM orders;
UPDATE users SET city = NULL;
UPDATE orders SET total = (SELECT max(p.total) FROM orders p WHERE p.user_id = orders.user_id);
DELETE FROM public.orders AS o RETURNING o.id;
DELETE FROM orders WHERE status = 'lost';
DELETE FROM orders WHERE false;
DELETE FROM shops;
UPDATE shops SET name = 'x';
DELETE FROM orders USING users WHERE users.id = orders.user_id;
UPDATE orders SET status = 'done' FROM users WHERE users.id = orders.user_id AND users.city IS NULL;
DELETE FROM pg_temp.scratch;
DELETE FROM seen;
TRUNCATE orders;
UPDATE users SET name = 'where' WHERE id = 7;
WITH old AS (SELECT id FROM orders WHERE status = 'open') DELETE FROM shops USING old WHERE old.id = shops.id;
INSERT INTO shops (id) SELECT id FROM orders;
-- expect
statement 1
statement 2
statement 3
statement 4
