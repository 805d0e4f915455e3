-- schema
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, city text, note text, created_at timestamptz NOT NULL);
INSERT INTO orders SELECT i, i % 5000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, 'city ' || i % 30, repeat('x', 60),
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 60000) i;
-- statements
SELECT * FROM orders WHERE (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT 20;
-- expect
public.orders(created_at)
