-- What a Supabase project has before anything is restored into it, under the names that an archive uses.
select 'SCHEMA ' || n.nspname from pg_namespace as n
union all
select 'EXTENSION ' || x.extname from pg_extension as x
union all
select 'PUBLICATION ' || p.pubname from pg_publication as p
union all
select 'EVENT TRIGGER ' || e.evtname from pg_event_trigger as e
union all
select 'FOREIGN DATA WRAPPER ' || w.fdwname from pg_foreign_data_wrapper as w
union all
select format('TRIGGER %s.%s %s', n.nspname, c.relname, t.tgname)
from pg_trigger as t join pg_class as c on c.oid = t.tgrelid join pg_namespace as n on n.oid = c.relnamespace
where not t.tgisinternal
union all
select format('POLICY %s.%s %s', n.nspname, c.relname, p.polname)
from pg_policy as p join pg_class as c on c.oid = p.polrelid join pg_namespace as n on n.oid = c.relnamespace
