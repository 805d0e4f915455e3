-- schema
CREATE TABLE worker (id INTEGER PRIMARY KEY, manager_id int);
CREATE TABLE team (id int PRIMARY KEY NOT NULL, lead_id int);
-- statements
SELECT id FROM worker WHERE id NOT IN (SELECT manager_id FROM worker);
SELECT id FROM team WHERE id NOT IN (SELECT id FROM worker);
SELECT id FROM worker WHERE id NOT IN (SELECT id FROM team);
-- expect
statement 1
