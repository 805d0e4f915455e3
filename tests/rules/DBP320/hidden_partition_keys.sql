-- schema
CREATE TABLE events (at timestamp NOT NULL, user_id int NOT NULL, kind text) PARTITION BY RANGE (at);
DO $$ BEGIN FOR m IN 1..12 LOOP EXECUTE format('CREATE TABLE events_%s PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
  m, date '2023-12-01' + m * interval '1 month', date '2024-01-01' + m * interval '1 month'); END LOOP; END $$;
INSERT INTO events SELECT timestamp '2024-01-01' + i * interval '5 minutes', i % 500, 'kind ' || i % 9 FROM generate_series(1, 100000) i;
CREATE INDEX ON events (user_id);
CREATE TABLE hits (id int NOT NULL, kind text) PARTITION BY HASH (id);
CREATE TABLE hits_0 PARTITION OF hits FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hits_1 PARTITION OF hits FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hits SELECT i, 'kind ' || i % 9 FROM generate_series(1, 40000) i;
CREATE TABLE regions (region text NOT NULL, n int) PARTITION BY LIST (region);
CREATE TABLE regions_a PARTITION OF regions FOR VALUES IN ('a');
CREATE TABLE regions_b PARTITION OF regions FOR VALUES IN ('b');
INSERT INTO regions SELECT CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END, i FROM generate_series(1, 40000) i;
CREATE TABLE days (at timestamp NOT NULL, n int) PARTITION BY RANGE ((at::date));
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2024-05-01');
CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2024-05-01') TO ('2025-01-01');
INSERT INTO days SELECT timestamp '2024-01-01' + i * interval '5 minutes', i FROM generate_series(1, 40000) i;
CREATE TABLE tiny (at timestamp NOT NULL, n int) PARTITION BY RANGE (at);
CREATE TABLE tiny_1 PARTITION OF tiny FOR VALUES FROM ('2024-01-01') TO ('2024-05-01');
CREATE TABLE tiny_2 PARTITION OF tiny FOR VALUES FROM ('2024-05-01') TO ('2025-01-01');
-- statements
SELECT count(*) FROM events WHERE date(at) = '2024-05-01';
SELECT count(*) FROM events e WHERE e.at::date = $1 AND e.user_id = 4;
SELECT kind FROM events WHERE date_trunc('month', at) = '2024-05-01';
SELECT kind FROM events WHERE at >= '2024-09-01' OR user_id = 3;
DELETE FROM events WHERE at + interval '30 days' < '2024-06-01';
SELECT kind FROM hits WHERE id = 4.0;
SELECT n FROM regions WHERE lower(region) = 'a';
SELECT kind FROM events WHERE user_id = $1 ORDER BY at DESC LIMIT 10;
SELECT kind FROM events WHERE at >= '2024-05-01' AND at < '2024-05-02';
SELECT kind FROM events WHERE at BETWEEN '2024-05-01' AND '2024-05-02';
SELECT kind FROM events WHERE at >= '2024-05-01' AND date(at) = '2024-05-01';
SELECT kind FROM events WHERE at >= '2024-09-01' OR at < '2024-02-01';
SELECT kind FROM events WHERE at::timestamp = '2024-05-01';
SELECT kind FROM events WHERE at >= timestamptz '2024-05-01';
SELECT kind FROM events WHERE at > now() - interval '1 day';
SELECT kind FROM events WHERE at > $1 AND user_id = $2;
SELECT kind FROM events WHERE at = (SELECT max(at) FROM events);
SELECT date(at), count(*) FROM events GROUP BY date(at);
SELECT n FROM regions WHERE region = 'a';
SELECT n FROM regions WHERE region::varchar = 'a';
SELECT n FROM regions WHERE region <> 'a';
SELECT n FROM regions WHERE n = 4;
SELECT kind FROM hits WHERE id = 4;
SELECT kind FROM hits WHERE id = 4::bigint;
SELECT kind FROM hits WHERE id IN (4, 5);
SELECT n FROM days WHERE at::date = '2024-05-02';
SELECT n FROM tiny WHERE date(at) = '2024-05-02';
SELECT kind FROM events_3 WHERE date(at) = '2024-05-02';
SELECT h.kind FROM hits h JOIN events e ON e.user_id = h.id AND e.at > '2024-12-01';
-- expect
public.events: date(at)
public.events: CAST(at AS DATE)
public.events: date_trunc('MONTH', at)
public.events: at >= '2024-09-01' OR user_id = 3
public.events: at + INTERVAL '30 DAYS'
public.hits: id = 4.0
public.regions: lower(region)
statement 8
