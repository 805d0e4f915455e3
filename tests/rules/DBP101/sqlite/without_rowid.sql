-- schema
CREATE TABLE facts (a INT, b INT, c TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO facts SELECT i, i % 3000, printf('%060d', i) FROM n;
-- statements
SELECT * FROM facts WHERE a = 5;
SELECT * FROM facts WHERE b = 5;
-- expect
facts(b)
verdict: fine: uses PRIMARY KEY
