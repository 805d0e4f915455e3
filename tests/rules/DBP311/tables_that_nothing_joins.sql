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
SELECT users.name, orders.total FROM users, orders;
SELECT u.name, o.total FROM users u JOIN orders o ON true;
SELECT DISTINCT u.name FROM users u, orders o WHERE o.status = 'open' AND u.city = 'city 1';
SELECT u.name, o.total FROM users u CROSS JOIN orders o WHERE o.total > 5;
SELECT count(*) FROM users u, orders o, orders p WHERE o.user_id = u.id AND p.status = 'open';
UPDATE orders SET status = 'gone' FROM users WHERE users.city = 'city 3';
SELECT u.id FROM users u WHERE EXISTS (SELECT 1 FROM orders o, orders p WHERE o.user_id = u.id AND p.status = 'lost');
SELECT users.name, orders.total FROM users, orders WHERE orders.user_id = users.id;
SELECT users.name, orders.total FROM users, orders WHERE lower(users.city) = lower(orders.status);
SELECT users.name, orders.total FROM users, orders WHERE orders.at > users.id::text::date;
SELECT users.name, orders.total FROM users JOIN orders ON orders.total > users.id;
SELECT users.name, orders.total FROM users JOIN orders USING (id);
SELECT users.name, orders.total FROM users NATURAL JOIN orders;
SELECT users.name, orders.total FROM users, orders WHERE users.id = 7;
SELECT users.name, orders.total FROM users, orders WHERE users.email = $1 AND orders.status = 'open';
SELECT users.name, shops.name FROM users, shops;
SELECT users.name, shops.name FROM users CROSS JOIN shops;
SELECT o.id, total.n FROM orders o, (SELECT count(*) AS n FROM users) total;
WITH total AS (SELECT count(*) AS n FROM users) SELECT o.id, total.n FROM orders o, total;
SELECT o.id, day FROM orders o, generate_series(1, 3) day;
SELECT o.id, v.x FROM orders o, (VALUES (1), (2)) v (x);
SELECT u.id, o.total FROM users u CROSS JOIN LATERAL (SELECT total FROM orders o WHERE o.user_id = u.id LIMIT 3) o;
SELECT u.id FROM users u LEFT JOIN LATERAL (SELECT total FROM orders o WHERE o.user_id = u.id LIMIT 1) o ON true;
SELECT o.id FROM users u, orders o WHERE EXISTS (SELECT 1 FROM shops s WHERE s.user_id = u.id AND s.id = o.id);
SELECT u.id FROM users u WHERE EXISTS (SELECT 1 FROM orders o, orders p WHERE o.user_id = u.id AND p.user_id = u.id);
SELECT u.id, o.id FROM users u, orders o WHERE u.city = $1 AND o.status = $1;
SELECT u.id, o.id FROM users u, orders o WHERE (u.id, o.status) IN (SELECT o2.user_id, o2.status FROM orders o2);
SELECT u.id, p.id FROM users u LEFT JOIN orders o ON o.user_id = u.id LEFT JOIN orders p ON p.id = o.id + 1;
DELETE FROM orders USING users WHERE users.id = orders.user_id AND users.city = 'city 9';
SELECT a.id, b.id, a.total - b.total FROM orders a, orders b WHERE a.status = 'open';
-- expect
statement 1
statement 2
statement 3
statement 4
statement 5
statement 6
statement 7
