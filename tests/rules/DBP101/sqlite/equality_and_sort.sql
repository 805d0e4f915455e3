-- schema
CREATE TABLE orders (id INTEGER PRIMARY KEY, owner INT NOT NULL, state INT NOT NULL, at INT NOT NULL, pad TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO orders SELECT i, i % 3000, i % 40, (i * 7919) % 20000, printf('pad %060d', i % 1000) FROM n;
-- statements
SELECT * FROM orders WHERE state = 7 ORDER BY at DESC LIMIT 10;
-- expect
orders(state,at)
