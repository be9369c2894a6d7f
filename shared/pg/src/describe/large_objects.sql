select
    m.oid,
    pg_get_userbyid(m.lomowner),
    (
        select coalesce(jsonb_agg(format(
            'grant %s on large object %s to %s%s', lower(a.privilege_type), m.oid,
            case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
            case when a.is_grantable then ' with grant option' else '' end
        ) order by a.grantee, a.privilege_type), '[]')
        from aclexplode(m.lomacl) as a where a.grantee <> m.lomowner
    ),
    obj_description(m.oid, 'pg_largeobject')
from pg_largeobject_metadata as m
order by m.oid
