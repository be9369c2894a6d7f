//! Deletes, by version: replicas first, the primary last, so that what is left of a broken-off run can be made whole again.

use super::survey::Survey;
use super::{Prune, PruneRecord};
use crate::clock::Timestamp;
use crate::error::{Result, ResultExt};
use crate::id::SnapshotId;
use crate::layout::ObjectKey;
use crate::limits::DELETES_IN_FLIGHT;
use crate::versions::Deleted;
use futures::stream::{self, StreamExt};

/// What became of an object.
#[derive(Clone, Copy, Default)]
struct Removal {
    objects: u64,
    bytes: u64,
    locked: bool,
}

impl Prune {
    /// Deletes the inventories of an expired snapshot; the primary's only when the others are gone.
    pub(super) async fn remove_inventories(
        &self,
        survey: &mut Survey,
        id: SnapshotId,
        record: &mut PruneRecord,
    ) -> Result<()> {
        let key = ObjectKey::Inventory(id);
        for place in (0..self.versions.len()).rev() {
            let removal = self.remove(survey, place, key).await?;
            note(record, place, removal);
            if removal.locked {
                return Ok(());
            }
            survey.vaults[place].remove(&key);
        }
        survey.note_gone(id);
        tracing::info!(backup = %id, "expired");
        Ok(())
    }

    /// Deletes what is ripe in each vault. False when the time was up before.
    pub(super) async fn sweep(
        &self,
        survey: &Survey,
        ripe: &[Vec<ObjectKey>],
        record: &mut PruneRecord,
        deadline: Option<Timestamp>,
    ) -> Result<bool> {
        for place in (0..self.versions.len()).rev() {
            let (lists, packs): (Vec<_>, Vec<_>) =
                ripe[place].iter().copied().partition(|key| !matches!(key, ObjectKey::Pack(..)));
            // A list is gone before the first of what it lists.
            for keys in [lists, packs] {
                let removals = stream::iter(keys).map(|key| async move {
                    if self.is_out_of_time(deadline) {
                        return Ok(None);
                    }
                    self.remove(survey, place, key).await.map(Some)
                });
                let mut removals = removals.buffer_unordered(DELETES_IN_FLIGHT);
                let mut in_time = true;
                while let Some(removal) = removals.next().await {
                    match removal? {
                        Some(removal) => note(record, place, removal),
                        None => in_time = false,
                    }
                }
                if !in_time {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Deletes every version of an object, marks that hide others last.
    async fn remove(&self, survey: &Survey, place: usize, key: ObjectKey) -> Result<Removal> {
        let vault = &self.versions[place];
        let mut removal = Removal::default();
        let Some(versions) = survey.vaults[place].get(&key) else { return Ok(removal) };
        let (markers, objects): (Vec<_>, Vec<_>) = versions.iter().partition(|v| v.delete_marker);
        for version in objects {
            let deleted = vault.delete(&key, &version.version).await;
            match deleted.context(format!("delete {key} in the {}", vault.place()))? {
                Deleted::Gone => {
                    removal.objects += 1;
                    removal.bytes += version.length;
                }
                Deleted::Locked => removal.locked = true,
            }
        }
        for version in markers.into_iter().filter(|_| !removal.locked) {
            let deleted = vault.delete(&key, &version.version).await;
            deleted.context(format!("delete the delete marker of {key} in the {}", vault.place()))?;
        }
        Ok(removal)
    }
}

fn note(record: &mut PruneRecord, place: usize, removal: Removal) {
    let tally = &mut record.vaults[place];
    tally.removed_objects += removal.objects;
    tally.removed_bytes += removal.bytes;
    tally.locked_objects += u64::from(removal.locked);
}
