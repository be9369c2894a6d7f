//! Every version of PostgreSQL as source and as target, with every kind of object in the database.

use crate::deployment::{Deployment, assert_says};
use crate::postgres::{Postgres, checkout, programs, succeeded, tools};
use engine::catalog::SnapshotRecord;
use engine::error::ErrorKind;
use pg::{Clients, PgSource, SourceSettings};
use std::process::Command;

const VERSIONS: [&str; 3] = ["15", "17", "18"];

impl Postgres {
    /// Fills a database with one object of each kind.
    fn load_objects(&self, database: &str) {
        let mut psql = Command::new(programs().join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--set=ON_ERROR_STOP=1", "--dbname"]);
        psql.arg(self.database(database)).arg("--file").arg(checkout("tests/fixtures/objects.sql"));
        succeeded(&psql.output().expect("run psql"), "make one object of each kind");
    }
}

/// From a server into itself and into every newer one; and a second backup, which uses the first one's rows again.
async fn from_version(source: &str, seed: u64) {
    let server = Postgres::start_version(source);
    for database in ["objects", "sample"] {
        let url = server.create(database);
        match database {
            "objects" => server.load_objects(database),
            _ => server.load_sample(database, 50),
        }
        server.remember(database);
        let deployment = Deployment::new(seed);
        deployment.back_up(&url).await.unwrap_or_else(|e| panic!("{source} {database}: {e}"));
        let mut again = deployment.back_up(&url).await.unwrap_or_else(|e| panic!("{source} {database}: {e}"));
        assert_eq!(again.full_reason, None, "{source} {database}");
        assert!(
            again.progress.segments.segments_reused > again.progress.segments.segments_copied,
            "{source} {database}"
        );
        let same = format!("{database}_restored");
        deployment
            .restore_newest(0, &server.create(&same))
            .await
            .unwrap_or_else(|e| panic!("{source} {database}: {e}"));
        server.require_identical(database, &same);
        for target in VERSIONS.iter().skip_while(|v| **v != source).skip(1) {
            let newer = Postgres::start_version(target);
            again = without_missing_extensions(&server, &newer, database, &deployment, again).await;
            let restored = deployment.restore_newest(0, &newer.create(database)).await;
            let restored = restored.unwrap_or_else(|e| panic!("{source} to {target} {database}: {e}"));
            assert_eq!(Some(restored.rows), again.summary.as_ref().map(|s| s.rows), "{source} to {target} {database}");
        }
    }
}

/// A backup that needs an extension that the target's server lacks is refused, and nothing is written. Then the source
/// does without them, and is backed up again.
async fn without_missing_extensions(
    source: &Postgres,
    target: &Postgres,
    database: &str,
    deployment: &Deployment,
    last: SnapshotRecord,
) -> SnapshotRecord {
    let available = target.sql("postgres", "select string_agg(quote_literal(name), ', ') from pg_available_extensions");
    let missing = source.sql(
        database,
        &format!("select string_agg(quote_ident(extname), ',' order by extname) from pg_extension where extname not in ({available})"),
    );
    if missing.is_empty() {
        return last;
    }
    let refused = deployment.restore_newest(0, &target.create("refused")).await.expect_err("refused");
    let names: Vec<String> = missing.split(',').map(|name| name.replace('"', "")).collect();
    let names: Vec<&str> =
        names.iter().map(String::as_str).chain(["lacks extensions", "nothing was changed"]).collect();
    assert_says(&refused, ErrorKind::Unsupported, &names);
    assert_eq!(target.sql("refused", "select count(*) from pg_namespace where nspname like 'backup%'"), "0");
    source.sql(database, &format!("drop extension {missing} cascade"));
    deployment.back_up(&source.database(database)).await.expect("backs up without them")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_a_database_of_15_comes_back_in_15_and_newer() {
    from_version("15", 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_a_database_of_17_comes_back_in_17_and_newer() {
    from_version("17", 41).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_a_database_of_18_comes_back() {
    from_version("18", 42).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_newer_than_the_clients_is_refused() {
    let server = Postgres::start();
    let deployment = Deployment::new(43);
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(tools().join("clients/pg_dump-17"), folder.path().join("pg_dump-17")).expect("links");
    let mut backup = deployment.backup(&server.url);
    backup.source = std::sync::Arc::new(PgSource::new(SourceSettings {
        clients: Clients::new(folder.path()),
        ..deployment.source(&server.url)
    }));
    let error = deployment.run(backup).await.expect_err("refused");
    assert_says(
        &error,
        ErrorKind::Unsupported,
        &["the server is PostgreSQL 18", "the newest pg_dump is of version 17", "client layer"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_that_an_extension_marked_as_its_owners_come_back_and_its_own_stay_its_own() {
    let folder = tempfile::Builder::new().prefix("backup-test-").tempdir_in("/var/tmp").expect("a folder");
    let extension = folder.path().join("extension");
    std::fs::create_dir(&extension).expect("makes");
    let write = |name: &str, text: &str| std::fs::write(extension.join(name), text).expect("writes");
    write("shop_settings.control", "default_version = '1'\nrelocatable = false\nschema = shop\n");
    write(
        "shop_settings--1.sql",
        "create table shop.setting (id int generated by default as identity, name text, own boolean default false);
        insert into shop.setting (name, own) values ('the extension''s', true);
        create table shop.journal (n int); insert into shop.journal values (1);
        create table shop.all_rows (n int);
        select pg_extension_config_dump('shop.setting', 'where not setting.own');
        select pg_extension_config_dump('shop.setting_id_seq', '');
        select pg_extension_config_dump('shop.all_rows', '');",
    );
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("may be entered");
    let server = Postgres::start();
    server.sql("postgres", &format!("alter system set extension_control_path = '{}:$system'", folder.path().display()));
    server.sql("postgres", "select pg_reload_conf()");
    let url = server.create("source");
    server.sql("source", "create schema shop");
    server.sql("source", "create extension shop_settings");
    server.sql(
        "source",
        "insert into shop.setting (name) values ('the owner''s'), ('another'); insert into shop.all_rows values (7)",
    );
    let deployment = Deployment::new(44);
    let record = deployment.back_up(&url).await.expect("backs up");
    let warning = record.warnings.iter().find(|w| w.code == "extension_table").expect("a warning");
    assert!(warning.message.contains("the rows of journal are not backed up"), "{warning:?}");
    deployment.restore_newest(0, &server.create("target")).await.expect("restores");
    server.require_identical("source", "target");
    assert_eq!(server.sql("target", "select count(*) filter (where own), count(*) from shop.setting"), "1|3");
}
