-- schema
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, city text, note text, created_at timestamptz NOT NULL);
INSERT INTO orders SELECT i, i % 5000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, 'city ' || i % 30, repeat('x', 60),
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 60000) i;
CREATE INDEX ON orders (created_at);
-- statements
SELECT * FROM orders ORDER BY created_at DESC LIMIT 5;
SELECT * FROM orders ORDER BY created_at DESC NULLS LAST LIMIT 5;
-- expect
public.orders(created_at DESC NULLS LAST)
verdict: fine: uses orders_created_at_idx
