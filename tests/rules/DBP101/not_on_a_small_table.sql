-- schema
CREATE TABLE settings (id int PRIMARY KEY, name text);
INSERT INTO settings SELECT i, 'name ' || i FROM generate_series(1, 500) i;
-- statements
SELECT * FROM settings WHERE name = 'name 7';
-- expect
verdict: no index needed: reads only small tables (settings)
