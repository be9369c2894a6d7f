-- Nothing here waits for a lock; sizes are asked for once the tables are locked.
-- Every table that holds rows of its own: ordinary tables and leaf partitions, what extensions marked as their owner's
-- (pg_extension_config_dump), and the pages of large objects if there are any. The definition covers whatever decides how a row is written as text: its columns, and all that their types are made of.
with recursive part as (
    -- A type, and each type that its text is made of.
    select distinct a.atttypid as root, a.atttypid as type
    from pg_attribute as a join pg_class as c on c.oid = a.attrelid
    where c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
    union
    select p.root, x.type
    from part as p
    join pg_type as t on t.oid = p.type
    cross join lateral (
        select t.typelem
        union all select t.typbasetype
        union all select r.rngsubtype from pg_range as r where t.oid in (r.rngtypid, r.rngmultitypid)
        union all select a.atttypid from pg_attribute as a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) as x(type)
    where x.type <> 0
),
type as (
    select
        p.root,
        jsonb_agg(jsonb_build_array(
            t.oid, t.typtype, t.typbasetype, t.typtypmod,
            (select jsonb_agg(jsonb_build_array(e.oid, e.enumlabel) order by e.oid) from pg_enum as e where e.enumtypid = t.oid),
            (
                select jsonb_agg(jsonb_build_array(a.attnum, a.atttypid, a.atttypmod, a.attisdropped) order by a.attnum)
                from pg_attribute as a where a.attrelid = t.typrelid and a.attnum > 0
            ),
            x.extname, x.extversion
        ) order by t.oid) filter (where t.oid >= 16384) as definition,
        min(
            case
                when t.typnamespace = 'pg_catalog'::regnamespace and (t.typname like 'reg%' or t.typname = 'aclitem')
                    then 'it has a column of the type ' || t.typname || ', which is written as the name of something else'
                when t.oid >= 16384 and t.typtype = 'b' and t.typcategory <> 'A' and x.oid is null
                    then 'it has a column of the base type ' || t.typname || ', whose output function anyone may replace'
            end
        ) as unsteady
    from part as p
    join pg_type as t on t.oid = p.type
    left join pg_depend as d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
    left join pg_extension as x on x.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
    group by p.root
)
select
    c.oid,
    n.nspname,
    c.relname,
    (
        select coalesce(jsonb_agg(a.attname order by a.attnum), '[]')
        from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ),
    (
        select coalesce(jsonb_agg(jsonb_build_array(
            a.attnum, a.attname, a.atttypid, a.atttypmod, a.attisdropped, a.attgenerated, a.attmissingval::text, type.definition
        ) order by a.attnum), '[]')
        from pg_attribute as a left join type on type.root = a.atttypid where a.attrelid = c.oid and a.attnum > 0
    ),
    coalesce(m.amname, 'none'),
    row_security_active(c.oid),
    has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage'),
    c.relfilenode,
    (
        select min(type.unsteady)
        from pg_attribute as a join type on type.root = a.atttypid where a.attrelid = c.oid and a.attnum > 0
    ),
    marked.condition
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
left join pg_am as m on m.oid = c.relam
left join lateral (
    select x.extcondition[array_position(x.extconfig, c.oid)] as condition
    from pg_extension as x where c.oid = any (x.extconfig)
) as marked on true
where
    case
        when c.oid = 'pg_catalog.pg_largeobject'::regclass then exists (select from pg_largeobject_metadata)
        else c.relkind = 'r' and c.relpersistence <> 't'
            and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backup_restore', 'backup_lineage')
            and n.nspname not like 'pg\_temp\_%' and n.nspname not like 'pg\_toast\_temp\_%'
            and (marked.condition is not null or not exists (
                select from pg_depend as p
                where p.classid = 'pg_class'::regclass and p.objid = c.oid and p.deptype = 'e'
            ))
    end
order by c.oid
