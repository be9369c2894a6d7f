select
    current_setting('server_version_num'),
    current_setting('server_version'),
    (select system_identifier from pg_control_system()),
    case
        when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())
        else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
    end,
    current_database(),
    d.oid,
    pg_encoding_to_char(d.encoding),
    current_setting('block_size'),
    pg_current_snapshot(),
    pg_snapshot_xmax(pg_current_snapshot()),
    pg_snapshot_xmin(pg_current_snapshot()),
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end
from pg_database as d
where d.datname = current_database()
