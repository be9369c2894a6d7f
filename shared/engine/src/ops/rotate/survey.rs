//! What is under a former key, by what the headers of sealed objects say. Read only.

use super::{NotSealed, Records, Rotate};
use crate::catalog::{SnapshotRecord, Status};
use crate::envelope::{Decoded, HEADER_BYTES_MAX, Header};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::{AttemptId, SnapshotId};
use crate::inventory::{self, Inventory};
use crate::layout::ObjectKey;
use crate::limits::{HEADER_PROBE_BYTES, LOOKS_IN_FLIGHT};
use futures::stream::{self, StreamExt};
use std::collections::{HashMap, HashSet};

/// What there is to do.
#[derive(Default)]
pub(super) struct Survey {
    /// Newest first.
    pub(super) stale: Vec<SnapshotId>,
    /// Whether an attempt's packs are under a former key.
    pub(super) stale_attempts: HashMap<AttemptId, bool>,
    /// Packs under a former key that are needed.
    pub(super) stale_packs: HashMap<ObjectKey, u64>,
    /// What could not be looked at.
    pub(super) unreadable: Vec<NotSealed>,
}

impl Survey {
    pub(super) fn is_empty(&self) -> bool {
        self.stale.is_empty() && self.unreadable.is_empty()
    }
}

impl Rotate {
    /// Finds what is under a former key.
    pub(super) async fn survey(&self, records: &Records, ids: &[SnapshotId]) -> Result<Survey> {
        let primary = self.vaults.primary();
        let mut survey = Survey::default();
        let listed: HashSet<[u8; 10]> = ids.iter().map(SnapshotId::root).collect();
        let is_missing = |r: &&SnapshotRecord| r.status == Status::Completed && !listed.contains(&r.id.root());
        survey.unreadable.extend(records.values().filter(is_missing).map(|r| NotSealed {
            id: r.id,
            error: format!(
                "its inventory is not in the {}: `verify` finds that, and `replicate` puts it back",
                primary.place()
            ),
        }));
        let ids = ids.iter().copied().rev().filter(|id| records.get(id).is_some_and(|r| r.status == Status::Completed));
        let reads = stream::iter(ids).map(|id| async move { (id, inventory::read(&**primary, id).await) });
        let mut reads = reads.buffered(LOOKS_IN_FLIGHT);
        while let Some((id, read)) = reads.next().await {
            let looked = match read {
                Ok((inventory, _)) => self.look(&mut survey, &inventory).await,
                Err(e) => Err(e),
            };
            match looked {
                Ok(true) => survey.stale.push(id),
                Ok(false) => {}
                Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e),
                Err(e) => survey.unreadable.push(NotSealed { id, error: e.to_string() }),
            }
        }
        Ok(survey)
    }

    /// Whether anything of a snapshot is under a former key.
    async fn look(&self, survey: &mut Survey, inventory: &Inventory) -> Result<bool> {
        let mut stale = !self.is_current(inventory.manifest.key, inventory.manifest.length).await?;
        for pack in &inventory.packs {
            let ObjectKey::Pack(attempt, _) = pack.key else { continue };
            // All packs of an attempt are under one data key.
            let is_stale = match survey.stale_attempts.get(&attempt) {
                Some(is_stale) => *is_stale,
                None => {
                    let is_stale = !self.is_current(pack.key, pack.length).await?;
                    survey.stale_attempts.insert(attempt, is_stale);
                    is_stale
                }
            };
            if is_stale {
                survey.stale_packs.insert(pack.key, pack.length);
                stale = true;
            }
        }
        Ok(stale)
    }

    /// Whether the first message of an object is under the key that seals now.
    pub(super) async fn is_current(&self, key: ObjectKey, length: u64) -> Result<bool> {
        let primary = self.vaults.primary();
        let from = || format!("read the header of {key} in the {}", primary.place());
        for length in [HEADER_PROBE_BYTES as u64, HEADER_BYTES_MAX as u64].map(|n| n.min(length)) {
            let bytes = primary.get_range(&key, 0, length).await.context(from())?;
            if let Decoded::Header(header, _) = Header::decode(&bytes).context(from())? {
                return Ok(self.keyring.is_current(&header));
            }
        }
        Err(Error::corrupt(format!("{}: the sealed message is cut off in its header", from())))
    }
}
