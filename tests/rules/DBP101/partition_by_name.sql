-- schema
CREATE TABLE events (at date NOT NULL, entity int NOT NULL, pad text) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');
INSERT INTO events SELECT date '2024-01-01' + i % 360, i % 6000, repeat('x', 60) FROM generate_series(1, 80000) i;
CREATE INDEX ON events_1 (entity);
-- statements
SELECT * FROM events WHERE entity = 42;
SELECT * FROM events_2 WHERE entity = 42;
SELECT * FROM events_1 WHERE entity = 42;
-- expect
public.events(entity)
verdict: fine: uses events_1_entity_idx
