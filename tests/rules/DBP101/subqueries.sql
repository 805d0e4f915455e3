-- schema
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, city text, note text, created_at timestamptz NOT NULL);
INSERT INTO orders SELECT i, i % 5000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, 'city ' || i % 30, repeat('x', 60),
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 60000) i;
CREATE TABLE items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders, sku text, pad text);
INSERT INTO items SELECT i, i % 60000 + 1, 'sku ' || i % 9000, 'x' FROM generate_series(1, 120000) i;
-- statements
SELECT * FROM orders WHERE id IN (SELECT order_id FROM items WHERE sku = 'sku 7' AND pad IS NOT NULL);
SELECT * FROM orders o WHERE o.id < 50 AND NOT EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id);
WITH mine AS (SELECT * FROM orders WHERE user_id = 7) SELECT count(*) FROM mine;
-- expect
public.items(sku)
public.items(order_id)
public.orders(user_id)
