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
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.status = 'open';
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.total > 5 AND u.city = 'city 1';
SELECT u.name FROM orders o RIGHT JOIN users u ON o.user_id = u.id WHERE o.status IN ('open', 'lost');
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.id IS NOT NULL;
SELECT s.name FROM shops s LEFT JOIN users u ON u.id = s.user_id WHERE u.city LIKE 'city 1%';
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.status = 'open';
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.id IS NULL;
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.status = 'open' OR o.id IS NULL;
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE coalesce(o.status, 'none') = 'none';
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.status IS DISTINCT FROM 'open';
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.city = 'city 1';
SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.city = 'city 2' OR o.status = 'open';
SELECT u.name FROM users u LEFT JOIN orders AS orders_1 ON orders_1.user_id = u.id WHERE u.id = 4;
SELECT u.name FROM users u JOIN orders o ON o.user_id = u.id WHERE o.status = 'open';
-- expect
statement 1
statement 2
statement 3
statement 4
statement 5
