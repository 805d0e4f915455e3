-- schema
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, city text, note text, created_at timestamptz NOT NULL);
INSERT INTO orders SELECT i, i % 5000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, 'city ' || i % 30, repeat('x', 60),
  timestamptz '2024-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 60000) i;
CREATE TABLE every (id int, k int);
CREATE TABLE several () INHERITS (every);
INSERT INTO several SELECT i, i % 6000 FROM generate_series(1, 80000) i;
-- statements
SELECT * FROM every WHERE k = 4;
SELECT * FROM ONLY every WHERE k = 4;
-- expect
verdict: not judged: it reads several through every
verdict: no index needed: reads only small tables (every)
