-- schema
CREATE TABLE buyer (id int PRIMARY KEY, name text);
INSERT INTO buyer SELECT n, repeat('x', 40) FROM generate_series(1, 10000) n;
CREATE TABLE purchase (id int PRIMARY KEY, buyer_id int, total int);
INSERT INTO purchase SELECT n, n % 10000 + 1, n FROM generate_series(1, 30000) n;
CREATE TABLE colour (id int PRIMARY KEY, buyer_id int);
INSERT INTO colour VALUES (1, 1);
-- statements
SELECT id FROM buyer b WHERE (SELECT count(*) FROM purchase p WHERE p.buyer_id = b.id) > 0;
SELECT id FROM buyer b WHERE (SELECT count(*) FROM purchase p WHERE p.buyer_id = b.id) = 0;
SELECT b.id FROM buyer b JOIN purchase p ON p.buyer_id = b.id GROUP BY b.id HAVING count(*) > 0;
-- silent from here on
SELECT id FROM buyer b WHERE (SELECT count(*) FROM purchase p WHERE p.buyer_id = b.id) > 5;
SELECT id FROM buyer b WHERE (SELECT count(*) FROM purchase p WHERE p.buyer_id = b.id GROUP BY p.total) > 0;
SELECT id FROM buyer b WHERE (SELECT max(total) FROM purchase p WHERE p.buyer_id = b.id) > 0;
SELECT id FROM buyer b WHERE (SELECT count(*) FROM colour c WHERE c.buyer_id = b.id) > 0;
SELECT id FROM buyer b WHERE (SELECT count(*) - 1 FROM purchase p WHERE p.buyer_id = b.id) > 0;
SELECT id FROM buyer b WHERE (SELECT count(*) FILTER (WHERE total > 5) FROM purchase p WHERE p.buyer_id = b.id) > 0;
SELECT id FROM buyer b WHERE (SELECT count(*) FROM purchase p WHERE p.buyer_id = b.id HAVING count(*) > 5) > 0;
SELECT count(*) FROM buyer;
SELECT count(*) FROM purchase HAVING count(*) > 0;
SELECT id, (SELECT count(*) FROM purchase p WHERE p.buyer_id = b.id) FROM buyer b;
SELECT b.id FROM buyer b LEFT JOIN purchase p ON p.buyer_id = b.id GROUP BY b.id HAVING count(p.id) > 0;
SELECT id FROM buyer b WHERE EXISTS (SELECT 1 FROM purchase p WHERE p.buyer_id = b.id);
-- expect
statement 1
statement 2
statement 3
verdict: rows of purchase are counted to know whether there is one
