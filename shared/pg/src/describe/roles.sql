-- Roles that a restore may have to make: none of the server's own, none of those that Supabase makes itself.
select
    r.rolname,
    array_to_json(array_remove(array[
        case when r.rolsuper then 'superuser' end,
        case when r.rolcreatedb then 'createdb' end,
        case when r.rolcreaterole then 'createrole' end,
        case when r.rolinherit then 'inherit' else 'noinherit' end,
        case when r.rolcanlogin then 'login' else 'nologin' end,
        case when r.rolreplication then 'replication' end,
        case when r.rolbypassrls then 'bypassrls' end,
        case when r.rolconnlimit >= 0 then 'connection limit ' || r.rolconnlimit end
    ], null)),
    (
        select coalesce(jsonb_agg(distinct g.rolname), '[]')
        from pg_auth_members as m join pg_roles as g on g.oid = m.roleid where m.member = r.oid
    ),
    (
        select coalesce(array_to_json(s.setconfig), '[]'::json)
        from (select 1) as one left join pg_db_role_setting as s on s.setrole = r.oid and s.setdatabase = 0
    )
from pg_roles as r
where
    r.rolname not like 'pg\_%'
    and r.oid >= 16384
    and r.rolname not like 'supabase\_%'
    and r.rolname not in ('postgres', 'dashboard_user', 'pgbouncer', 'cli_login_postgres')
order by r.rolname
