//! Packs of which a new snapshot needs little: what is left of them moves, sealed as it is, and they go with the last snapshot that needs the
//! rest.

use crate::scene::Scene;
use engine::catalog::{SnapshotRecord, Status};
use engine::inventory::{self, Inventory};
use engine::layout::ObjectKey;
use engine::limits::{REPACK_DEAD_BYTES_MIN, REPACK_NUMBERS};
use engine::ops::restore::Selection;
use engine::ops::verify::Level;
use engine::retention::RetentionPolicy;
use engine::vault::Vault;
use std::collections::BTreeSet;
use std::time::Duration;
use testkit::{MemoryTarget, SeededEntropy};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const POLICY: RetentionPolicy =
    RetentionPolicy { days: 3, last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 1 };
const ROWS: usize = 24_000;

/// Writes rows that no compression makes small.
fn write(scene: &Scene, places: std::ops::Range<usize>, seed: u64) {
    let dice = SeededEntropy::new(seed);
    for place in places {
        let noise: String = (0..32).map(|_| format!("{:016x}", dice.next())).collect();
        scene.source.write("large", place, &format!("{place}\t{noise}"));
    }
}

/// Backs up, and gives the record and what the backup consists of.
async fn back_up(scene: &Scene) -> (SnapshotRecord, Inventory) {
    scene.world.clock.advance(DAY);
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    let record = scene.records().await.remove(0);
    assert_eq!((record.status, record.full_reason.is_some()), (Status::Completed, scene.records().await.len() == 1));
    let (inventory, _) = inventory::read(&*scene.world.vaults[0], record.id).await.expect("reads");
    (record, inventory)
}

fn keys(inventory: &Inventory) -> BTreeSet<ObjectKey> {
    inventory.packs.iter().map(|p| p.key).collect()
}

async fn require_restorable(scene: &Scene, what: &str) {
    let mut wanted = scene.source.rows();
    wanted.retain(|_, rows| !rows.is_empty());
    for vault in 0..3 {
        let target = MemoryTarget::new(scene.world.faults.clone());
        scene.restore(vault, Selection::Newest, &target).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(target.rows() == wanted, "{what}: vault {vault} gives other rows");
    }
}

#[tokio::test]
async fn what_little_is_needed_moves_and_the_old_packs_go_with_the_last_backup_that_needs_them() {
    let scene = Scene::new();
    write(&scene, 0..ROWS, 1);
    let (first, of_first) = back_up(&scene).await;
    assert!(of_first.packs.iter().map(|p| p.length).sum::<u64>() > REPACK_DEAD_BYTES_MIN * 4 / 3);
    // Half of it: too much to move.
    write(&scene, 0..ROWS / 2, 2);
    let (second, of_second) = back_up(&scene).await;
    assert_eq!(second.progress.segments.bytes_repacked, 0);
    assert!(keys(&of_second).is_superset(&keys(&of_first)));
    // Most of it: what is left moves.
    write(&scene, ROWS / 2..ROWS * 9 / 10, 3);
    let (third, of_third) = back_up(&scene).await;
    let segments = third.progress.segments;
    assert!(segments.bytes_repacked > 0 && segments.segments_reused > 100, "{segments:?}");
    assert!(keys(&of_third).is_disjoint(&keys(&of_first)), "{:?}", keys(&of_third));
    let made: Vec<_> = of_third
        .packs
        .iter()
        .filter(|p| matches!(p.key, ObjectKey::Pack(_, n) if REPACK_NUMBERS.contains(&n)))
        .collect();
    assert_eq!(made.iter().map(|p| p.length).sum::<u64>(), segments.bytes_repacked);
    require_restorable(&scene, "after repacking").await;
    assert!(scene.verify(Level::Everything).await.expect("verifies").is_clean());

    // The next one reuses what was moved, and moves nothing more.
    let (fourth, of_fourth) = back_up(&scene).await;
    assert_eq!((fourth.progress.segments.segments_copied, fourth.progress.segments.bytes_repacked), (0, 0));
    assert!(keys(&of_fourth).is_superset(&made.iter().map(|p| p.key).collect()));
    // Once the first two expired and their locks ended, their packs are gone, and all restores.
    for _ in 0..12 {
        back_up(&scene).await;
        scene.prune(POLICY, false).await.expect("prunes");
    }
    for vault in &scene.world.vaults {
        for pack in keys(&of_first) {
            assert!(vault.head(&pack).await.expect("looks").is_none(), "{pack} is there still, for {}", first.id);
        }
    }
    require_restorable(&scene, "after pruning").await;
    scene.require_whole_inventories("after pruning").await;
}

#[tokio::test]
async fn what_is_rotten_is_not_carried_on() {
    let scene = Scene::new();
    write(&scene, 0..ROWS, 1);
    let (_, of_first) = back_up(&scene).await;
    write(&scene, 0..ROWS * 9 / 10, 2);
    for pack in &of_first.packs {
        assert!(scene.world.vaults[0].rot(&pack.key.to_string(), |bytes| bytes[1_000] ^= 1));
    }
    let (second, of_second) = back_up(&scene).await;
    assert_eq!(second.progress.segments.bytes_repacked, 0);
    assert!(!keys(&of_second).is_disjoint(&keys(&of_first)), "the old packs stay");
    // The other vaults have them as they were.
    let mut wanted = scene.source.rows();
    wanted.retain(|_, rows| !rows.is_empty());
    for vault in [1, 2] {
        let target = MemoryTarget::new(scene.world.faults.clone());
        scene.restore(vault, Selection::Newest, &target).await.expect("restores");
        assert!(target.rows() == wanted, "vault {vault}");
    }
}
