-- schema
CREATE TABLE quote (id int PRIMARY KEY, body text);
INSERT INTO quote SELECT n, repeat('x', 200) FROM generate_series(1, 20000) n;
CREATE TABLE colour (id int PRIMARY KEY);
INSERT INTO colour SELECT generate_series(1, 7);
-- statements
SELECT id, body FROM quote ORDER BY random() LIMIT 3;
SELECT id FROM colour ORDER BY random() LIMIT 1;
SELECT id FROM quote ORDER BY id LIMIT 3;
SELECT id FROM quote ORDER BY random();
-- expect
statement 1
verdict: all of quote is sorted by random() to take a few rows
