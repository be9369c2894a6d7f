-- What would go on using what is replaced: objects outside of the schemas that depend on objects in them, and objects in them that are
-- a part of one outside. Each as a person knows it, and for triggers and policies the title that an archive gives it. What an extension
-- owns is not replaced.
with replaced as materialized (
    select n.oid from pg_namespace as n where n.nspname = any (array[/* schemas */]::text[])
),
relation as materialized (select c.oid from pg_class as c where c.relnamespace in (select oid from replaced)),
inside (classid, objid) as materialized (
    select 'pg_class'::regclass::oid, oid from relation
    union all
    select 'pg_type'::regclass, oid from pg_type where typnamespace in (select oid from replaced)
    union all
    select 'pg_proc'::regclass, oid from pg_proc where pronamespace in (select oid from replaced)
    union all
    select 'pg_operator'::regclass, oid from pg_operator where oprnamespace in (select oid from replaced)
    union all
    select 'pg_opclass'::regclass, oid from pg_opclass where opcnamespace in (select oid from replaced)
    union all
    select 'pg_opfamily'::regclass, oid from pg_opfamily where opfnamespace in (select oid from replaced)
    union all
    select 'pg_collation'::regclass, oid from pg_collation where collnamespace in (select oid from replaced)
    union all
    select 'pg_conversion'::regclass, oid from pg_conversion where connamespace in (select oid from replaced)
    union all
    select 'pg_ts_config'::regclass, oid from pg_ts_config where cfgnamespace in (select oid from replaced)
    union all
    select 'pg_ts_dict'::regclass, oid from pg_ts_dict where dictnamespace in (select oid from replaced)
    union all
    select 'pg_ts_parser'::regclass, oid from pg_ts_parser where prsnamespace in (select oid from replaced)
    union all
    select 'pg_ts_template'::regclass, oid from pg_ts_template where tmplnamespace in (select oid from replaced)
    union all
    select 'pg_statistic_ext'::regclass, oid from pg_statistic_ext where stxnamespace in (select oid from replaced)
    union all
    select 'pg_constraint'::regclass, oid from pg_constraint where connamespace in (select oid from replaced)
    union all
    select 'pg_attrdef'::regclass, oid from pg_attrdef where adrelid in (select oid from relation)
    union all
    select 'pg_trigger'::regclass, oid from pg_trigger where tgrelid in (select oid from relation)
    union all
    select 'pg_rewrite'::regclass, oid from pg_rewrite where ev_class in (select oid from relation)
    union all
    select 'pg_policy'::regclass, oid from pg_policy where polrelid in (select oid from relation)
),
own as (
    select i.classid, i.objid from inside as i
    where not exists (
        select from pg_depend as d where d.classid = i.classid and d.objid = i.objid and d.deptype = 'e'
    )
),
dependent as (
    select distinct d.classid, d.objid
    from own as o
    join pg_depend as d on d.refclassid = o.classid and d.refobjid = o.objid
    where d.deptype in ('n', 'a', 'P', 'S')
        -- A cast, an operator of a family, a table of a publication: they belong to what they depend on.
        and d.classid not in (
            'pg_cast'::regclass, 'pg_transform'::regclass, 'pg_amop'::regclass, 'pg_amproc'::regclass, 'pg_publication_rel'::regclass
        )
        and not exists (select from inside as i where i.classid = d.classid and i.objid = d.objid)
)
select
    pg_describe_object(d.classid, d.objid, 0),
    coalesce(
        case when t.oid is not null then format('TRIGGER %s.%s %s', n.nspname, c.relname, t.tgname) end,
        case when p.oid is not null then format('POLICY %s.%s %s', n.nspname, c.relname, p.polname) end,
        ''
    )
from dependent as d
left join pg_trigger as t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid
left join pg_policy as p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
left join pg_class as c on c.oid = coalesce(t.tgrelid, p.polrelid)
left join pg_namespace as n on n.oid = c.relnamespace
where not coalesce(t.tgisinternal, false)
union all
select pg_describe_object('pg_class'::regclass, i.inhrelid, 0) || ', a part of ' || i.inhparent::regclass, ''
from pg_inherits as i
where i.inhrelid in (select oid from relation) and i.inhparent not in (select oid from relation)
order by 1
