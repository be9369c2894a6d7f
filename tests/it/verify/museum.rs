//! A museum of broken backups: `tests/fixtures/museum/NAME.json` says how a backup of format version 1 was broken, in which vault, and
//! the one report that each gives. The other vaults stay clean.
//!
//! `BACKUP_WRITE_GOLDENS=1` writes the reports of exhibits that have none; then a person reads them.

use super::DAY;
use crate::golden::{files, may_write};
use crate::postgres::checkout;
use crate::scene::Scene;
use engine::catalog::{FindingCode, ReplicaState};
use engine::clock::Clock;
use engine::inventory::{self, Inventory};
use engine::keyring::{Keyring, Purpose};
use engine::layout::ObjectKey;
use engine::manifest::Manifest;
use engine::object::ObjectRef;
use engine::ops::rebuild::rebuild;
use engine::ops::verify::Level;
use engine::stage::Storable;
use engine::vault::Vault;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use testkit::{FaultScript, KeyState, MemoryKeys};

const BASE: &str = "tests/fixtures/v1/snapshot-with-blobs";
const MUSEUM: &str = "tests/fixtures/museum";

/// One broken backup.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exhibit {
    /// What happened, in a sentence.
    about: String,
    /// In which vaults, by their places in the list. In the others nothing is found.
    vaults: Vec<usize>,
    damage: Vec<Damage>,
    /// Whether what is missing can be put back from another vault.
    repaired: bool,
    /// What is found in the first of them; in the others the same is.
    #[serde(default)]
    report: Value,
}

/// What was done to it. Objects are named by the end of their keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Damage {
    /// The object is gone, with all its versions.
    Remove(String),
    /// A delete marker lies over it.
    Hide(String),
    /// Only so many bytes of it were stored.
    Truncate(String, usize),
    /// Other bytes were stored under its key, and the store is content with them.
    Flip(String, usize),
    /// The store gives other bytes than it took.
    Rot(String, usize),
    /// Two objects lie under each other's keys.
    Swap(String, String),
    /// The first lies under the key of the second too.
    Replay(String, String),
    /// A text of it was changed.
    Edit { object: String, find: String, put: String },
    /// Its lock ends after so many hours.
    Lock(String, i64),
    /// Another key is used in that region.
    OtherKey,
    /// The key is not in that region.
    NoKey,
    /// The key may not be used.
    DisabledKey,
    /// The catalog was lost, and rebuilt from what is there now.
    LostCatalog,
    /// Whoever sealed the backup sealed a pack of which a byte was wrong, and named it by its checksum.
    SealedWrong(String, usize),
}

struct Room {
    scene: Scene,
    vault: usize,
}

impl Room {
    /// The whole backup in three vaults, an hour old and known to the catalog.
    async fn new(vault: usize) -> Self {
        let scene = Scene::with_objects();
        let folder = checkout(BASE);
        for path in files(&folder) {
            let key = path.strip_prefix(&folder).expect("inside").to_str().expect("UTF-8").to_owned();
            let bytes = std::fs::read(&path).expect("reads");
            scene.world.vaults.iter().for_each(|v| v.plant(&key, bytes.clone()));
        }
        scene.world.clock.advance(3 * DAY / 2);
        let room = Self { scene, vault };
        room.rebuild_catalog(0).await;
        room
    }

    async fn rebuild_catalog(&self, from: usize) {
        let world = &self.scene.world;
        world.catalog.wipe();
        let from = Arc::clone(&world.vaults[from]) as _;
        rebuild(&*world.catalog, &world.ports(), &from, &*world.clock).await.expect("rebuilds");
    }

    fn key(&self, end: &str) -> String {
        let keys: Vec<String> = self.scene.world.vaults[self.vault].objects().into_keys().collect();
        let found: Vec<&String> = keys.iter().filter(|k| k.ends_with(end)).collect();
        assert_eq!(found.len(), 1, "{end} names one object of {keys:?}");
        found[0].clone()
    }

    fn bytes(&self, end: &str) -> Vec<u8> {
        self.scene.world.vaults[self.vault].objects()[&self.key(end)].to_vec()
    }

    async fn damage(&mut self, damage: Damage) {
        let vault = Arc::clone(&self.scene.world.vaults[self.vault]);
        let plant = |room: &Self, end: &str, bytes: Vec<u8>| vault.plant(&room.key(end), bytes);
        match damage {
            Damage::Remove(end) => drop(vault.remove(&self.key(&end))),
            Damage::Hide(end) => vault.hide(&self.key(&end)),
            Damage::Truncate(end, length) => plant(self, &end, self.bytes(&end)[..length].to_vec()),
            Damage::Flip(end, at) => {
                let mut bytes = self.bytes(&end);
                bytes[at] ^= 1;
                plant(self, &end, bytes);
            }
            Damage::Rot(end, at) => assert!(vault.rot(&self.key(&end), |bytes| bytes[at] ^= 1)),
            Damage::Swap(one, other) => {
                let (of_one, of_other) = (self.bytes(&one), self.bytes(&other));
                plant(self, &one, of_other);
                plant(self, &other, of_one);
            }
            Damage::Replay(from, over) => plant(self, &over, self.bytes(&from)),
            Damage::Edit { object, find, put } => {
                let text = String::from_utf8(self.bytes(&object)).expect("text");
                assert_eq!(text.matches(&find).count(), 1, "{find} stands once in {text}");
                plant(self, &object, text.replace(&find, &put).into_bytes());
            }
            Damage::Lock(end, hours) => {
                vault.set_lock(&self.key(&end), self.scene.world.clock.now().plus_s(hours * 3_600));
            }
            Damage::OtherKey => {
                let [other] = MemoryKeys::in_regions(99, ["us-east-1"], &FaultScript::new()).expect("a key");
                self.scene.world.keys[self.vault] = other;
            }
            Damage::NoKey => self.scene.world.keys[self.vault].set_state(KeyState::Missing),
            Damage::DisabledKey => self.scene.world.keys[self.vault].set_state(KeyState::Disabled),
            Damage::LostCatalog => self.rebuild_catalog(self.vault).await,
            Damage::SealedWrong(end, at) => self.seal_wrong(&end, at).await,
        }
    }

    async fn seal_wrong(&self, end: &str, at: usize) {
        let vault = &self.scene.world.vaults[self.vault];
        let id = inventory::list(&**vault).await.expect("lists")[0];
        let (inventory, _) = inventory::read(&**vault, id).await.expect("reads");
        let service = Arc::clone(&self.scene.world.keys[self.vault]) as _;
        let keyring = Keyring::new(service, Arc::clone(&self.scene.world.entropy) as _);
        let sealed = vault.get(&inventory.manifest.key).await.expect("reads");
        let mut manifest = Manifest::open(&keyring, inventory.attempt, &sealed).await.expect("opens");
        let mut bytes = self.bytes(end);
        bytes[at] ^= 1;
        let wrong =
            Storable::fetched(bytes.clone().into(), engine::stage::Sha256::of(&bytes)).expect("its own checksum");
        let key = self.key(end);
        let place = manifest.packs.iter().position(|p| p.key.to_string() == key).expect("a pack");
        manifest.packs[place] = ObjectRef::of(manifest.packs[place].key, &wrong);
        let seal_key = keyring.seal_key(Purpose::Manifest, inventory.attempt).await.expect("a key");
        let sealed = manifest.seal(&keyring, &seal_key, 1).expect("seals");
        let object = ObjectRef::of(inventory.manifest.key, &sealed);
        let inventory = Inventory::new(&manifest, object, inventory.started_at).encode().expect("encodes");
        // And so it was replicated.
        for vault in &self.scene.world.vaults {
            vault.plant(&key, bytes.clone());
            vault.plant(&ObjectKey::Manifest(id).to_string(), sealed.bytes().clone());
            vault.plant(&ObjectKey::Inventory(id).to_string(), inventory.bytes().clone());
        }
        self.rebuild_catalog(self.vault).await;
    }
}

#[tokio::test]
async fn each_exhibit_of_the_museum_has_its_one_report() {
    let mut names = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for path in files(&checkout(MUSEUM)) {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("reads");
        let exhibit: Exhibit = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let first = exhibit.vaults[0];
        let mut room = Room::new(first).await;
        for damage in exhibit.damage.clone() {
            room.damage(damage).await;
        }
        let report = room.scene.verify(Level::Everything).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(report.reports.len(), 3, "{name}: one report a vault");
        let of = |vault: usize| {
            let place = room.scene.world.vaults[vault].place();
            &report.reports.iter().find(|r| r.place == *place).expect("a report").findings
        };
        let bare = |vault: usize| of(vault).iter().map(|f| (f.code, f.object)).collect::<Vec<_>>();
        for vault in 0..3 {
            let wanted = if exhibit.vaults.contains(&vault) { bare(first) } else { Vec::new() };
            assert_eq!(bare(vault), wanted, "{name}: in vault {vault}");
        }
        let said = json!(of(first));
        if exhibit.report.is_null() && may_write() {
            let mut whole: Value = serde_json::from_str(&text).expect("JSON");
            whole["report"] = said.clone();
            std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&whole).expect("JSON")))
                .expect("writes");
        } else {
            assert_eq!(said, exhibit.report, "{name}: {}", exhibit.about);
        }
        codes.extend(said.as_array().expect("a list").iter().map(|f| f["code"].as_str().expect("a code").to_owned()));

        // What can be put back is, and then nothing is wrong; what is there is never written over.
        let before = room.scene.world.vaults[first].objects();
        room.scene.replicate().reconcile().await.expect("reconciles");
        let after = room.scene.world.vaults[first].objects();
        assert!(before.iter().all(|(key, bytes)| after.get(key) == Some(bytes)), "{name}: nothing is written over");
        let again = room.scene.verify(Level::Everything).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(again.is_clean(), exhibit.repaired, "{name} after the repair");
        let states = room.scene.records().await[0].replicas.iter().map(|r| r.state).collect::<Vec<_>>();
        let damaged = states.contains(&ReplicaState::Damaged);
        assert!(!(damaged && exhibit.repaired), "{name}: {states:?}");
        names.insert(name);
    }
    let all: BTreeSet<String> =
        FindingCode::ALL.iter().map(|c| json!(c).as_str().expect("a text").to_owned()).collect();
    assert_eq!(codes, all, "every code has its exhibit");
    assert!(names.len() >= 18, "{names:?}");
}
