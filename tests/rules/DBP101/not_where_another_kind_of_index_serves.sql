-- schema
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, city text, note text, created_at timestamptz NOT NULL);
INSERT INTO orders SELECT i, i % 5000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, 'city ' || i % 30, repeat('x', 60),
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 60000) i;
CREATE INDEX part ON orders (user_id) WHERE status = 'open';
CREATE INDEX lower ON orders (lower(city));
CREATE INDEX hash ON orders USING hash (created_at);
CREATE INDEX wide ON orders (note) INCLUDE (city);
CREATE UNIQUE INDEX down ON orders (city, id DESC);
-- statements
SELECT * FROM orders WHERE user_id = 400 AND status = 'open';
SELECT * FROM orders WHERE lower(city) = 'no';
SELECT * FROM orders WHERE created_at = '2024-01-02';
SELECT * FROM orders WHERE note = 'no';
SELECT * FROM orders WHERE city = 'no' ORDER BY id;
-- expect
verdict: fine: uses part
verdict: fine: uses lower
verdict: fine: uses hash
verdict: fine: uses wide
verdict: fine: uses down
