//! A database that goes back: by a copy of its files, by recovery from an archive, by the promotion of a standby, by a crash;
//! and transaction ids that come again after 2^32.

use super::doctored::Condition;
use super::{DATABASE, History, require_right, require_wrong};
use crate::postgres::Postgres;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// Rows in several blocks, with room beside them.
const TABLE: &str =
    "create table t with (fillfactor = 50) as select g as id, md5(g::text) as note from generate_series(1, 2000) as g";

/// Writes a few rows, in one transaction.
fn write(server: &Postgres, what: &str) {
    server.sql(DATABASE, &format!("update t set note = '{what}' where id between 1 and 20"));
}

/// The product's own backup is right, and one that hides this is wrong.
async fn with_and_without(needed: &[&[Condition]], history: impl AsyncFn(&[Condition]) -> Option<String>) {
    require_right(history(&[]).await.as_deref());
    for hidden in needed {
        require_wrong(history(hidden).await.as_deref(), hidden);
    }
}

#[tokio::test]
async fn a_database_that_returns_to_a_copy_of_its_files_is_not_believed_to_have_gone_on() {
    with_and_without(&[&[Condition::Lineage]], async |hidden| {
        let history = History::begin(hidden, &[], TABLE);
        history.back_up().await;
        history.server.stop();
        let copy = history.server.copy_files();
        history.server.start_again();
        write(&history.server, "before the return");
        history.back_up().await;

        history.server.stop();
        history.server.return_to(&copy);
        history.server.start_again();
        write(&history.server, "after the return");
        let record = history.back_up().await;
        assert!(record.progress.segments.segments_reused > 0, "the first attempt's rows are still there");
        history.wrong(&record).await
    })
    .await;
}

/// An archive of the write-ahead log, which the server's user may write.
fn archive() -> (TempDir, String) {
    let folder = tempfile::Builder::new().prefix("backup-test-").tempdir_in("/var/tmp").expect("make a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("may be written");
    let path = folder.path().display().to_string();
    (folder, path)
}

/// The history of a recovery: `settings` and the signal file decide which.
async fn recovered(hidden: &[Condition], signal: &str, settings: &str, promote: &str) -> Option<String> {
    let (_folder, archive) = archive();
    let archiving = format!("archive_command = 'cp %p {archive}/%f'");
    let history = History::begin(hidden, &["archive_mode = on", &archiving], TABLE);
    let server = &history.server;
    history.back_up().await;
    server.stop();
    let copy = server.copy_files();
    server.start_again();
    write(server, "in both");
    history.sql("select pg_create_restore_point('here')");
    let archived = history.sql("select pg_walfile_name(pg_switch_wal())");
    server.wait_until(DATABASE, &format!("select last_archived_wal >= '{archived}' from pg_stat_archiver"));
    write(server, "before the recovery");
    history.back_up().await;

    server.stop();
    if signal == "standby.signal" {
        // What a standby had received when its primary was lost.
        for file in std::fs::read_dir(&archive).expect("reads").map(|f| f.expect("a file").path()) {
            if file.file_name().is_some_and(|name| *name.to_string_lossy() > *archived) {
                std::fs::remove_file(file).expect("deletes");
            }
        }
    }
    server.return_to(&copy);
    server.append(signal, "");
    server.append("postgresql.auto.conf", &format!("restore_command = 'cp {archive}/%f %p'\n{settings}\n"));
    server.start_again();
    server.sql("postgres", promote);
    server.wait_until("postgres", "select not pg_is_in_recovery()");
    write(server, "after the recovery");
    let record = history.back_up().await;
    if hidden.is_empty() {
        let why = record.full_reason.as_deref().expect("read whole");
        assert!(why.contains("the timeline was 1"), "{why}");
    }
    history.wrong(&record).await
}

#[tokio::test]
async fn a_database_recovered_to_a_point_in_time_is_read_whole() {
    let settings = "recovery_target_name = 'here'\nrecovery_target_action = 'promote'";
    let history = async |hidden: &[Condition]| recovered(hidden, "recovery.signal", settings, "select 1").await;
    with_and_without(&[&[Condition::Lineage, Condition::Timeline]], history).await;
    // Either of the two is enough.
    require_right(history(&[Condition::Lineage]).await.as_deref());
    require_right(history(&[Condition::Timeline]).await.as_deref());
}

#[tokio::test]
async fn a_promoted_standby_is_read_whole() {
    let history = async |hidden: &[Condition]| recovered(hidden, "standby.signal", "", "select pg_promote()").await;
    with_and_without(&[&[Condition::Lineage, Condition::Timeline]], history).await;
}

#[tokio::test]
async fn a_crash_takes_no_row_from_a_database_that_a_backup_saw() {
    let hidden: &[Condition] = &[Condition::Lineage, Condition::Remembering];
    with_and_without(&[hidden], async |hidden| {
        let settings = ["wal_writer_delay = '10s'", "wal_writer_flush_after = '1GB'", "synchronous_commit = off"];
        let history = History::begin(hidden, &settings, TABLE);
        history.sql("checkpoint");
        write(&history.server, "before the crash");
        history.back_up().await;
        if hidden.is_empty() {
            // Seen by no backup.
            write(&history.server, "lost");
        }
        history.server.crash();
        history.server.start_again();
        let found = history.sql("select note from t where id = 1");
        match hidden {
            [] => assert_eq!(found, "before the crash", "the backup saw it, and nothing later was written"),
            _ => assert_ne!(found, "before the crash", "the crash came before the log was written"),
        }
        write(&history.server, "after the crash");
        let record = history.back_up().await;
        if hidden.is_empty() {
            assert!(record.progress.segments.segments_reused > 0, "{:?}", record.full_reason);
        }
        history.wrong(&record).await
    })
    .await;
}

#[tokio::test]
async fn another_cluster_is_not_taken_for_the_one_it_resembles() {
    with_and_without(&[&[Condition::Cluster]], async |hidden| {
        let table = "create table t (id int, note text)";
        let history = History::begin(hidden, &[], table);
        write_all_by(&history.server, "in the one");
        history.back_up().await;
        let remembered = history.sql("select id from backup_lineage.attempt");
        // Its twin was given the first one's memory, as a dump of all schemas would have it.
        let twin = History::begin(&[], &[], table);
        write_all_by(&twin.server, "in its twin");
        twin.sql(&format!("insert into backup_lineage.attempt (id, owner) values ('{remembered}', '')"));
        let record = history.back_up_server(&twin.server).await;
        history.wrong_of(&twin.server, &record).await
    })
    .await;
}

/// The low half of the id of the next transaction.
fn next_transaction(server: &Postgres) -> u64 {
    server
        .sql("postgres", "select pg_snapshot_xmax(pg_current_snapshot())::text::int8 % (2::int8 ^ 32)::int8")
        .parse()
        .expect("a number")
}

/// Lets the next transaction be the one with this id, in the next 2^32.
fn set_next_transaction(server: &Postgres, id: u64) {
    for database in ["postgres", "template1", DATABASE] {
        server.sql(database, "vacuum freeze");
    }
    server.stop();
    let files = server.files().display().to_string();
    server.program("pg_resetwal", &["--epoch=1", &format!("--next-transaction-id={id}"), &files]);
    server.start_again();
}

/// Begins transactions until the next is this one.
fn burn_until(server: &Postgres, id: u64) {
    server.sql(
        DATABASE,
        &format!(
            "do $$ begin while pg_snapshot_xmax(pg_current_snapshot())::text::int8 % (2::int8 ^ 32)::int8 < {id} loop
                perform pg_current_xact_id(); commit;
            end loop; end $$"
        ),
    );
    assert_eq!(next_transaction(server), id);
}

/// Before the id at which the rows are written, so that there is room to return to.
const ROWS_WRITTEN_BY: u64 = 3_000;

/// Rows of the transaction with that id, in the places of those that were there.
fn write_all_by(server: &Postgres, what: &str) {
    burn_until(server, ROWS_WRITTEN_BY);
    server.sql(DATABASE, &format!("insert into t select g, '{what}' from generate_series(1, 2000) as g"));
    assert_eq!(server.sql(DATABASE, "select distinct xmin from t"), ROWS_WRITTEN_BY.to_string());
}

#[tokio::test]
async fn a_transaction_id_that_came_again_after_two_to_the_32_is_not_the_old_one() {
    with_and_without(&[&[Condition::Age, Condition::NewestRow]], async |hidden| {
        let history = History::begin(hidden, &[], "create table t (id int, note text)");
        let server = &history.server;
        write_all_by(server, "the old");
        history.back_up().await;
        set_next_transaction(server, ROWS_WRITTEN_BY - 100);
        history.sql("delete from t");
        history.sql("vacuum t");
        write_all_by(server, "the new");
        let record = history.back_up().await;
        if hidden.is_empty() {
            let why = record.full_reason.as_deref().expect("read whole");
            assert!(why.contains("2^31 transactions or more"), "{why}");
        }
        history.wrong(&record).await
    })
    .await;
}

#[tokio::test]
async fn a_row_is_not_taken_for_one_that_was_frozen_two_to_the_32_transactions_ago() {
    with_and_without(&[&[Condition::NewestRow]], async |hidden| {
        let history = History::begin(hidden, &[], "create table t (id int, note text)");
        let server = &history.server;
        write_all_by(server, "the old");
        set_next_transaction(server, ROWS_WRITTEN_BY - 100);
        // The frozen rows are copied shortly before their id comes again.
        history.back_up().await;
        history.sql("delete from t");
        history.sql("vacuum t");
        write_all_by(server, "the new");
        let record = history.back_up().await;
        if hidden.is_empty() {
            assert_eq!(record.full_reason, None, "nothing else stands in the way");
        }
        history.wrong(&record).await
    })
    .await;
}
