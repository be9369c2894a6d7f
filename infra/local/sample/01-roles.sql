-- The roles that a Supabase project has. Roles belong to the whole cluster, so those that exist are left alone.
select format('create role %I %s', name, attributes)
from (values
    ('anon', 'nologin noinherit'),
    ('authenticated', 'nologin noinherit'),
    ('service_role', 'nologin noinherit bypassrls'),
    ('authenticator', 'nologin noinherit'),
    ('supabase_auth_admin', 'nologin noinherit createrole'),
    ('supabase_storage_admin', 'nologin noinherit createrole'),
    ('dashboard_user', 'nologin createrole createdb')
) as wanted (name, attributes)
where not exists (select from pg_roles where rolname = wanted.name)
\gexec

grant anon, authenticated, service_role to authenticator;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set session_preload_libraries = '';
alter role supabase_auth_admin set search_path = 'auth';
