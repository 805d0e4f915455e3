-- schema
CREATE TABLE buyer (id int PRIMARY KEY, name text, city_id int);
INSERT INTO buyer SELECT n, repeat('x', 40), n % 100 FROM generate_series(1, 10000) n;
CREATE TABLE city (id int PRIMARY KEY, name text);
INSERT INTO city SELECT n, repeat('y', 20) FROM generate_series(0, 20000) n;
CREATE TABLE purchase (id int PRIMARY KEY, buyer_id int REFERENCES buyer, total int);
INSERT INTO purchase SELECT n, n % 10000 + 1, n FROM generate_series(1, 30000) n;
CREATE TABLE profile (buyer_id int UNIQUE REFERENCES buyer, body text);
INSERT INTO profile SELECT n, repeat('z', 20) FROM generate_series(1, 10000) n;
-- statements
SELECT DISTINCT b.id, b.name FROM buyer b JOIN purchase p ON p.buyer_id = b.id WHERE p.total > 100 ORDER BY b.name;
SELECT DISTINCT buyer.id FROM buyer, purchase WHERE purchase.buyer_id = buyer.id AND purchase.total > 5;
-- silent from here on
SELECT DISTINCT b.id, p.total FROM buyer b JOIN purchase p ON p.buyer_id = b.id;
SELECT DISTINCT b.name FROM buyer b JOIN purchase p ON p.buyer_id = b.id;
SELECT DISTINCT b.id, b.name FROM buyer b JOIN profile f ON f.buyer_id = b.id;
SELECT DISTINCT b.id FROM buyer b JOIN city c ON c.id = b.city_id WHERE c.name = 'x';
SELECT DISTINCT b.id FROM buyer b LEFT JOIN purchase p ON p.buyer_id = b.id;
SELECT DISTINCT ON (b.id) b.id, b.name FROM buyer b JOIN purchase p ON p.buyer_id = b.id ORDER BY b.id, p.total;
SELECT DISTINCT id FROM buyer;
SELECT b.id FROM buyer b JOIN purchase p ON p.buyer_id = b.id;
-- expect
statement 1
statement 2
verdict: DISTINCT takes away copies of buyer that the join of purchase makes
