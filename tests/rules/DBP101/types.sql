-- schema
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN label AS text;
CREATE TABLE things (id int, mood mood, label label, tags int[], ident uuid, span int4range, code char(10) COLLATE "C.utf8",
  made int GENERATED ALWAYS AS (id % 7000) STORED, place point, doc json, tx xid);
INSERT INTO things (id, mood, label, tags, ident, span, code, place, doc, tx) SELECT i, (ARRAY['good', 'bad'])[1 + (i % 900 = 0)::int]::mood, 'label ' || i % 9000, ARRAY[i], md5(i::text)::uuid,
  int4range(i, i + 1), 'c' || i % 9000, point(i, i), '{}', '7' FROM generate_series(1, 40000) i;
-- statements
SELECT id FROM things WHERE mood = 'bad';
SELECT id FROM things WHERE label = 'label 7';
SELECT id FROM things WHERE tags = '{5}';
SELECT id FROM things WHERE ident = $1;
SELECT id FROM things WHERE span = '[5,6)';
SELECT id FROM things WHERE code LIKE 'c77%';
SELECT id FROM things WHERE made = 7;
SELECT id FROM things WHERE tx = '9';
SELECT id FROM things WHERE doc ->> 'a' = 'b';
-- expect
public.things(mood)
public.things(label)
public.things(tags)
public.things(ident)
public.things(span)
public.things(code bpchar_pattern_ops)
public.things(made)
verdict: no condition or sort asks for one that is missing
verdict: expression on the column
