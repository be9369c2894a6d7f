-- The least-privileged role that a backup needs. Run it as the owner of the database:
--
--   psql "$DATABASE_URL" --set=password="'…'" --file=infra/sql/backup_role.sql
--
-- It reads every row, also where row security would hide some, and writes nothing. On Supabase run it as `postgres`.
create role backup_reader with login bypassrls nosuperuser nocreatedb nocreaterole connection limit 10 password :password;
grant pg_read_all_data to backup_reader;
alter role backup_reader set default_transaction_read_only = on;
alter role backup_reader set statement_timeout = 0;
