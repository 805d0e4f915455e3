-- schema
CREATE TABLE orders (id INTEGER PRIMARY KEY, owner INT NOT NULL, state INT NOT NULL, at INT NOT NULL, pad TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO orders SELECT i, i % 3000, i % 40, (i * 7919) % 20000, printf('pad %060d', i % 1000) FROM n;
CREATE INDEX ix_both ON orders (owner, at);
CREATE UNIQUE INDEX ix_one ON orders (id, state);
CREATE INDEX ix_lower ON orders (lower(pad));
-- statements
SELECT * FROM orders WHERE owner = 7;
SELECT * FROM orders WHERE owner = 7 ORDER BY at DESC;
SELECT * FROM orders WHERE owner = 7 AND at > 500 AND state = 3;
SELECT * FROM orders WHERE id = 7;
SELECT * FROM orders WHERE rowid = 7;
SELECT * FROM orders WHERE id = 7 AND owner = 3;
SELECT * FROM orders WHERE lower(pad) = 'x';
SELECT * FROM orders WHERE rowid > 19990 AND owner > 2;
-- expect
verdict: fine: uses ix_both
verdict: fine: uses INTEGER PRIMARY KEY
verdict: fine: uses ix_lower
