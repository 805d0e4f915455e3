-- schema
CREATE TABLE "Order Line" (Id INTEGER PRIMARY KEY, "ownerId" INT, "Values" INT, pad TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO "Order Line" SELECT i, i % 3000, i % 5000, printf('%060d', i) FROM n;
-- statements
SELECT * FROM main."order line" WHERE OWNERID = 7;
SELECT * FROM [Order Line] AS l WHERE l."VALUES" = 9;
-- expect
Order Line("ownerId")
Order Line("Values")
