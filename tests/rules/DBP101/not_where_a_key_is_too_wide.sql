-- schema
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, city text, note text, created_at timestamptz NOT NULL);
INSERT INTO orders SELECT i, i % 5000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, 'city ' || i % 30, repeat('x', 60),
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 60000) i;
CREATE TABLE pages (id int, body text);
ALTER TABLE pages ALTER body SET STORAGE EXTERNAL;
INSERT INTO pages SELECT i, CASE WHEN i = 7 THEN repeat('x', 9000) ELSE md5(i::text) END FROM generate_series(1, 40000) i;
-- statements
SELECT * FROM pages WHERE body = $1;
-- expect
verdict: not judged: ix_pages_body cannot be built: index row
