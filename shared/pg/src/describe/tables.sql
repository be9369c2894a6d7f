-- Nothing here waits for a lock; sizes are asked for once the tables are locked.
-- Every table that holds rows of its own: ordinary tables and leaf partitions, and the pages of large objects if there are
-- any. The definition covers whatever decides how a row is written as text; types are taken together for the whole
-- database, so a change to any of them counts for every table.
with types as (
    select jsonb_build_object(
        'enums', (select jsonb_agg(jsonb_build_array(e.enumtypid, e.enumsortorder, e.enumlabel) order by e.enumtypid, e.enumsortorder) from pg_enum as e),
        'domains', (
            select jsonb_agg(jsonb_build_array(t.oid, t.typname, t.typbasetype, t.typtypmod) order by t.oid)
            from pg_type as t where t.typtype = 'd' and t.oid >= 16384
        ),
        'composites', (
            select jsonb_agg(jsonb_build_array(a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attisdropped) order by a.attrelid, a.attnum)
            from pg_attribute as a join pg_class as r on r.oid = a.attrelid where r.relkind = 'c' and r.oid >= 16384
        ),
        'extensions', (select jsonb_agg(jsonb_build_array(x.extname, x.extversion) order by x.extname) from pg_extension as x)
    ) as definition
)
select
    c.oid,
    n.nspname,
    c.relname,
    (
        select coalesce(jsonb_agg(a.attname order by a.attnum), '[]')
        from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ),
    encode(sha256(convert_to(jsonb_build_object(
        'columns', (
            select jsonb_agg(jsonb_build_array(
                a.attnum, a.attname, a.atttypid, a.atttypmod, a.attisdropped, a.attgenerated, a.attmissingval::text
            ) order by a.attnum)
            from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0
        ),
        'types', types.definition
    )::text, 'UTF8')), 'hex'),
    coalesce(m.amname, 'none'),
    row_security_active(c.oid),
    has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage'),
    c.relfilenode
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
left join pg_am as m on m.oid = c.relam
cross join types
where
    case
        when c.oid = 'pg_catalog.pg_largeobject'::regclass then exists (select from pg_largeobject_metadata)
        else c.relkind = 'r' and c.relpersistence <> 't'
            and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backup_restore')
            and n.nspname not like 'pg\_temp\_%' and n.nspname not like 'pg\_toast\_temp\_%'
            and not exists (
                select from pg_depend as p
                where p.classid = 'pg_class'::regclass and p.objid = c.oid and p.deptype = 'e'
            )
    end
order by c.oid
