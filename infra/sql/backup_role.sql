-- The least-privileged role that a backup needs, and the table by which the database remembers its backups. Run it as the
-- owner of the database:
--
--   psql "$DATABASE_URL" --set=password="'…'" --file=infra/sql/backup_role.sql
--
-- The role reads every row, also where row security would hide some, and writes nothing but that one table. On Supabase run it
-- as `postgres`. Run it again to set the password anew, and to give the role what somebody took from it.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'backup_reader') then
        create role backup_reader;
    end if;
end
$$;
alter role backup_reader with login bypassrls connection limit 10 password :password;
grant pg_read_all_data to backup_reader;
alter role backup_reader set default_transaction_read_only = on;
alter role backup_reader set statement_timeout = 0;

-- One row for each backup whose rows may be used again. A database that is restored or rewound holds an older state of this
-- table, so it never takes rows for unchanged that it never had. It is not backed up, and may be dropped: the next backup then
-- reads everything.
create schema if not exists backup_lineage;
create table if not exists backup_lineage.attempt (
    id uuid primary key,
    owner text not null,
    began_at timestamptz not null default now()
);
grant usage on schema backup_lineage to backup_reader;
grant select, insert, delete on backup_lineage.attempt to backup_reader;
