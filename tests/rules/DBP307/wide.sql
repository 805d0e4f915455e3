-- schema
CREATE TABLE page (id int PRIMARY KEY, title text, body text, site_id int);
INSERT INTO page SELECT n, 'Title', (SELECT string_agg(md5(n::text || i::text), '') FROM generate_series(1, 30) i), n / 10
FROM generate_series(1, 5000) n;
CREATE TABLE narrow (id int PRIMARY KEY, name text, page_id int);
INSERT INTO narrow SELECT n, repeat('x', 40), n FROM generate_series(1, 20000) n;
CREATE TABLE setting (id int PRIMARY KEY, body text);
INSERT INTO setting SELECT 1, repeat('x', 900);
-- statements
SELECT * FROM page WHERE site_id = 5;
SELECT n.id, p.* FROM narrow n JOIN page p ON p.id = n.page_id;
-- silent from here on
SELECT id, title, body, site_id FROM page WHERE site_id = 6;
SELECT * FROM page WHERE id = 5;
SELECT * FROM page ORDER BY id LIMIT 1;
SELECT * FROM narrow;
SELECT * FROM setting;
SELECT n.*, p.title FROM narrow n JOIN page p ON p.id = n.page_id;
SELECT title FROM (SELECT * FROM page) p;
SELECT id FROM narrow WHERE EXISTS (SELECT * FROM page p WHERE p.id = page_id);
SELECT count(*) FROM page;
-- expect
statement 1
statement 2
verdict: SELECT * takes all 4 columns of page
