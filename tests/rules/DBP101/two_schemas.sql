-- schema
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, city text, note text, created_at timestamptz NOT NULL);
INSERT INTO orders SELECT i, i % 5000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, 'city ' || i % 30, repeat('x', 60),
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 60000) i;
CREATE SCHEMA old;
CREATE TABLE old.orders AS SELECT * FROM orders;
-- statements
SELECT * FROM old.orders WHERE user_id = 4;
SELECT * FROM old.orders a JOIN orders b ON b.id = a.id WHERE a.user_id = 9;
-- expect
old.orders(user_id)
