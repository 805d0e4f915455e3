-- schema
CREATE TABLE orders (id INTEGER PRIMARY KEY, owner INT NOT NULL, state INT NOT NULL, at INT NOT NULL, pad TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO orders SELECT i, i % 3000, i % 40, (i * 7919) % 20000, printf('pad %060d', i % 1000) FROM n;
-- statements
SELECT * FROM orders WHERE pad || owner = ?;
SELECT * FROM orders WHERE;
SELECT * FROM nowhere;
SELECT f(owner) FROM orders;
PRAGMA journal_mode = WAL;
-- expect
verdict: not explained: its steps cannot be counted, for no values of its parameters are known: record them, too
verdict: not explained: SQLite finds a syntax error
verdict: not explained: no such table: nowhere
verdict: not explained: no such function: f
verdict: not a query: nothing to plan
