-- schema
CREATE TABLE visit (id INTEGER PRIMARY KEY, at text, page text, note text);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO visit SELECT i, datetime('2024-01-01', i || ' minutes'), 'page ' || i, hex(randomblob(40)) FROM n;
CREATE TABLE hit (id INTEGER PRIMARY KEY, page text, note text);
INSERT INTO hit SELECT id, page, note FROM visit;
CREATE INDEX ix_hit ON hit (lower(page));
-- statements
SELECT id FROM visit WHERE date(at) = '2024-01-05';
SELECT id FROM visit WHERE lower(page) = 'page 5';
SELECT id FROM hit WHERE lower(page) = 'page 5';
-- expect
visit.date(at)
visit.lower(page)
