-- schema
CREATE TABLE quote (id int PRIMARY KEY, body text);
INSERT INTO quote SELECT n, repeat('x', 200) FROM generate_series(1, 20000) n;
CREATE TABLE colour (id int PRIMARY KEY);
INSERT INTO colour SELECT generate_series(1, 7);
CREATE VIEW long_quote AS SELECT * FROM quote WHERE length(body) > 100;
CREATE VIEW quote_of_the_day AS SELECT id FROM long_quote;
CREATE VIEW shade AS SELECT * FROM colour;
-- statements
SELECT id FROM quote_of_the_day ORDER BY random() LIMIT 1;
SELECT id FROM shade ORDER BY random() LIMIT 1;
-- expect
statement 1
