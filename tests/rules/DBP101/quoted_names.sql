-- schema
CREATE TABLE "Order" (id int PRIMARY KEY, "user Id" int, pad text);
INSERT INTO "Order" SELECT i, i % 5000, repeat('x', 60) FROM generate_series(1, 60000) i;
-- statements
SELECT * FROM "Order" WHERE "user Id" = 42;
-- expect
public.Order("user Id")
