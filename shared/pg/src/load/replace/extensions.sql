-- Extensions with objects in schemas that are replaced: name, schema, whether they can be moved, and whether this role may: it must own
-- their objects too, which of most extensions are a superuser's.
with replaced as (
    select n.oid from pg_namespace as n where n.nspname = any (array[/* schemas */]::text[])
),
member as (
    select
        d.refobjid as extension,
        coalesce(c.relnamespace, t.typnamespace, p.pronamespace, o.oprnamespace) as schema,
        coalesce(c.relowner, t.typowner, p.proowner, o.oprowner) as owner
    from pg_depend as d
    left join pg_class as c on d.classid = 'pg_class'::regclass and c.oid = d.objid
    left join pg_type as t on d.classid = 'pg_type'::regclass and t.oid = d.objid
    left join pg_proc as p on d.classid = 'pg_proc'::regclass and p.oid = d.objid
    left join pg_operator as o on d.classid = 'pg_operator'::regclass and o.oid = d.objid
    where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
)
select
    x.extname,
    n.nspname,
    x.extrelocatable and x.extnamespace in (select oid from replaced),
    pg_has_role(current_user, x.extowner, 'usage') and not exists (
        select from member as m where m.extension = x.oid and not pg_has_role(current_user, m.owner, 'usage')
    )
from pg_extension as x
join pg_namespace as n on n.oid = x.extnamespace
where x.extnamespace in (select oid from replaced)
    or x.oid in (select m.extension from member as m where m.schema in (select oid from replaced))
order by 1
