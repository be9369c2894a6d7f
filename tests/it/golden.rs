//! A snapshot of format version 1, as files. It must open forever: whoever changes the format makes another version, and
//! leaves these as they are.
//!
//! `BACKUP_WRITE_GOLDENS=1` writes them where there are none.

use crate::postgres::checkout;
use crate::scene::Scene;
use engine::inventory;
use engine::keyring::Keyring;
use engine::manifest::Manifest;
use engine::ops::restore::Selection;
use engine::segment::RowFormat;
use engine::vault::Vault;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use testkit::{MemoryStorage, MemoryTarget};

/// Without and with objects of Storage.
const FOLDERS: [&str; 2] = ["tests/fixtures/v1/snapshot", "tests/fixtures/v1/snapshot-with-blobs"];

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[allow(clippy::disallowed_methods, reason = "whoever runs the test says whether it may write")]
pub(crate) fn may_write() -> bool {
    std::env::var("BACKUP_WRITE_GOLDENS").is_ok()
}

#[tokio::test]
async fn a_snapshot_of_format_version_1_opens_and_restores() {
    opens_and_restores(FOLDERS[0], Scene::new()).await;
    opens_and_restores(FOLDERS[1], Scene::with_objects()).await;
}

async fn opens_and_restores(name: &str, scene: Scene) {
    let folder = checkout(name);
    if files(&folder).is_empty() && may_write() {
        scene.back_up().await.expect("backs up");
        for (key, bytes) in scene.world.vaults[0].objects() {
            let path = folder.join(&key);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("makes the folder");
            std::fs::write(path, &bytes).expect("writes");
        }
    }
    let found = files(&folder);
    let objects = scene.storage.contents();
    // A checkpoint too where objects were copied after the rows, and a pack of these.
    let wanted = if objects.is_empty() { 4 } else { 6 };
    assert_eq!(found.len(), wanted, "packs, a schema, a manifest and an inventory in {name}");
    let vault = &scene.world.vaults[2];
    for path in found {
        let key = path.strip_prefix(&folder).expect("inside").to_str().expect("UTF-8").to_owned();
        vault.plant(&key, std::fs::read(&path).expect("reads"));
    }
    let ids = inventory::list(&**vault).await.expect("lists");
    let (inventory, _) = inventory::read(&**vault, ids[0]).await.expect("reads the inventory");
    assert_eq!((inventory.format, inventory.tables, inventory.rows), (1, 3, 98));

    let keyring = Keyring::new(Arc::clone(&scene.world.keys[2]) as _, Arc::clone(&scene.world.entropy) as _);
    let sealed = vault.get(&inventory.manifest.key).await.expect("reads");
    let manifest = Manifest::open(&keyring, inventory.attempt, &sealed).await.expect("opens");
    assert_eq!(manifest.tables[0].table.columns, ["row"]);
    assert!(manifest.tables.iter().flat_map(|t| &t.segments).all(|s| s.format == RowFormat::CopyText));
    assert_eq!((manifest.sequences[0].last_value, manifest.server.version_num), (7, 180_000));

    let target = MemoryTarget::new(scene.world.faults.clone());
    let storage = MemoryStorage::new(scene.world.faults.clone());
    scene.restore_to(2, Selection::Newest, &target, &storage).await.expect("restores");
    assert_eq!(storage.contents(), objects);
    let mut wanted = scene.source.rows();
    wanted.retain(|_, rows| !rows.is_empty());
    assert_eq!(target.rows(), wanted);
}
