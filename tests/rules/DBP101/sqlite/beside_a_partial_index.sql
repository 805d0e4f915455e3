-- schema
CREATE TABLE orders (id INTEGER PRIMARY KEY, owner INT NOT NULL, state INT NOT NULL, at INT NOT NULL, pad TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO orders SELECT i, i % 3000, i % 40, (i * 7919) % 20000, printf('pad %060d', i % 1000) FROM n;
CREATE INDEX ix_open ON orders (owner) WHERE state = 3;
-- statements
SELECT * FROM orders WHERE owner = 7;
SELECT * FROM orders WHERE owner = 7 AND state = 3;
-- expect
orders(owner)
verdict: missing index on (owner) (ix_open holds only rows WHERE state = 3)
verdict: fine: uses ix_open
