//! What `backup` refuses, and how it says so: each leaves nothing in the vault, and a record that says why.

use crate::deployment::{Deployment, assert_says, server_with};
use crate::pooler::TransactionPooler;
use crate::postgres::{Postgres, checkout, programs, succeeded, tools};
use engine::catalog::{self, SnapshotRecord, Status};
use engine::error::{Error, ErrorKind};
use std::process::Command;
use testkit::KeyState;

/// A backup that must fail: gives the error, after requiring that it left nothing and said why.
async fn refused(deployment: &Deployment, url: &str) -> Error {
    let before = deployment.world.vaults[0].objects().len();
    let error = deployment.back_up(url).await.expect_err("refused");
    assert_eq!(deployment.world.vaults[0].objects().len(), before, "nothing is stored: {error}");
    let records = catalog::list::<SnapshotRecord>(&*deployment.world.catalog, None, 100).await.expect("lists").records;
    let told = records.iter().filter(|r| r.error.as_deref() == Some(error.to_string().as_str()));
    assert!(told.clone().count() > 0 && told.clone().all(|r| r.status == Status::Failed), "{error}: {records:?}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_or_database_is_refused_without_being_shown() {
    let (server, _) = server_with("source");
    let deployment = Deployment::new(10);
    let error = refused(&deployment, &server.url_as("postgres", "canary-password", "source")).await;
    assert_says(&error, ErrorKind::Invalid, &["correct the password"]);
    assert!(!error.to_string().contains("canary"), "{error}");
    let error = refused(&deployment, &server.database("nowhere")).await;
    assert_says(&error, ErrorKind::Invalid, &["nowhere", "correct the database name"]);
    let error = refused(&deployment, "postgres://u:p@127.0.0.1:1/d").await;
    assert_says(&error, ErrorKind::Unavailable, &["127.0.0.1:1", "cannot be reached"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_prove_who_it_is_is_refused() {
    let server = Postgres::start_version("17");
    server.sql("postgres", "create table t (n int); insert into t select generate_series(1, 1000)");
    let folder = tempfile::tempdir().expect("a folder");
    let mut make = Command::new(tools().join("bin/python"));
    make.arg(checkout("tests/fixtures/make_certificate.py")).arg(folder.path());
    succeeded(&make.output().expect("run python"), "make a certificate");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("reads");
    // Written by the server itself, so that they are its own, whoever it runs as.
    for (name, text) in [("server.crt", read("server.crt")), ("server.key", read("server.key"))] {
        let rows = text.lines().map(|l| format!("('{l}')")).collect::<Vec<_>>().join(", ");
        server.sql("postgres", &format!("copy (values {rows}) to program 'umask 077; cat > {name}'"));
    }
    server.sql("postgres", "alter system set ssl = on");
    server.sql("postgres", "select pg_reload_conf()");
    assert_eq!(server.sql("postgres", "show ssl"), "on");

    let url = format!("{}?sslmode=verify-full", server.url);
    let deployment = Deployment::new(11);
    let error = refused(&deployment, &url).await;
    assert_says(&error, ErrorKind::Invalid, &["did not prove who it is", "BACKUP_TLS_ROOTS"]);

    // With the right root everything goes over TLS, pg_dump included.
    let deployment = deployment.with_roots(folder.path().join("root.crt"));
    let record = deployment.back_up(&url).await.expect("backs up over TLS");
    assert_eq!(record.summary.expect("a summary").rows, 1000);
    // A certificate for another host is no proof.
    let error = refused(&deployment, &url.replace("127.0.0.1", "localhost")).await;
    assert_says(&error, ErrorKind::Invalid, &["did not prove who it is"]);
    // A server without TLS is not spoken to in the clear.
    let plain = Postgres::start();
    let error = refused(&deployment, &format!("{}?sslmode=require", plain.url)).await;
    assert_says(&error, ErrorKind::Invalid, &["does not speak TLS"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_is_refused() {
    let (server, url) = server_with("source");
    let deployment = Deployment::new(12);
    let pooler = TransactionPooler::start(&url).await;
    let error = refused(&deployment, &pooler.url()).await;
    assert_says(&error, ErrorKind::Unsupported, &["transaction mode", "5432"]);
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_stays_locked_is_named() {
    let (server, url) = server_with("source");
    server.sql("source", "create table orders (n int); create table free (n int)");
    let mut psql = Command::new(programs().join("psql"));
    psql.args(["--quiet", "--dbname", &url, "--command"]);
    let mut psql =
        psql.arg("begin; lock table orders in access exclusive mode; select pg_sleep(20)").spawn().expect("run psql");
    let locked = "select count(*) from pg_locks where relation = 'orders'::regclass and mode = 'AccessExclusiveLock'";
    while server.sql("source", locked) != "1" {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let error = refused(&Deployment::new(13), &url).await;
    assert_says(&error, ErrorKind::Unavailable, &["stayed locked for 2 s", "\"orders\""]);
    psql.kill().expect("ends psql");
    psql.wait().expect("psql ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_would_not_see_every_row_is_refused() {
    let (server, _) = server_with("source");
    server.sql(
        "source",
        "create table secrets (n int); alter table secrets enable row level security;
        create table closed (n int); create role reader login password 'r'; grant select on secrets to reader",
    );
    let deployment = Deployment::new(14);
    let url = server.url_as("reader", "r", "source");
    let error = refused(&deployment, &url).await;
    assert_says(&error, ErrorKind::Denied, &["\"closed\"", "pg_read_all_data"]);
    server.sql("source", "grant pg_read_all_data to reader");
    let error = refused(&deployment, &url).await;
    assert_says(&error, ErrorKind::Denied, &["\"secrets\"", "bypassrls"]);
    server.sql("source", "alter role reader bypassrls");
    deployment.back_up(&url).await.expect("backs up with the right role");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_old_or_newer_than_the_client_is_refused() {
    let deployment = Deployment::new(15);
    for (version, parts) in
        [("13.9", ["PostgreSQL 13.9", "14 or newer"]), ("99.1", ["PostgreSQL 99.1", "client layer of version 99"])]
    {
        let pooler = TransactionPooler::that_says(version).await;
        let error = refused(&deployment, &pooler.url()).await;
        assert_says(&error, ErrorKind::Unsupported, &parts);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_used_stops_a_backup_before_it_reads() {
    let (_server, url) = server_with("source");
    let deployment = Deployment::new(16);
    deployment.world.keys[0].set_state(KeyState::Disabled);
    assert_says(&refused(&deployment, &url).await, ErrorKind::Denied, &["data key"]);
    deployment.world.keys[0].set_state(KeyState::Missing);
    assert_says(&refused(&deployment, &url).await, ErrorKind::NotFound, &["data key"]);
    deployment.world.keys[0].set_state(KeyState::Enabled);
    deployment.world.vaults[0].set_versioned(false);
    assert_says(&refused(&deployment, &url).await, ErrorKind::Invalid, &["version"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_backups_at_once_one_is_made_and_the_other_says_which_runs() {
    use engine::catalog::Trigger;
    use engine::ops::backup::{BackupOutcome, BackupRequest};
    use engine::queue::BackupOrder;
    let (server, url) = server_with("source");
    server.sql("source", "create table t as select n, md5(n::text) as text from generate_series(1, 200000) as n");
    let deployment = Deployment::new(17);
    let request = BackupRequest { order: BackupOrder::new(Trigger::Manual), deadline: None };
    let (first, second) = (deployment.backup(&url), deployment.backup(&url));
    let (one, other) = tokio::join!(first.run(request.clone()), second.run(request));
    let outcomes = [one.expect("no error"), other.expect("no error")];
    let committed: Vec<_> =
        outcomes.iter().filter_map(|o| if let BackupOutcome::Committed(r) = o { Some(r.id) } else { None }).collect();
    let busy: Vec<_> =
        outcomes.iter().filter_map(|o| if let BackupOutcome::Busy(why) = o { Some(why) } else { None }).collect();
    assert_eq!((committed.len(), busy.len()), (1, 1));
    assert!(busy[0].contains(&committed[0].to_string()), "{}", busy[0]);
    deployment.back_up(&url).await.expect("the lease was given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_truncated_as_the_backup_begins_is_never_read_as_empty() {
    let (server, url) = server_with("source");
    server.sql("source", "create table t as select n from generate_series(1, 50000) as n");
    let deployment = Deployment::new(18);
    // Rewrites without end: each snapshot either sees all rows, or is taken again.
    let writer_url = url.clone();
    let writer = std::thread::spawn(move || {
        let rewrite = "begin; truncate t; insert into t select generate_series(1, 50000); commit";
        for _ in 0..40 {
            let mut psql = Command::new(programs().join("psql"));
            let wrote =
                psql.args(["--quiet", "--dbname", &writer_url, "--command", rewrite]).output().expect("run psql");
            assert!(wrote.status.success(), "{wrote:?}");
        }
    });
    for _ in 0..4 {
        match deployment.back_up(&url).await {
            Ok(record) => assert_eq!(record.summary.expect("a summary").rows, 50_000),
            Err(e) => assert!(matches!(e.kind(), ErrorKind::Conflict | ErrorKind::Unavailable), "{e}"),
        }
    }
    writer.join().expect("the writer ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_a_record_a_key_or_clear_metadata() {
    let (server, _) = server_with("source");
    server.sql(
        "source",
        "create table canary_table (canary_column text); insert into canary_table values ('canary-row')",
    );
    server.sql("source", "create role canary_role login superuser password 'canary-password'");
    let deployment = Deployment::new(19);
    deployment.back_up(&server.url_as("canary_role", "canary-password", "source")).await.expect("backs up");
    for (key, bytes) in deployment.world.vaults[0].objects() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!key.contains("canary") && !text.contains("canary"), "{key}");
    }
    let records = catalog::list::<SnapshotRecord>(&*deployment.world.catalog, None, 10).await.expect("lists").records;
    assert!(!format!("{records:?}").contains("canary"));
}
