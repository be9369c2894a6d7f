//! Replication from events that come twice, late, out of order or not at all; and from vaults that are not well.

use crate::deployment::{Deployment, server_with};
use engine::catalog::{ReplicaState, Status};
use engine::error::ErrorKind;
use engine::id::SnapshotId;
use engine::layout::ObjectKey;
use engine::ops::backup::record;
use engine::vault::VaultRole;
use testkit::SeededEntropy;

async fn backed_up(seed: u64) -> (Deployment, SnapshotId) {
    let (server, url) = server_with("source");
    server.sql("source", "create table a as select n, md5(n::text) as text from generate_series(1, 20000) as n");
    let deployment = Deployment::new(seed);
    let id = deployment.back_up(&url).await.expect("backs up").id;
    (deployment, id)
}

fn keys(deployment: &Deployment, vault: usize) -> Vec<ObjectKey> {
    deployment.world.vaults[vault].objects().keys().map(|k| k.parse().expect("a key of ours")).collect()
}

fn assert_equal_vaults(deployment: &Deployment) {
    let objects = deployment.world.vaults.each_ref().map(|v| v.objects());
    assert_eq!(objects[0], objects[1]);
    assert_eq!(objects[0], objects[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_come_twice_and_in_any_order_leave_the_same_vaults() {
    for seed in 40..44 {
        let (deployment, id) = backed_up(seed).await;
        let mut events = [keys(&deployment, 0), keys(&deployment, 0)].concat();
        let entropy = SeededEntropy::new(seed);
        for i in (1..events.len()).rev() {
            events.swap(i, usize::try_from(entropy.next()).unwrap_or(0) % (i + 1));
        }
        for key in events {
            deployment.replicate().landed(key).await.unwrap_or_else(|e| panic!("seed {seed}, {key}: {e}"));
        }
        assert_equal_vaults(&deployment);
        assert_eq!(record(&*deployment.world.catalog, id).await.expect("a record").status, Status::Completed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_event_the_reconciler_does_the_same() {
    let (deployment, id) = backed_up(45).await;
    let report = deployment.replicate().reconcile().await.expect("reconciles");
    assert_eq!((report.snapshots, report.repaired.as_slice(), report.failed.len()), (1, [id].as_slice(), 0));
    assert_equal_vaults(&deployment);
    let again = deployment.replicate().reconcile().await.expect("reconciles");
    assert_eq!((again.repaired.len(), again.copied.objects), (0, 0), "nothing is left to do");
    // A lost catalog is filled again on the way.
    deployment.world.catalog.wipe();
    deployment.replicate().reconcile().await.expect("reconciles");
    assert_eq!(record(&*deployment.world.catalog, id).await.expect("a record").status, Status::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_is_down_keeps_only_itself_back() {
    let (deployment, id) = backed_up(46).await;
    let down = deployment.world.vaults[1].service().to_owned();
    deployment.world.faults.break_service(&down, ErrorKind::Unavailable);
    deployment.replicate().landed(ObjectKey::Inventory(id)).await.expect_err("one region is down");
    let waiting = record(&*deployment.world.catalog, id).await.expect("a record");
    let states: Vec<ReplicaState> = waiting.replicas.iter().map(|r| r.state).collect();
    assert_eq!(states, [ReplicaState::Complete, ReplicaState::Pending, ReplicaState::Complete]);
    assert_eq!(waiting.status, Status::InProgress);
    deployment.world.faults.heal();
    deployment.replicate().reconcile().await.expect("reconciles");
    assert_equal_vaults(&deployment);
    assert_eq!(record(&*deployment.world.catalog, id).await.expect("a record").status, Status::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_not_what_was_stored_is_never_copied() {
    let (deployment, id) = backed_up(47).await;
    let pack = keys(&deployment, 0).into_iter().find(|k| matches!(k, ObjectKey::Pack(..))).expect("a pack").to_string();
    let vault = &deployment.world.vaults[0];
    let bytes = vault.remove(&pack).expect("a pack");
    for damaged in [b"other bytes".to_vec(), bytes[1..].to_vec()] {
        vault.plant(&pack, damaged);
        let error = deployment.replicate().snapshot(id).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(&pack), "{error}");
        vault.remove(&pack);
    }
    let error = deployment.replicate().snapshot(id).await.expect_err("a missing pack");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(
        keys(&deployment, 1).iter().all(|k| !matches!(k, ObjectKey::Inventory(_))),
        "no inventory without its objects"
    );
    vault.plant(&pack, bytes);
    deployment.replicate().snapshot(id).await.expect("whole again, it replicates");
    let record = record(&*deployment.world.catalog, id).await.expect("a record");
    assert!(
        record.replicas.iter().all(|r| r.state == ReplicaState::Complete)
            && record.replicas[0].place.role == VaultRole::Primary
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_an_object_that_is_gone_changes_nothing() {
    let (deployment, id) = backed_up(48).await;
    let gone = "v1/packs/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071/000000".parse().expect("a key");
    assert_eq!(deployment.replicate().landed(gone).await.expect("passed over").objects, 0);
    assert!(keys(&deployment, 1).is_empty());
    assert_eq!(record(&*deployment.world.catalog, id).await.expect("a record").status, Status::InProgress);
}
