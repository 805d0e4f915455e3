-- schema
CREATE TABLE account (
    id int PRIMARY KEY, email varchar(200) NOT NULL, name text, nick text, created_at timestamp NOT NULL,
    seen_at timestamptz, score int, state text NOT NULL, data jsonb, owner_id int NOT NULL
);
INSERT INTO account
SELECT n, 'User' || n || '@example.org', 'Name ' || n, 'nick' || n, timestamp '2024-01-01' + n * interval '1 hour',
       now(), n % 1000, 'new', jsonb_build_object('kind', n), n / 10
FROM generate_series(1, 20000) n;
CREATE INDEX ON account (created_at);
CREATE INDEX ON account (lower(name));
CREATE INDEX ON account (owner_id);
CREATE INDEX ON account (nick);
CREATE TABLE colour (id int PRIMARY KEY, name text);
INSERT INTO colour VALUES (1, 'red');
-- statements
SELECT id FROM account WHERE lower(email) = 'user5@example.org';
SELECT id FROM account a WHERE a.created_at::date = '2024-03-01';
SELECT id FROM account WHERE date_trunc('month', created_at) = '2024-03-01' AND score = 5;
SELECT id FROM account WHERE extract(year FROM seen_at) = 2024;
SELECT id FROM account WHERE coalesce(state, 'new') = 'old';
SELECT id FROM account WHERE seen_at + interval '1 day' > now();
SELECT id FROM account WHERE id::text = '7';
SELECT id FROM account WHERE data ->> 'kind' = 'x';
-- silent from here on
SELECT id FROM account WHERE lower(name) = 'name 7';
SELECT id FROM account WHERE lower(account.name) IN ('name 7', 'name 8');
SELECT id FROM account WHERE nick::varchar = 'nick7';
SELECT id FROM account WHERE created_at = date_trunc('day', now());
SELECT id FROM account WHERE email = lower('X@Y');
SELECT id FROM account WHERE owner_id = 7 AND upper(nick) = 'X';
SELECT id FROM account WHERE id = 7 AND upper(nick) = 'X';
SELECT id FROM account WHERE upper(nick) <> 'X';
SELECT id FROM account WHERE id = 5 OR upper(nick) = 'X';
SELECT a.id FROM account a JOIN account b ON a.id = b.owner_id WHERE b.id = 6 AND upper(a.nick) = 'X';
SELECT id FROM colour WHERE lower(name) = 'red';
SELECT lower(email) FROM account WHERE id = 5 ORDER BY upper(nick);
SELECT owner_id FROM account GROUP BY owner_id HAVING max(score) > 5;
-- expect
account.lower(email)
account.CAST(created_at AS DATE)
account.date_trunc('MONTH', created_at)
account.EXTRACT(YEAR FROM seen_at)
account.coalesce(state, 'new')
account.seen_at + INTERVAL '1 DAY'
account.CAST(id AS TEXT)
account.data ->> 'kind'
verdict: no index on email serves
