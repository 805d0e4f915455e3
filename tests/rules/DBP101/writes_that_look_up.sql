-- schema
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, city text, note text, created_at timestamptz NOT NULL);
INSERT INTO orders SELECT i, i % 5000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, 'city ' || i % 30, repeat('x', 60),
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 60000) i;
CREATE TABLE items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders, sku text);
INSERT INTO items SELECT i, i % 60000 + 1, 'sku ' || i % 9000 FROM generate_series(1, 120000) i;
-- statements
UPDATE orders SET note = 'z' FROM items WHERE items.order_id = orders.id AND items.sku = $1;
DELETE FROM items USING orders WHERE orders.id = items.order_id AND orders.user_id = 4;
MERGE INTO orders o USING items i ON o.id = i.order_id AND i.sku = 'sku 8' WHEN MATCHED THEN UPDATE SET note = 'm';
SELECT * FROM orders WHERE user_id = 4 FOR UPDATE SKIP LOCKED;
-- expect
public.items(sku)
public.orders(user_id)
public.items(order_id)
