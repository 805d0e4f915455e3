-- schema
CREATE TABLE item (
    id int PRIMARY KEY, code char(10), name varchar(40), price numeric(10, 2), weight real, day date, at timestamptz,
    big bigint, unindexed int
);
INSERT INTO item
SELECT n, 'c' || n, 'n' || n, n, n, date '2024-01-01' + n % 300, now(), n, n FROM generate_series(1, 20000) n;
CREATE INDEX ON item (code);
CREATE INDEX ON item (name);
CREATE INDEX ON item (price);
CREATE INDEX ON item (weight);
CREATE INDEX ON item (day);
CREATE INDEX ON item (at);
CREATE INDEX ON item (big);
CREATE TABLE colour (id int PRIMARY KEY);
INSERT INTO colour VALUES (1);
-- statements
SELECT name FROM item WHERE id = 5.0;
SELECT name FROM item WHERE big = CAST('5' AS numeric);
SELECT id FROM item WHERE price = CAST('5' AS double precision);
SELECT id FROM item WHERE code = CAST('c5' AS text);
-- silent from here on
SELECT name FROM item WHERE id = CAST('5' AS bigint);
SELECT id FROM item WHERE big = CAST('5' AS int);
SELECT id FROM item WHERE price = 5;
SELECT id FROM item WHERE weight = 5.5;
SELECT id FROM item WHERE weight = CAST('5' AS double precision);
SELECT id FROM item WHERE day = CAST('2024-01-05' AS timestamptz);
SELECT id FROM item WHERE at > CAST('2024-01-05' AS date);
SELECT id FROM item WHERE code = 'c5';
SELECT id FROM item WHERE code = CAST('c5' AS varchar);
SELECT id FROM item WHERE name = CAST('n5' AS text);
SELECT id FROM item WHERE unindexed = 5.5;
SELECT name FROM item WHERE id = 5 AND price > 5.5::float8;
SELECT id FROM colour WHERE id = 1.5;
-- expect
item.id:numeric
item.big:numeric
item.price:double precision
item.code:text
verdict: item.id is integer, and compared with numeric
