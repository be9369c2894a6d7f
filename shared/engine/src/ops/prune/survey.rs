//! What there is: all objects of all vaults, all inventories, all records. Read only.

use super::candidates::candidates;
use super::{Prune, disagreement};
use crate::catalog::{self, SnapshotRecord, Status};
use crate::clock::Timestamp;
use crate::error::{Result, ResultExt};
use crate::id::{AttemptId, SnapshotId};
use crate::inventory::{self, Inventory};
use crate::layout::{ObjectKey, ROOT};
use crate::limits::{CHECKPOINT_KEPT_S, CLOCK_SLACK_S, LOOKS_IN_FLIGHT, PRUNE_GRACE_S, RECORDS_KEPT_S};
use crate::ops::rotate::{is_of_rotation, rotating_since};
use crate::retention::Candidate;
use crate::versions::{ObjectVersion, list_all};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The objects of one vault that are ours, with their versions, newest first.
pub(super) type Objects = BTreeMap<ObjectKey, Vec<ObjectVersion>>;

/// A snapshot that some vault holds.
pub(super) struct Held {
    pub(super) source: String,
    pub(super) read_by: AttemptId,
    pub(super) taken_at: Timestamp,
    /// Its objects, as places in [`Survey::keys`]: snapshots share most of theirs.
    objects: Vec<u32>,
}

/// What there is.
pub(super) struct Survey {
    /// In the order of the vaults.
    pub(super) vaults: [Objects; 3],
    pub(super) snapshots: BTreeMap<SnapshotId, Held>,
    pub(super) records: BTreeMap<SnapshotId, SnapshotRecord>,
    /// When the newest object was taken by its store.
    pub(super) newest_object_at: Timestamp,
    restoring: BTreeSet<SnapshotId>,
    rotating_since: Option<Timestamp>,
    keys: Keys,
}

/// Object keys, each once.
#[derive(Default)]
struct Keys {
    all: Vec<ObjectKey>,
    places: HashMap<ObjectKey, u32>,
}

impl Keys {
    fn place(&mut self, key: ObjectKey) -> u32 {
        let next = self.all.len() as u32;
        *self.places.entry(key).or_insert_with(|| {
            self.all.push(key);
            next
        })
    }
}

impl Survey {
    /// Looks at everything, the catalog first: what it calls complete must then be found.
    pub(super) async fn take(prune: &Prune) -> Result<Self> {
        let records = catalog::all::<SnapshotRecord>(&*prune.catalog).await?;
        let records = records.into_iter().map(|r| (r.id, r)).collect();
        let restoring = super::record::restoring(&*prune.catalog, prune.clock.now()).await?;
        let mut vaults: [Objects; 3] = Default::default();
        for (objects, versions) in vaults.iter_mut().zip(&prune.versions) {
            for version in list_all(&**versions, ROOT).await? {
                // A key that does not parse is nobody's.
                if let Ok(key) = version.key.parse::<ObjectKey>() {
                    objects.entry(key).or_default().push(version);
                }
            }
        }
        let newest = vaults.iter().flat_map(BTreeMap::values).flatten().map(|v| v.modified_at).max();
        let mut survey = Self {
            vaults,
            snapshots: BTreeMap::new(),
            records,
            newest_object_at: newest.unwrap_or(Timestamp::from_millis(0)),
            restoring,
            rotating_since: rotating_since(&*prune.catalog, prune.clock.now()).await?,
            keys: Keys::default(),
        };
        survey.require_agreement(prune)?;
        survey.read_inventories(prune).await?;
        Ok(survey)
    }

    /// An inventory that should be there and is not, or is hidden, tells that a listing is not to be trusted, or that somebody
    /// deletes by hand: not the time to delete more.
    fn require_agreement(&self, prune: &Prune) -> Result<()> {
        let mut problems = Vec::new();
        for (objects, vault) in self.vaults.iter().zip(prune.vaults.all()) {
            let place = vault.place();
            for record in self.records.values().filter(|r| r.expired_at.is_none() && r.status == Status::Completed) {
                let complete = record.replicas.iter().any(|r| r.place.role == place.role && r.state.is_promised());
                let there =
                    objects.get(&ObjectKey::Inventory(record.id)).is_some_and(|v| v.iter().any(|v| !v.delete_marker));
                if complete && !there {
                    problems.push(format!(
                        "the catalog says that backup {} is complete in the {place}, and its inventory is not listed there",
                        record.id
                    ));
                }
            }
            for (key, versions) in objects {
                let hidden =
                    versions.iter().any(|v| v.latest && v.delete_marker) && versions.iter().any(|v| !v.delete_marker);
                if hidden && matches!(key, ObjectKey::Inventory(_)) {
                    problems.push(format!(
                        "{key} in the {place} is hidden by a delete marker; delete the marker to bring it back, or its versions to let it go"
                    ));
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(disagreement(&problems)) }
    }

    /// Reads each inventory once, and again where another vault holds other bytes under its key.
    async fn read_inventories(&mut self, prune: &Prune) -> Result<()> {
        let mut reads: BTreeMap<SnapshotId, Vec<usize>> = BTreeMap::new();
        for (place, objects) in self.vaults.iter().enumerate() {
            for (key, versions) in objects {
                let (ObjectKey::Inventory(id), Some(found)) = (key, current(versions)) else { continue };
                let places = reads.entry(*id).or_default();
                let same = |other: &usize| {
                    let other = self.vaults[*other].get(key).and_then(|v| current(v));
                    other.is_some_and(|o| o.etag == found.etag && o.length == found.length)
                };
                if !places.iter().any(same) {
                    places.push(place);
                }
            }
        }
        let reads = reads.into_iter().flat_map(|(id, places)| places.into_iter().map(move |place| (id, place)));
        let reads = stream::iter(reads).map(|(id, place)| async move {
            inventory::read(&*prune.vaults.all()[place], id).await.map(|(inventory, _)| inventory)
        });
        let mut reads = reads.buffer_unordered(LOOKS_IN_FLIGHT);
        while let Some(inventory) = reads.try_next().await.context("nothing was deleted")? {
            self.note(&inventory);
        }
        Ok(())
    }

    fn note(&mut self, inventory: &Inventory) {
        let objects: Vec<u32> = inventory.objects().map(|o| self.keys.place(o.key)).collect();
        let held = self.snapshots.entry(inventory.snapshot).or_insert_with(|| Held {
            source: inventory.source.clone(),
            read_by: inventory.read_by(),
            taken_at: inventory.taken_at,
            objects: Vec::new(),
        });
        held.objects.extend(objects);
    }

    /// The time by which things are deleted: this machine's, but neither later than a day after what the stores last saw, nor
    /// earlier than that. A clock that is wrong makes nothing old.
    pub(super) fn reference(&self, now: Timestamp) -> Timestamp {
        now.clamp(self.newest_object_at, self.newest_object_at.plus_s(CLOCK_SLACK_S))
    }

    /// The snapshots that the policy decides on.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let held = self.snapshots.iter().map(|(id, held)| (*id, held.source.as_str(), held.taken_at));
        candidates(held, &self.records, &self.restoring)
    }

    fn is_expired(&self, id: SnapshotId) -> bool {
        self.records.get(&id).is_some_and(|r| r.expired_at.is_some())
    }

    /// Snapshots that expired, in this run or in one before, and are still there in some vault.
    pub(super) fn expired(&self) -> impl Iterator<Item = SnapshotId> {
        let there =
            |id: &SnapshotId| self.vaults.iter().any(|objects| objects.contains_key(&ObjectKey::Inventory(*id)));
        let expired: Vec<_> = self.records.keys().copied().filter(|id| self.is_expired(*id) && there(id)).collect();
        expired.into_iter()
    }

    /// An expired snapshot has no inventory left in any vault.
    pub(super) fn note_gone(&mut self, id: SnapshotId) {
        self.snapshots.remove(&id);
    }

    /// Every object that an inventory names, and by which snapshots.
    pub(super) fn references(&self) -> HashMap<ObjectKey, Vec<SnapshotId>> {
        let mut references: HashMap<ObjectKey, Vec<SnapshotId>> = HashMap::new();
        for (id, held) in &self.snapshots {
            references.entry(ObjectKey::Inventory(*id)).or_default().push(*id);
            for place in &held.objects {
                references.entry(self.keys.all[*place as usize]).or_default().push(*id);
            }
        }
        references
    }

    /// What nothing needs, of one vault.
    pub(super) fn garbage(&self, place: usize, reference: Timestamp) -> BTreeSet<ObjectKey> {
        let referenced: HashSet<ObjectKey> = {
            let objects = self.snapshots.values().flat_map(|held| &held.objects);
            objects.map(|place| self.keys.all[*place as usize]).collect()
        };
        let is_old = |t: Timestamp| t.plus_s(PRUNE_GRACE_S) <= reference;
        let garbage = self.vaults[place].iter().filter(|(key, versions)| {
            if referenced.contains(key) || !versions.iter().all(|v| is_old(v.modified_at)) {
                return false;
            }
            match **key {
                // Inventories go by the policy alone; what is left of one without a version to read, is nobody's.
                ObjectKey::Inventory(_) => versions.iter().all(|v| v.delete_marker),
                ObjectKey::Schema(id) | ObjectKey::Manifest(id) => {
                    is_old(id.made_at()) && !self.snapshots.contains_key(&id) && !self.is_under_way(id)
                }
                ObjectKey::Pack(attempt, _) | ObjectKey::Checkpoint(attempt, _) | ObjectKey::Moves(attempt, _) => {
                    is_old(attempt.made_at())
                        && !self.is_working(attempt)
                        && !self.is_rotating(attempt)
                        && !self.may_be_resumed(attempt, reference)
                }
            }
        });
        garbage.map(|(key, _)| *key).collect()
    }

    fn is_under_way(&self, id: SnapshotId) -> bool {
        self.records.get(&id).is_some_and(|r| !r.is_settled())
    }

    fn is_working(&self, attempt: AttemptId) -> bool {
        self.records.values().any(|r| !r.is_settled() && r.attempt.is_some_and(|a| a.id == attempt))
    }

    /// What a rotation under way has stored is named by no inventory until a whole snapshot is sealed again.
    fn is_rotating(&self, attempt: AttemptId) -> bool {
        self.rotating_since.is_some_and(|since| is_of_rotation(attempt, since))
    }

    /// What an unfinished attempt stored serves the next one, until there is a newer snapshot of its source. Of which source
    /// it is stands in sealed lists only, therefore: until each source has a newer one, or it is too old to be used.
    fn may_be_resumed(&self, attempt: AttemptId, reference: Timestamp) -> bool {
        let mut newest: BTreeMap<&str, AttemptId> = BTreeMap::new();
        for held in self.snapshots.values() {
            let last = newest.entry(&held.source).or_insert(held.read_by);
            *last = (*last).max(held.read_by);
        }
        let superseded = newest.values().min().is_some_and(|oldest| attempt < *oldest);
        !superseded && attempt.made_at().plus_s(CHECKPOINT_KEPT_S) > reference
    }

    /// Records of backups that ended long ago, and of which no vault holds anything.
    pub(super) fn forgotten(&self, now: Timestamp) -> Vec<SnapshotId> {
        let over = |r: &SnapshotRecord| {
            let ended = if r.status == Status::Failed { r.completed_at } else { r.expired_at };
            ended.is_some_and(|t| t.plus_s(RECORDS_KEPT_S) <= now)
        };
        let gone = |id: &SnapshotId| !self.snapshots.contains_key(id);
        self.records.iter().filter(|(id, r)| over(r) && gone(id)).map(|(id, _)| *id).collect()
    }
}

/// The version that a reader finds.
pub(super) fn current(versions: &[ObjectVersion]) -> Option<&ObjectVersion> {
    versions.iter().find(|v| v.latest && !v.delete_marker)
}
