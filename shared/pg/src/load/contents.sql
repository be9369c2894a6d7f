-- What a database holds that an empty one does not, as names that a person knows. A Supabase project is empty if it holds nothing but
-- its own schemas (managed) and what its services put around them.
with managed as (select x.name from unnest(array[/* managed */]::text[]) as x(name))
select 'schema ' || n.nspname
from pg_namespace as n
where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'public', 'backup_restore', 'backup_lineage')
    and n.nspname not in (select m.name from managed as m)
    and n.nspname not like 'pg\_temp\_%' and n.nspname not like 'pg\_toast\_temp\_%'
union all
select 'relation public.' || c.relname
from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
union all
select 'function public.' || p.proname from pg_proc as p where p.pronamespace = 'public'::regnamespace
union all
select 'type public.' || t.typname
from pg_type as t
where t.typnamespace = 'public'::regnamespace and t.typrelid = 0 and t.typelem = 0 and t.typtype in ('d', 'e', 'r', 'b')
union all
select 'extension ' || x.extname
from pg_extension as x where x.extname <> 'plpgsql' and not exists (select from managed)
union all
select 'publication ' || p.pubname
from pg_publication as p where p.pubname not like 'supabase%' or not exists (select from managed)
union all
select 'event trigger ' || e.evtname from pg_event_trigger as e where not exists (select from managed)
union all
select 'large object ' || m.oid from pg_largeobject_metadata as m
order by 1
