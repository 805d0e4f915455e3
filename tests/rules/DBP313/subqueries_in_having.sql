-- schema
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL UNIQUE, city text, name text);
INSERT INTO users SELECT i, 'mail ' || i, 'city ' || i % 30, repeat('x', 60) FROM generate_series(1, 20000) i;
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users, status text NOT NULL, total numeric, at date NOT NULL);
INSERT INTO orders SELECT i, i % 20000 + 1, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, i, date '2024-01-01' + i % 360
  FROM generate_series(1, 40000) i;
CREATE INDEX ON orders (user_id);
CREATE TABLE shops (id int PRIMARY KEY, user_id int, name text);
INSERT INTO shops SELECT i, i, 'shop ' || i FROM generate_series(1, 9) i;
-- statements
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING user_id IN (SELECT user_id FROM shops);
SELECT o.user_id, sum(total) FROM orders o GROUP BY o.user_id HAVING o.user_id NOT IN (SELECT id FROM shops) AND sum(total) > 4;
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING user_id = 4;
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING user_id IN (4, 5);
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING user_id = (SELECT min(user_id) FROM shops);
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING count(*) IN (SELECT id FROM shops);
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING count(*) > 1;
SELECT user_id, status, count(*) FROM orders GROUP BY ROLLUP (user_id, status) HAVING user_id IN (SELECT id FROM shops);
SELECT user_id, count(*) FROM shops GROUP BY user_id HAVING user_id IN (SELECT user_id FROM orders);
SELECT user_id, count(*) FROM orders WHERE user_id IN (SELECT id FROM shops) GROUP BY user_id;
-- expect
statement 1
statement 2
