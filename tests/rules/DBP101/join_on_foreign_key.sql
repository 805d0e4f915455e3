-- schema
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, city text, note text, created_at timestamptz NOT NULL);
INSERT INTO orders SELECT i, i % 5000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, 'city ' || i % 30, repeat('x', 60),
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 60000) i;
CREATE TABLE items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders, price numeric NOT NULL);
INSERT INTO items SELECT i, i % 60000 + 1, i FROM generate_series(1, 120000) i;
-- statements
SELECT o.id, i.price FROM orders o JOIN items i ON i.order_id = o.id WHERE o.id = 4711;
-- expect
public.items(order_id)
