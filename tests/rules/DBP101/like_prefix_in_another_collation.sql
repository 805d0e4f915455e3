-- schema
CREATE TABLE people (id int PRIMARY KEY, name text COLLATE "C.utf8", pad text);
INSERT INTO people SELECT i, md5(i::text), repeat('x', 50) FROM generate_series(1, 60000) i;
-- statements
SELECT * FROM people WHERE name LIKE 'abcd%';
-- expect
public.people(name text_pattern_ops)
