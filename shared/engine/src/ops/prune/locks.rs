//! Keeps what is kept under lock. An object is locked when it is put; where a later snapshot uses it again, its lock must reach
//! as far as that one's days.

use super::survey::{Survey, current};
use super::{Prune, PruneRecord};
use crate::clock::Timestamp;
use crate::error::{Result, ResultExt};
use crate::id::SnapshotId;
use crate::limits::{LOCK_AHEAD_S, LOCK_STEP_S, LOOKS_IN_FLIGHT};
use crate::retention::Decision;
use crate::versions::ObjectLock;
use futures::stream::{self, StreamExt};
use std::collections::HashMap;

impl Prune {
    /// Extends the locks that end before the days of a snapshot that needs the object. False when the time was up before.
    pub(super) async fn extend_locks(
        &self,
        survey: &Survey,
        decisions: &[Decision],
        record: &mut PruneRecord,
        now: Timestamp,
        deadline: Option<Timestamp>,
    ) -> Result<bool> {
        let kept: HashMap<SnapshotId, Timestamp> =
            decisions.iter().filter(|d| !d.expires()).map(|d| (d.id, d.lock_until(now, LOCK_AHEAD_S))).collect();
        let needed = survey.references().into_iter().filter_map(|(key, snapshots)| {
            let until = snapshots.iter().filter_map(|id| kept.get(id)).max().copied()?;
            (until > now).then_some((key, until))
        });
        let needed: Vec<_> = needed.collect();
        for place in 0..self.versions.len() {
            let vault = &self.versions[place];
            let there = needed.iter().filter_map(|(key, until)| {
                let version = current(survey.vaults[place].get(key)?)?;
                Some((*key, version.version.as_str(), *until))
            });
            let extensions = stream::iter(there).map(|(key, version, until)| async move {
                if self.is_out_of_time(deadline) {
                    return Ok(None);
                }
                let lock = vault.lock_of(&key, version).await;
                let lock = lock.context(format!("look at the lock of {key} in the {}", vault.place()))?;
                if lock.is_some_and(|lock| lock.until >= until) {
                    return Ok(Some(false));
                }
                let compliance = lock.is_some_and(|lock| lock.compliance);
                let longer = ObjectLock { compliance, until: until.plus_s(LOCK_STEP_S) };
                let extended = vault.extend_lock(&key, version, longer).await;
                extended.context(format!("extend the lock of {key} in the {}", vault.place()))?;
                Ok(Some(true))
            });
            let mut extensions = extensions.buffer_unordered(LOOKS_IN_FLIGHT);
            let mut in_time = true;
            while let Some(extended) = extensions.next().await {
                match extended? {
                    Some(extended) => record.vaults[place].locks_extended += u64::from(extended),
                    None => in_time = false,
                }
            }
            if !in_time {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
