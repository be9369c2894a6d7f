//! Whether everything is there: every object of every inventory, by what the store says of it.

use super::Verify;
use super::record::VaultReading;
use super::subject::Subject;
use crate::catalog::{FindingCode, SnapshotRecord, Status};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::SnapshotId;
use crate::inventory::{Inventory, last_generations};
use crate::layout::{ObjectKey, ROOT};
use crate::limits::{DAY_S, LOCK_AHEAD_S, LOOKS_IN_FLIGHT};
use crate::object::ObjectRef;
use crate::stage::Storable;
use crate::vault::ObjectMeta;
use crate::versions::{ObjectLock, ObjectVersion, list_all};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The versions of a vault's objects, newest first.
type Listed = HashMap<ObjectKey, Vec<ObjectVersion>>;

/// What the store says of an object.
struct Look {
    meta: Option<ObjectMeta>,
    /// Not known of what was stored while the listing went on.
    lock: Option<Option<ObjectLock>>,
}

/// What becomes of a key for whoever reads it.
enum Standing<'a> {
    There(&'a ObjectVersion),
    /// There is something below a delete marker.
    Hidden,
    Missing,
}

impl Verify {
    /// Looks at all snapshots that a vault holds, or should by what the catalog says.
    pub(super) async fn look(
        &self,
        vault: usize,
        records: &BTreeMap<SnapshotId, SnapshotRecord>,
        tally: &mut VaultReading,
        now: Timestamp,
        deadline: Option<Timestamp>,
    ) -> Result<Vec<Subject>> {
        let listed = self.list(vault).await?;
        let mut subjects = Vec::new();
        for id in self.expected(vault, records, &listed) {
            subjects.push(self.look_at_inventory(vault, id, records.get(&id), &listed).await?);
        }
        let looks = self.look_at_objects(vault, &subjects, &listed, deadline).await?;
        tally.objects = looks.values().filter(|look| look.meta.is_some()).count() as u64;
        tally.bytes = looks.values().filter_map(|look| look.meta.as_ref()).map(|meta| meta.length).sum();
        for subject in &mut subjects {
            let Some(inventory) = subject.inventory.take() else { continue };
            let needed_until = self.lock_needed_until(&inventory, now);
            let own = inventory.key();
            judge_lock(subject, own, looks.get(&own), needed_until);
            for object in inventory.objects() {
                judge(subject, object, standing(&listed, object.key), looks.get(&object.key));
                judge_lock(subject, object.key, looks.get(&object.key), needed_until);
            }
            subject.inventory = Some(inventory);
        }
        Ok(subjects)
    }

    async fn list(&self, vault: usize) -> Result<Listed> {
        let mut listed = Listed::new();
        for version in list_all(&*self.versions[vault], ROOT).await? {
            // A key that does not parse is nobody's.
            if let Ok(key) = version.key.parse::<ObjectKey>() {
                listed.entry(key).or_default().push(version);
            }
        }
        Ok(listed)
    }

    /// The snapshots that are promised to be in a vault, and those whose inventory was ever there and that nobody let go.
    fn expected(
        &self,
        vault: usize,
        records: &BTreeMap<SnapshotId, SnapshotRecord>,
        listed: &Listed,
    ) -> BTreeSet<SnapshotId> {
        let role = self.vaults.all()[vault].place().role;
        let promised =
            records.values().filter(|r| r.replicas.iter().any(|p| p.place.role == role && p.state.is_promised()));
        let there = listed.iter().filter_map(|(key, versions)| match key {
            ObjectKey::Inventory(id) if versions.iter().any(|v| !v.delete_marker) => Some(*id),
            _ => None,
        });
        let is_wanted =
            |id: &SnapshotId| records.get(id).is_none_or(|r| r.expired_at.is_none() && r.status != Status::Failed);
        let last = last_generations(there.clone());
        let last: HashMap<[u8; 10], SnapshotId> = last.into_iter().map(|id| (id.root(), id)).collect();
        // What was sealed again, and is here, needs no care any more.
        let is_superseded = |id: &SnapshotId| last.get(&id.root()).is_some_and(|last| last > id);
        promised.map(|r| r.id).chain(there).filter(|id| is_wanted(id) && !is_superseded(id)).collect()
    }

    async fn look_at_inventory(
        &self,
        vault: usize,
        id: SnapshotId,
        record: Option<&SnapshotRecord>,
        listed: &Listed,
    ) -> Result<Subject> {
        let mut subject = Subject::new(id, vault);
        let key = ObjectKey::Inventory(id);
        match standing(listed, key) {
            Standing::There(_) => {}
            Standing::Hidden => {
                subject.note(FindingCode::Hidden, key, "the inventory is hidden by a delete marker");
                return Ok(subject);
            }
            Standing::Missing => {
                subject.note(FindingCode::NoInventory, key, "the backup should be here, and its inventory is not");
                return Ok(subject);
            }
        }
        let vault = &self.vaults.all()[vault];
        let bytes = match vault.get(&key).await {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::Corrupt => {
                subject.note(FindingCode::Rotten, key, e);
                return Ok(subject);
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                subject.note(FindingCode::NoInventory, key, "the inventory was listed, and is not there");
                return Ok(subject);
            }
            Err(e) => return Err(e.context(format!("read {key} in the {}", vault.place()))),
        };
        let known = record.and_then(|r| r.summary.as_ref()).map(|s| s.checksum);
        let stored = Storable::new(bytes.into());
        let is_other = known.is_some_and(|known| known != stored.sha256());
        match Inventory::decode(stored.bytes(), id) {
            Err(e) if e.kind() == ErrorKind::Unsupported => subject.note(FindingCode::NewerFormat, key, e),
            Err(e) => subject.note(FindingCode::Altered, key, e),
            Ok(inventory) => {
                subject.unlike_catalog = is_other.then(|| inventory.summary(&stored));
                subject.inventory = Some(inventory);
            }
        }
        Ok(subject)
    }

    /// What the store says of each object that any of the snapshots needs, asked once.
    async fn look_at_objects(
        &self,
        vault: usize,
        subjects: &[Subject],
        listed: &Listed,
        deadline: Option<Timestamp>,
    ) -> Result<HashMap<ObjectKey, Look>> {
        let inventories = || subjects.iter().filter_map(|s| s.inventory.as_ref());
        let keys = inventories().flat_map(|i| i.objects().map(|o| o.key).chain([i.key()]));
        let keys: BTreeSet<ObjectKey> = keys.collect();
        let there = keys.into_iter().filter_map(|key| match standing(listed, key) {
            Standing::There(version) => Some((key, Some(version.version.as_str()))),
            // What was stored while the listing went on may be in its later part alone.
            Standing::Missing => Some((key, None)),
            Standing::Hidden => None,
        });
        let (store, versions) = (&self.vaults.all()[vault], &self.versions[vault]);
        let looks = stream::iter(there).map(|(key, version)| async move {
            let what = || format!("look at {key} in the {}", store.place());
            if self.is_out_of_time(deadline) {
                return Err(Error::exhausted(format!(
                    "the time was up before all of the {} was looked at",
                    store.place()
                )));
            }
            let meta = store.head(&key).await.context(what())?;
            let lock = match version {
                None => None,
                Some(version) => match versions.lock_of(&key, version).await {
                    Err(e) if e.kind() == ErrorKind::NotFound => None,
                    lock => Some(lock.context(what())?),
                },
            };
            Ok::<_, Error>((key, Look { meta, lock }))
        });
        looks.buffer_unordered(LOOKS_IN_FLIGHT).try_collect().await
    }

    /// Until when the objects of a snapshot must be locked. `prune` extends the locks of what a later snapshot uses again, so
    /// for a new one it is enough that nothing is free to be deleted before `prune` has come by.
    fn lock_needed_until(&self, inventory: &Inventory, now: Timestamp) -> Option<Timestamp> {
        let days_end_at = inventory.taken_at.plus_s(i64::from(self.settings.retention_days) * DAY_S);
        let is_new = inventory.taken_at.plus_s(LOCK_AHEAD_S) > now;
        let until = if is_new { days_end_at.min(now.plus_s(LOCK_AHEAD_S)) } else { days_end_at };
        (until > now).then_some(until)
    }
}

fn standing(listed: &Listed, key: ObjectKey) -> Standing<'_> {
    let versions = listed.get(&key).map(Vec::as_slice).unwrap_or_default();
    match versions.iter().find(|v| v.latest) {
        Some(version) if !version.delete_marker => Standing::There(version),
        _ if versions.iter().any(|v| !v.delete_marker) => Standing::Hidden,
        _ => Standing::Missing,
    }
}

fn judge(subject: &mut Subject, object: &ObjectRef, standing: Standing<'_>, look: Option<&Look>) {
    let meta = match standing {
        Standing::Hidden => {
            return subject.note(FindingCode::Hidden, object.key, "the object is hidden by a delete marker");
        }
        Standing::Missing | Standing::There(_) => look.and_then(|look| look.meta.as_ref()),
    };
    let Some(meta) = meta else {
        return subject.note(FindingCode::Missing, object.key, "the object is not there");
    };
    if meta.length < object.length {
        let said = format!("the object has {} bytes of {}", meta.length, object.length);
        subject.note(FindingCode::Truncated, object.key, said);
    } else if meta.length > object.length {
        let said = format!("the object has {} bytes, and the inventory names {}", meta.length, object.length);
        subject.note(FindingCode::Altered, object.key, said);
    } else if meta.sha256 != Some(object.sha256) {
        let found = meta.sha256.map_or_else(|| "none".to_owned(), |sha256| sha256.to_string());
        let said = format!("the store's SHA-256 is {found}, and the inventory names {}", object.sha256);
        subject.note(FindingCode::Altered, object.key, said);
    }
}

fn judge_lock(subject: &mut Subject, key: ObjectKey, look: Option<&Look>, needed_until: Option<Timestamp>) {
    let (Some(lock), Some(needed)) = (look.and_then(|look| look.lock), needed_until) else { return };
    let said = match lock {
        Some(lock) if lock.until >= needed => return,
        Some(lock) => format!("the object is locked until {}, and is needed until {needed}", lock.until),
        None => format!("the object is not locked, and is needed until {needed}"),
    };
    subject.note(FindingCode::LockEndsEarly, key, said);
}
