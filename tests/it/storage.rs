//! The objects of Supabase Storage: copied when they changed, put back through the project's endpoint.

use crate::deployment::{Deployment, assert_says, server_with};
use crate::postgres::Postgres;
use crate::scene::Scene;
use engine::catalog::{SnapshotRecord, Status, Trigger};
use engine::error::{ErrorKind, Result};
use engine::ops::backup::BackupOutcome;
use engine::ops::restore::{RestoreRequest, Restored, Selection};
use engine::queue::BackupOrder;
use engine::scope::Scope;
use engine::source::CoverageState;
use std::sync::Arc;
use std::time::Duration;
use testkit::{FaultScript, MemoryStorage, MemoryTarget};

fn counts(record: &SnapshotRecord) -> (u64, u64, u64) {
    let blobs = record.progress.blobs;
    (blobs.blobs, blobs.blob_bytes_copied, blobs.blob_bytes_reused)
}

#[tokio::test]
async fn an_object_is_copied_again_only_when_it_was_written_again() {
    let scene = Scene::with_objects();
    let first = scene.committed().await;
    assert_eq!(counts(&first), (3, 11, 0));
    assert_eq!(counts(&scene.committed().await), (3, 0, 11));
    // The same bytes, but written again: the project calls them another version.
    scene.storage.write("avatars", "ana.png", "a portrait");
    scene.storage.write("avatars", "new.png", "new");
    scene.storage.delete("scans", "a/b");
    assert_eq!(counts(&scene.committed().await), (3, 13, 0));
    scene.deliver_events().await;
    for region in 0..3 {
        let (target, objects) = (MemoryTarget::new(FaultScript::new()), MemoryStorage::new(FaultScript::new()));
        let restored = scene.restore_to(region, Selection::Newest, &target, &objects).await.expect("restores");
        assert_eq!((restored.blobs.blobs, restored.blobs.blob_bytes), (3, 13));
        assert_eq!(objects.contents(), scene.storage.contents());
        // What an older snapshot holds comes back as it was then.
        let (target, objects) = (MemoryTarget::new(FaultScript::new()), MemoryStorage::new(FaultScript::new()));
        scene.restore_to(region, Selection::Snapshot(first.id), &target, &objects).await.expect("restores");
        let names: Vec<String> =
            objects.contents().into_keys().map(|(bucket, name)| format!("{bucket}/{name}")).collect();
        assert_eq!(names, ["avatars/ana.png", "scans/a/b", "scans/empty"]);
    }
}

#[tokio::test]
async fn a_bucket_can_be_backed_up_alone_and_the_snapshot_is_whole_all_the_same() {
    let scene = Scene::with_objects();
    scene.committed().await;
    scene.storage.write("avatars", "ana.png", "a new portrait");
    scene.storage.write("scans", "a/b", "another b");
    scene.storage.write("scans", "new", "new");
    scene.source.write("large", 5, "changed");
    let order = BackupOrder { source: Some("bucket:avatars".to_owned()), ..BackupOrder::new(Trigger::Manual) };
    let BackupOutcome::Committed(record) = scene.run(order, None).await.expect("backs up") else { panic!("committed") };
    // The object that no backup has is copied too, or the snapshot would lack it.
    assert_eq!(counts(&record), (4, 17, 1));
    assert_eq!(record.progress.segments.segments_copied, 0);
    let (target, objects) = (MemoryTarget::new(FaultScript::new()), MemoryStorage::new(FaultScript::new()));
    scene.restore_to(0, Selection::Newest, &target, &objects).await.expect("restores");
    let content = |bucket: &str, name: &str| objects.contents()[&(bucket.to_owned(), name.to_owned())].clone();
    assert_eq!(content("avatars", "ana.png"), "a new portrait");
    assert_eq!(content("scans", "a/b"), "b", "as the last backup has it");
    assert_eq!(content("scans", "new"), "new");
    let unknown = BackupOrder { source: Some("bucket:photos".to_owned()), ..BackupOrder::new(Trigger::Manual) };
    let error = scene.run(unknown, None).await.expect_err("refused");
    assert_says(&error, ErrorKind::Invalid, &["`bucket:photos`", "bucket:avatars"]);
}

#[tokio::test]
async fn objects_that_do_not_fit_into_one_invocation_are_copied_in_several() {
    let scene = Scene::with_objects();
    for number in 0..2_000 {
        scene.storage.write("many", &format!("{number}"), vec![b'x'; 10_000]);
    }
    let (mut order, mut invocations) = (BackupOrder::new(Trigger::Schedule), 0);
    let record = loop {
        invocations += 1;
        assert!(invocations < 50, "it does not end");
        match scene.run(order, Some(6)).await.expect("runs") {
            BackupOutcome::Committed(record) => break record,
            BackupOutcome::HandedOver(record) => {
                assert_eq!(record.status, Status::InProgress);
                order = scene.world.queue.take().expect("an order");
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(record.hand_overs.count >= 4, "{:?}", record.hand_overs);
    assert_eq!(record.progress.blobs.blobs, 2_003);
    assert!(record.progress.blobs.blob_bytes_reused > 0);
    assert!(record.progress.segments.segments_reused > 0, "the rows were not read again: {:?}", record.progress);
    let (target, objects) = (MemoryTarget::new(FaultScript::new()), MemoryStorage::new(FaultScript::new()));
    scene.restore_to(0, Selection::Newest, &target, &objects).await.expect("restores");
    assert_eq!(objects.contents(), scene.storage.contents());
}

#[tokio::test]
async fn a_rotten_blob_is_found_and_nothing_of_it_is_put() {
    let scene = Scene::with_objects();
    scene.committed().await;
    let vault = &scene.world.vaults[0];
    let pack = vault.objects().into_keys().find(|k| k.starts_with("v1/packs/")).expect("a pack");
    assert!(vault.rot(&pack, |bytes| {
        let middle = bytes.len() - 100;
        bytes[middle] ^= 1;
    }));
    let (target, objects) = (MemoryTarget::new(FaultScript::new()), MemoryStorage::new(FaultScript::new()));
    let error = scene.restore_to(0, Selection::Newest, &target, &objects).await.expect_err("is found");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let whole = scene.storage.contents();
    assert!(objects.contents().iter().all(|(name, content)| whole.get(name) == Some(content)));
}

impl Deployment {
    /// With Storage on both sides.
    fn with_storages(mut self) -> (Self, MemoryStorage, MemoryStorage) {
        let (from, to) = (MemoryStorage::new(FaultScript::new()), MemoryStorage::new(FaultScript::new()));
        self.storages = [Some(Arc::new(from.clone())), Some(Arc::new(to.clone()))];
        (self, from, to)
    }

    async fn restore_part(&self, url: &str, scope: Option<&str>, masked: bool) -> Result<Restored> {
        let scope: Option<Scope> = scope.map(|s| serde_json::from_str(s).expect("a scope"));
        self.restore(0, url).run(RestoreRequest { scope, masked, ..Selection::Newest.into() }).await
    }
}

/// Lists the objects in the database, as the project's service does.
fn list(server: &Postgres, objects: &MemoryStorage) {
    server.sql("source", "delete from storage.objects");
    for object in objects.list() {
        let (tag, bytes) = (object.etag.expect("a tag"), object.bytes.expect("bytes"));
        server.sql("source", &format!(
            "insert into storage.buckets (id, name) values ('{b}', '{b}') on conflict do nothing;
            insert into storage.objects (bucket_id, name, version, metadata)
            values ('{b}', '{}', '{}', jsonb_build_object('eTag', '\"{tag}\"', 'size', {bytes}, 'mimetype', 'text/plain'))",
            object.name,
            object.version.expect("a version"),
            b = object.bucket
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_objects_of_a_project_are_those_that_its_database_lists() {
    let server = Postgres::start();
    server.create_project("source");
    let source = server.database("source");
    let (deployment, from, to) = Deployment::new(85).with_storages();
    from.write("avatars", "ana.png", "a portrait");
    from.write("avatars", "eva.png", "another");
    from.write("scans", "bill.pdf", vec![7u8; 300_000]);
    list(&server, &from);
    // Between the transaction snapshot and its turn one is deleted, and one is written again.
    from.delete("avatars", "eva.png");
    from.write("scans", "bill.pdf", vec![8u8; 300_001]);
    let record = deployment.back_up(&source).await.expect("backs up");
    let manifest = deployment.manifest(&record).await;
    let coverage = manifest.coverage.iter().find(|c| c.part == "storage objects").expect("is told");
    assert_eq!(coverage.state, CoverageState::BackedUp);
    let warned = |code: &str, name: &str| record.warnings.iter().any(|w| w.code == code && w.message.contains(name));
    assert!(
        warned("storage_gone", "1 of bucket avatars") && warned("storage_newer", "1 of bucket scans"),
        "{record:?}"
    );
    // Their names are rows of the source.
    assert!(record.warnings.iter().all(|w| !w.message.contains("eva") && !w.message.contains("bill")), "{record:?}");
    let bill = manifest.blobs.iter().find(|b| b.object.name == "bill.pdf").expect("is there");
    assert!(bill.content.as_ref().is_some_and(|c| c.newer && c.length == 300_001));

    // In a new project: rows and objects.
    let target = server.create_project("target");
    let restored = deployment.restore_newest(0, &target).await.expect("restores");
    assert_eq!(restored.blobs.blobs, 2, "{restored:?}");
    assert_eq!(to.contents(), from.contents());
    assert_eq!(server.sql("target", "select count(*) from storage.objects"), "3");
    // In a project that is in use, a bucket alone: what is there with another content stays, and is told.
    to.write("avatars", "ana.png", "a newer portrait");
    to.delete("scans", "bill.pdf");
    let restored =
        deployment.restore_part(&target, Some(r#"{"buckets":["avatars","scans"]}"#), false).await.expect("restores");
    assert_eq!((restored.tables, restored.blobs.blobs), (0, 1));
    assert!(
        restored.warnings.iter().any(|w| w.code == "storage_kept" && w.message.contains("1 of bucket avatars")),
        "{restored:?}"
    );
    assert_eq!(to.contents()[&("avatars".to_owned(), "ana.png".to_owned())], "a newer portrait");
    assert_eq!(to.contents().len(), 2);
    let unknown =
        deployment.restore_part(&target, Some(r#"{"buckets":["photos"]}"#), false).await.expect_err("refused");
    assert_says(&unknown, ErrorKind::Invalid, &["`photos`", "avatars, scans"]);

    // Others than production get no objects.
    let (mut deployment, masked) = (deployment, server.create("masked"));
    let elsewhere = MemoryStorage::new(FaultScript::new());
    deployment.storages[1] = Some(Arc::new(elsewhere.clone()));
    let restored = deployment.restore_part(&masked, None, true).await.expect("restores");
    assert!(
        elsewhere.contents().is_empty() && restored.warnings.iter().any(|w| w.code == "storage_left_out"),
        "{restored:?}"
    );
    // Nobody is told that all is well when objects are missing.
    deployment.storages = [None, None];
    let record = deployment.back_up(&source).await.expect("backs up");
    assert!(record.warnings.iter().any(|w| w.code == "storage_not_configured"), "{record:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_among_the_objects_goes_on_there() {
    let (server, _) = server_with("unused");
    server.create_project("source");
    let (mut deployment, from, _) = Deployment::new(86).with_storages();
    for number in 0..200 {
        from.write("many", &format!("{number}"), format!("content {number}"));
    }
    list(&server, &from);
    deployment.back_up(&server.database("source")).await.expect("backs up");
    let target = server.create_project("target");
    // The project's service writes to its list when an object is put: that is no reason to take the restore for a wrong one.
    let faults = FaultScript::new();
    let to = MemoryStorage::new(faults.clone());
    deployment.storages[1] = Some(Arc::new(to.clone()));
    faults.arm(301, testkit::When::ForGood, ErrorKind::Unavailable);
    deployment.restore_newest(0, &target).await.expect_err("is interrupted");
    let before = to.contents().len();
    assert!(before > 10 && before < 200, "{before}");
    server.sql("target", "update storage.objects set updated_at = now() + interval '1 day'");
    faults.heal();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let restored = deployment.restore_newest(0, &target).await.expect("goes on");
    assert_eq!(restored.blobs.blobs, 200);
    assert_eq!(to.contents(), from.contents());
    assert_eq!(server.sql("target", "select count(*) from pg_namespace where nspname = 'backup_restore'"), "0");
}
