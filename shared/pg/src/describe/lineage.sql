-- What this database remembers, or why it cannot. The table is made by infra/sql/backup_role.sql.
select
    case
        when pg_is_in_recovery() then 'the server is a standby, which cannot remember what was copied from it: back up its primary'
        when to_regclass('backup_lineage.attempt') is null
            then 'the database has no table backup_lineage.attempt: run infra/sql/backup_role.sql'
        when not has_schema_privilege('backup_lineage', 'usage')
            or not has_table_privilege('backup_lineage.attempt', 'select')
            or not has_table_privilege('backup_lineage.attempt', 'insert')
            or not has_table_privilege('backup_lineage.attempt', 'delete')
            then 'the role may not read and write backup_lineage.attempt: run infra/sql/backup_role.sql'
    end
