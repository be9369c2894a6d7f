-- What each schema holds that is not copied row by row.
select
    n.nspname,
    (select count(*) from pg_class as c where c.relnamespace = n.oid and c.relkind = 'f'),
    (
        select coalesce(jsonb_agg(c.relname order by c.relname), '[]')
        from pg_class as c
        join pg_depend as p on p.classid = 'pg_class'::regclass and p.objid = c.oid and p.deptype = 'e'
        join pg_extension as x on x.oid = p.refobjid and c.oid <> all (coalesce(x.extconfig, '{}'))
        where c.relnamespace = n.oid and c.relkind = 'r'
    )
from pg_namespace as n
where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backup_restore', 'backup_lineage')
    and n.nspname not like 'pg\_temp\_%' and n.nspname not like 'pg\_toast\_temp\_%'
order by n.nspname
