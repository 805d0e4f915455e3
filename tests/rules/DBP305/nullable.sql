-- schema
CREATE TABLE worker (id int PRIMARY KEY, manager_id int, team_id int NOT NULL);
CREATE TABLE team (id int PRIMARY KEY, lead_id int);
INSERT INTO worker VALUES (1, NULL, 1);
-- statements
SELECT id FROM worker WHERE id NOT IN (SELECT manager_id FROM worker);
SELECT id FROM worker w WHERE NOT w.id IN (SELECT t.lead_id FROM team t WHERE t.id > 5);
DELETE FROM worker WHERE id NOT IN (SELECT t.id FROM worker w LEFT JOIN team t ON t.id = w.team_id);
-- silent from here on
SELECT id FROM worker WHERE team_id NOT IN (SELECT id FROM team);
SELECT id FROM worker WHERE id NOT IN (SELECT lead_id FROM team WHERE lead_id IS NOT NULL);
SELECT id FROM worker WHERE id NOT IN (SELECT lead_id FROM team WHERE lead_id > 0);
SELECT id FROM worker WHERE id NOT IN (SELECT manager_id FROM worker m JOIN team t ON t.lead_id = m.manager_id);
SELECT id FROM worker WHERE id IN (SELECT manager_id FROM worker);
SELECT id FROM worker WHERE id NOT IN (1, 2, 3);
SELECT id FROM worker WHERE (id, team_id) NOT IN (SELECT manager_id, team_id FROM worker);
SELECT id FROM worker WHERE id NOT IN (SELECT w.id FROM worker w LEFT JOIN team t ON t.id = w.team_id);
SELECT id FROM worker WHERE id NOT IN (SELECT t.id FROM worker w LEFT JOIN team t ON t.id = w.team_id WHERE t.id > 5);
SELECT id FROM worker w WHERE NOT EXISTS (SELECT 1 FROM team WHERE lead_id = w.id);
SELECT id FROM worker WHERE id NOT IN (SELECT coalesce(manager_id, 0) FROM worker);
-- expect
statement 1
statement 2
statement 3
verdict: NOT IN over worker.manager_id finds no row
