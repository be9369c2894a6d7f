//! What `restore` refuses, and what it does when it is interrupted. A refusal leaves the target as it was.

use crate::deployment::{Deployment, assert_says, server_with};
use crate::postgres::Postgres;
use engine::compress;
use engine::error::ErrorKind;
use engine::inventory::{self, Inventory};
use engine::keyring::Purpose;
use engine::layout::ObjectKey;
use engine::manifest::Manifest;
use engine::object::ObjectRef;
use engine::ops::restore::Selection;
use engine::vault::Vault;
use std::process::Command;
use std::time::Duration;

/// A server with a table of some segments, and a deployment with a backup of it in the primary vault.
async fn backed_up(seed: u64) -> (Postgres, Deployment) {
    let (server, url) = server_with("source");
    server.sql(
        "source",
        "create table a as select n, md5(n::text) as text from generate_series(1, 60000) as n;
        create index on a (n); create table b as select n from generate_series(1, 1000) as n",
    );
    let deployment = Deployment::new(seed);
    deployment.back_up(&url).await.expect("backs up");
    (server, deployment)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_not_empty_is_refused_and_named() {
    let (server, deployment) = backed_up(20).await;
    let target = server.create("target");
    for (statement, name) in [
        ("create table precious (n int)", "relation public.precious"),
        ("drop table precious; create schema other", "schema other"),
        ("drop schema other; create function f() returns int language sql as 'select 1'", "function public.f"),
        ("drop function f(); create type colour as enum ('red')", "type public.colour"),
        ("drop type colour; select lo_create(4711)", "large object 4711"),
        ("select lo_unlink(4711); create publication p for all tables", "publication p"),
    ] {
        server.sql("target", statement);
        let error = deployment.restore_newest(0, &target).await.expect_err("refused");
        assert_says(&error, ErrorKind::Invalid, &["not empty", name, "nothing was changed"]);
        assert_eq!(server.sql("target", "select count(*) from pg_namespace where nspname = 'backup_restore'"), "0");
    }
    server.sql("target", "drop publication p");
    deployment.restore_newest(0, &target).await.expect("an empty one is taken");
    server.require_identical("source", "target");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_not_what_was_stored_is_refused_before_the_target_is_touched() {
    let (server, deployment) = backed_up(21).await;
    let target = server.create("target");
    let vault = &deployment.world.vaults[0];
    let objects = vault.objects();
    for (key, bytes) in &objects {
        let other = objects.keys().find(|k| *k != key).expect("another object");
        let damages: [(&str, Vec<u8>); 4] = [
            ("flipped", bytes.iter().enumerate().map(|(i, b)| if i == bytes.len() / 2 { b ^ 1 } else { *b }).collect()),
            ("truncated", bytes[..bytes.len() - 1].to_vec()),
            ("swapped", objects[other].to_vec()),
            ("foreign", b"not ours".to_vec()),
        ];
        for (damage, damaged) in damages {
            if key.ends_with("inventory.json") && !changes_meaning(bytes, &damaged) {
                continue;
            }
            // As one who may write the bucket would do it: the store's own checksum fits.
            vault.remove(key);
            vault.plant(key, damaged);
            let error = deployment.restore_newest(0, &target).await.expect_err(&format!("{key} {damage}"));
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{key} {damage}: {error}");
            assert_eq!(
                server.sql("target", "select count(*) from pg_namespace where nspname = 'backup_restore'"),
                "0",
                "{key} {damage}"
            );
        }
        vault.remove(key);
        let error = deployment.restore_newest(0, &target).await.expect_err(key);
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound), "{key} missing: {error}");
        vault.plant(key, bytes.clone());
    }
    deployment.restore_newest(0, &target).await.expect("whole again, it restores");
    server.require_identical("source", "target");
}

/// Whether a change to a clear document is more than white space.
fn changes_meaning(before: &[u8], after: &[u8]) -> bool {
    let parse = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    parse(before) != parse(after)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_that_rots_under_a_right_checksum_fails_its_segment_and_not_in_silence() {
    let (server, deployment) = backed_up(22).await;
    let target = server.create("target");
    let vault = &deployment.world.vaults[0];
    // The listing and the checksum look right, the bytes that are read are not.
    let pack = vault.objects().keys().find(|k| k.starts_with("v1/packs/")).cloned().expect("a pack");
    assert!(vault.rot(&pack, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
    }));
    let error = deployment.restore_newest(0, &target).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    // The segment that failed left no row, and the restore is not said to have ended.
    assert_eq!(server.sql("target", "select phase from backup_restore.restore"), "loading");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_or_an_inventory_of_a_newer_format_is_refused_with_advice() {
    let (server, deployment) = backed_up(23).await;
    let target = server.create("target");
    let vault = &deployment.world.vaults[0];
    let id = inventory::list(&**vault).await.expect("lists")[0];
    let (old, _) = inventory::read(&**vault, id).await.expect("reads");
    let keyring = deployment.keyring(0);
    let sealed = vault.get(&old.manifest.key).await.expect("reads");
    let mut manifest = Manifest::open(&keyring, old.attempt, &sealed).await.expect("opens");
    manifest.format = 2;
    let key = keyring.seal_key(Purpose::Manifest, old.attempt).await.expect("a key");
    let body = manifest.seal(&keyring, &key, 1).expect("seals");
    let replant = |inventory: &Inventory| {
        let text = serde_json::to_vec(inventory).expect("writes");
        let name = ObjectKey::Inventory(id).to_string();
        vault.remove(&name);
        vault.plant(&name, text);
    };
    vault.remove(&old.manifest.key.to_string());
    vault.plant(&old.manifest.key.to_string(), body.bytes().clone());
    replant(&Inventory { manifest: ObjectRef::of(old.manifest.key, &body), ..old.clone() });
    let error = deployment.restore_newest(0, &target).await.expect_err("refused");
    assert_says(&error, ErrorKind::Unsupported, &["manifest is of format 2", "newer version"]);
    replant(&Inventory { format: 3, ..old });
    let error = deployment.restore_newest(0, &target).await.expect_err("refused");
    assert_says(&error, ErrorKind::Unsupported, &["inventory is of format 3", "newer version"]);
    // A decompression bomb is not a manifest.
    assert!(compress::compress(&vec![0; 1 << 20], 1).is_ok_and(|c| compress::decompress(&c, 1 << 19).is_err()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_and_not_there_is_refused_with_what_there_is() {
    let (server, deployment) = backed_up(24).await;
    let target = server.create("target");
    let restore = deployment.restore(0, &target);
    let unknown = Selection::Snapshot("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071".parse().expect("an id"));
    assert_says(&restore.run(unknown).await.expect_err("refused"), ErrorKind::NotFound, &["019ab3c4", "it holds 1"]);
    let instant = Selection::AtOrBefore("2020-01-01T00:00:00Z".to_owned().try_into().expect("an instant"));
    assert_says(&restore.run(instant).await.expect_err("refused"), ErrorKind::NotFound, &["2020-01-01", "it holds 1"]);
    // The other vault holds nothing yet.
    let empty = deployment.restore(1, &target).run(Selection::Newest).await.expect_err("refused");
    assert_says(&empty, ErrorKind::NotFound, &["us-east-1", "none at all"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_newer_server_is_refused_by_an_older_one_and_an_older_backup_is_not_by_a_newer() {
    let (_source, deployment) = backed_up(25).await;
    let older = Postgres::start_version("17");
    let error = deployment.restore_newest(0, &older.create("target")).await.expect_err("refused");
    assert_says(&error, ErrorKind::Unsupported, &["PostgreSQL 18", "target is PostgreSQL 17"]);

    older.sql("postgres", "create table t as select n from generate_series(1, 100) as n");
    let deployment = Deployment::new(26);
    deployment.back_up(&older.url).await.expect("backs up 17 with the client of 18");
    deployment.restore_newest(0, &older.create("same")).await.expect("restores into 17");
    older.require_identical("postgres", "same");
    let newer = Postgres::start();
    deployment.restore_newest(0, &newer.create("newer")).await.expect("restores into 18");
    assert_eq!(newer.sql("newer", "select count(*), sum(n) from t"), "100|5050");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_anywhere_and_run_again_ends_in_the_same_database() {
    let (server, source) = server_with("source");
    server.load_sample("source", 50);
    let deployment = Deployment::new(27);
    let record = deployment.back_up(&source).await.expect("backs up");
    let target = server.create("target");
    let mut kills = 0;
    for after_ms in [150, 400, 700, 1_000, 1_300, 1_600, 2_000, 2_400, 2_800, 3_200] {
        let restore = deployment.restore(0, &target);
        match tokio::time::timeout(Duration::from_millis(after_ms), restore.run(Selection::Newest)).await {
            Err(_) => kills += 1,
            // The sessions of the one that was killed are still there: a person would try again too.
            Ok(Err(e)) if e.kind() == ErrorKind::Unavailable => kills += 1,
            Ok(Err(e)) => panic!("after {kills} kills: {e}"),
            Ok(Ok(_)) => break,
        }
    }
    assert!(kills > 0, "nothing was interrupted");
    if server.sql("target", "select count(*) from pg_namespace where nspname = 'backup_restore'") == "1" {
        let mut tries = 0;
        while let Err(e) = deployment.restore_newest(0, &target).await {
            assert!(e.kind() == ErrorKind::Unavailable && tries < 50, "after {kills} kills: {e}");
            tries += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    server.require_identical("source", "target");
    let other = Deployment::new(28);
    other.back_up(&source).await.expect("backs up");
    let error = other.restore_newest(0, &target).await.expect_err("a restored database is not empty");
    assert_says(&error, ErrorKind::Invalid, &["not empty"]);
    assert!(record.summary.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_restores_into_one_database_exclude_each_other() {
    let (server, deployment) = backed_up(29).await;
    let target = server.create("target");
    let (one, other) = (deployment.restore(0, &target), deployment.restore(0, &target));
    let (one, other) = tokio::join!(one.run(Selection::Newest), other.run(Selection::Newest));
    let refused = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(refused.len(), 1);
    assert_says(&refused[0], ErrorKind::Unavailable, &["another restore"]);
    server.require_identical("source", "target");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_two_hundred_megabytes_comes_back() {
    let (server, source) = server_with("source");
    server.sql(
        "source",
        "create table wide (n int, data bytea);
        insert into wide values (1, 'small');
        insert into wide select 2, decode(repeat(md5('gas'), 6250000), 'hex');
        insert into wide select 3, convert_to(string_agg(md5(n::text), ''), 'UTF8') from generate_series(1, 300000) as n",
    );
    assert_eq!(server.sql("source", "select max(length(data)) from wide"), "100000000");
    let deployment = Deployment::new(30);
    let record = deployment.back_up(&source).await.expect("backs up");
    assert!(record.summary.expect("a summary").bytes > 200_000_000, "a row's text is over 200 MB");
    deployment.restore_newest(0, &server.create("target")).await.expect("restores");
    let digest = "select n, length(data), md5(data) from wide order by n";
    assert_eq!(server.sql("target", digest), server.sql("source", digest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_needs_a_primary_key_comes_back_with_the_index_that_needs_the_view() {
    let (server, source) = server_with("source");
    server.sql(
        "source",
        "create table a (id int primary key, text text); insert into a select n, n::text from generate_series(1, 1000) as n;
        create materialized view grouped as select id, text, count(*) from a group by id;
        create unique index on grouped (id)",
    );
    let deployment = Deployment::new(32);
    deployment.back_up(&source).await.expect("backs up");
    deployment.restore_newest(0, &server.create("target")).await.expect("restores");
    server.require_identical("source", "target");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_values_that_would_break_a_script_come_back() {
    let (server, source) = server_with("source");
    let statements = r#"
        create schema "a""b; drop table x --";
        create table "a""b; drop table x --"."naïve 'table' \ 🚚" ("se""lect" text, "line
break" int, empty text);
        insert into "a""b; drop table x --"."naïve 'table' \ 🚚" values
            (E'tab\tnewline\nreturn\rbackslash\\.\\N', 1, ''), (E'\\.', 2, null), ('\restrict x', 3, '\copy'), (null, null, null);
        create function strange() returns text language sql as $f$ select $t$
\restrict abc
SET transaction_timeout = 0;
\unrestrict abc
$t$ $f$;
        create table no_columns (); insert into no_columns default values; insert into no_columns default values"#;
    let mut psql = Command::new(crate::postgres::programs().join("psql"));
    psql.args(["--quiet", "--set=ON_ERROR_STOP=1", "--dbname", &source, "--command", statements]);
    assert!(psql.status().expect("run psql").success());
    let deployment = Deployment::new(31);
    deployment.back_up(&source).await.expect("backs up");
    deployment.restore_newest(0, &server.create("target")).await.expect("restores");
    server.require_identical("source", "target");
}
