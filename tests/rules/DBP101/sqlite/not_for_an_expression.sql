-- schema
CREATE TABLE orders (id INTEGER PRIMARY KEY, owner INT NOT NULL, state INT NOT NULL, at INT NOT NULL, pad TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO orders SELECT i, i % 3000, i % 40, (i * 7919) % 20000, printf('pad %060d', i % 1000) FROM n;
-- statements
SELECT * FROM orders WHERE lower(pad) = 'x';
SELECT * FROM orders WHERE pad = 'x' COLLATE NOCASE AND owner + 0 = 7;
SELECT * FROM orders WHERE pad COLLATE NOCASE = 'x';
SELECT * FROM orders WHERE pad LIKE '%77';
SELECT * FROM orders WHERE +owner = 7;
-- expect
verdict: function on the column in
verdict: collation on the column in
verdict: leading wildcard in
