-- schema
CREATE TABLE person (id int PRIMARY KEY, name text, email text, tags text[], team_id int NOT NULL, bio tsvector);
INSERT INTO person
SELECT n, 'Name ' || n, 'e' || n || '@x.org', '{}', n / 10, to_tsvector('simple', 'word ' || n)
FROM generate_series(1, 20000) n;
CREATE INDEX ON person (team_id);
CREATE TABLE colour (id int PRIMARY KEY, name text);
INSERT INTO colour VALUES (1, 'red');
-- statements
SELECT id FROM person WHERE name LIKE '%smith%';
SELECT id FROM person WHERE email LIKE '%@x.org';
SELECT id FROM person WHERE lower(name) LIKE '%smith%' OR lower(email) LIKE '%smith%';
SELECT id FROM person WHERE name ILIKE '%jones%' AND email IS NOT NULL;
-- silent from here on
SELECT id FROM person WHERE name LIKE 'smith%';
SELECT id FROM person WHERE name LIKE $1;
SELECT id FROM person WHERE email NOT LIKE '%x%';
SELECT id FROM person WHERE team_id = 5 AND email LIKE '%x%';
SELECT name LIKE '%x%' FROM person WHERE id = 5;
SELECT id FROM colour WHERE name LIKE '%e%';
-- expect
person.name
person.email:end
person.lower(name)
person.lower(email)
verdict: person.name is searched for a pattern that begins with a wildcard
