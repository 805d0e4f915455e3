-- schema
CREATE TABLE post (id int PRIMARY KEY, title text, at timestamp NOT NULL);
INSERT INTO post SELECT n, repeat('x', 60), now() FROM generate_series(1, 20000) n;
CREATE TABLE colour (id int PRIMARY KEY);
INSERT INTO colour VALUES (1);
-- statements
SELECT id, title FROM post ORDER BY at DESC, id DESC LIMIT 20 OFFSET 10000;
SELECT id FROM (SELECT id FROM post ORDER BY id LIMIT 20 OFFSET 5000) p;
-- silent from here on
SELECT title FROM post ORDER BY at LIMIT 20 OFFSET 40;
SELECT title FROM post ORDER BY id LIMIT 20 OFFSET $1;
SELECT id FROM colour ORDER BY id LIMIT 20 OFFSET 10000;
SELECT title FROM post ORDER BY id LIMIT 10000;
-- expect
statement 1
statement 2
verdict: 10,000 rows are read and thrown away by OFFSET
