-- schema
CREATE TABLE orders (id INTEGER PRIMARY KEY, owner INT NOT NULL, state INT NOT NULL, at INT NOT NULL, pad TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO orders SELECT i, i % 3000, i % 40, (i * 7919) % 20000, printf('pad %060d', i % 1000) FROM n;
CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id INT REFERENCES orders, amount INT, pad TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO lines SELECT i, i / 3, i % 100, printf('%060d', i) FROM n;
-- statements
SELECT l.amount FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.id = 77;
SELECT max(at) FROM orders;
-- expect
lines(order_id)
orders(at)
