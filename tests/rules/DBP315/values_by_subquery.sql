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
SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u;
SELECT o.id, (SELECT u.name FROM users u WHERE u.id = o.user_id) FROM orders o WHERE o.status = 'done';
SELECT o.id FROM orders o WHERE o.at = (SELECT max(p.at) FROM orders p WHERE p.user_id = o.user_id);
SELECT u.id FROM users u WHERE (SELECT sum(total) FROM orders o WHERE o.user_id = u.id) > 100;
SELECT u.id, (SELECT max(o.at) FROM orders o WHERE o.user_id = u.id) FROM users u LIMIT 5000;
SELECT u.id FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id);
SELECT u.id FROM users u WHERE u.id IN (SELECT o.user_id FROM orders o WHERE o.status = u.city);
SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id = 4;
SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.email = $1;
SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u ORDER BY u.id LIMIT 20;
SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u ORDER BY u.id LIMIT $1;
SELECT s.id, (SELECT count(*) FROM orders o WHERE o.user_id = s.user_id) FROM shops s;
SELECT u.id, (SELECT max(total) FROM orders) FROM users u;
SELECT u.id FROM users u WHERE (SELECT count(*) FROM orders o WHERE o.user_id = u.id) > 0;
SELECT u.id, o.total FROM users u LEFT JOIN LATERAL (SELECT total FROM orders o WHERE o.user_id = u.id LIMIT 1) o ON true;
SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id IN (1, 2, 3);
SELECT o.id, (SELECT u.name FROM users u WHERE u.id = o.user_id) FROM orders o WHERE o.user_id = $1;
-- expect
statement 1
statement 2
statement 3
statement 4
statement 5
