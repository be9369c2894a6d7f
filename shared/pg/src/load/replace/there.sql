-- What a database has that belongs to no schema, beside what project.sql tells, under the names that an archive uses.
select 'SERVER ' || s.srvname from pg_foreign_server as s
union all
select format('USER MAPPING USER MAPPING %s SERVER %s', m.usename, m.srvname) from pg_user_mappings as m
union all
select 'PROCEDURAL LANGUAGE ' || l.lanname from pg_language as l
union all
select 'ACCESS METHOD ' || a.amname from pg_am as a
union all
select 'SUBSCRIPTION ' || s.subname from pg_subscription as s
union all
-- Of types that are replaced there are none yet.
select format('CAST CAST (%s AS %s)', format_type(c.castsource, null), format_type(c.casttarget, null))
from pg_cast as c
join pg_type as s on s.oid = c.castsource
join pg_type as t on t.oid = c.casttarget
where not exists (
    select from pg_namespace as n
    where n.oid in (s.typnamespace, t.typnamespace) and n.nspname = any (array[/* schemas */]::text[])
)
