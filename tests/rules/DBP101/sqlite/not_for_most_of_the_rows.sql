-- schema
CREATE TABLE orders (id INTEGER PRIMARY KEY, owner INT NOT NULL, state INT NOT NULL, at INT NOT NULL, pad TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO orders SELECT i, i % 3000, i % 40, (i * 7919) % 20000, printf('pad %060d', i % 1000) FROM n;
UPDATE orders SET state = 1 WHERE id % 4;
-- statements
SELECT * FROM orders WHERE state = 1;
SELECT * FROM orders WHERE at > 15000;
SELECT * FROM orders ORDER BY at;
SELECT * FROM orders;
SELECT state, count(*) FROM orders GROUP BY state;
-- expect
verdict: no index helps: best of 1 tried, orders (state): VM steps
verdict: it has no condition, so it reads every row
