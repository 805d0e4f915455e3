-- schema
CREATE TABLE client (id int PRIMARY KEY, email text, phone text, city text, kind int, deleted_at timestamp);
INSERT INTO client SELECT n, 'e' || n, 'p' || n, 'c' || n % 50, n % 3 FROM generate_series(1, 20000) n;
CREATE INDEX ON client (email);
CREATE TABLE parcel (id int PRIMARY KEY, client_id int REFERENCES client, number text, state int);
INSERT INTO parcel SELECT n, n, 'n' || n, n % 3 FROM generate_series(1, 20000) n;
CREATE INDEX ON parcel (number);
CREATE INDEX ON parcel (client_id);
-- statements
SELECT c.id, p.id FROM client c JOIN parcel p ON p.client_id = c.id WHERE c.email = 'x' OR p.number = 'x';
SELECT id FROM client WHERE email = 'x' OR phone = 'y';
-- silent from here on
SELECT id FROM client WHERE email = 'x' OR email = 'y';
SELECT id FROM client WHERE email = 'x' OR id = 5;
SELECT id FROM client WHERE email = 'x' OR kind = 1;
SELECT id FROM client WHERE deleted_at IS NULL OR deleted_at > now();
SELECT id FROM client WHERE id = 5 AND (email = 'x' OR phone = 'y');
SELECT c.id FROM client c JOIN parcel p ON p.client_id = c.id WHERE c.kind = 1 OR p.state = 2;
SELECT c.id FROM client c JOIN parcel p ON p.client_id = c.id WHERE c.id = 5 AND (c.email = 'x' OR p.number = 'x');
SELECT c.id FROM client c LEFT JOIN parcel p ON p.client_id = c.id WHERE p.id IS NULL OR p.number = 'x';
SELECT c.id FROM client c JOIN parcel p ON p.client_id = c.id WHERE (c.email = 'x' AND p.number = 'y') OR (c.email = 'z' AND p.number = 'x');
SELECT count(*) FROM client c JOIN parcel p ON p.client_id = c.id WHERE c.email = 'x' OR p.number = 'x';
SELECT c.id FROM client c JOIN parcel p ON p.client_id = c.id WHERE c.email = 'x' OR p.number = 'x' FOR UPDATE;
UPDATE client c SET kind = 1 FROM parcel p WHERE p.client_id = c.id AND (c.email = 'x' OR p.number = 'x');
-- expect
statement 1
client.phone
verdict: no index serves an OR over columns of client and parcel
