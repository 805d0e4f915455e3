-- schema
CREATE TABLE tiny (id INTEGER PRIMARY KEY, owner INT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
INSERT INTO tiny SELECT i, i % 100 FROM n;
-- statements
SELECT * FROM tiny WHERE owner = 7;
-- expect
verdict: no index needed: reads only small tables (tiny)
