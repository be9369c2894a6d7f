//! Finds what earlier attempts stored: the newest snapshot of the source, and the checkpoints of attempts after it.

use super::Backup;
use crate::blob::KnownBlobs;
use crate::catalog::Warning;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{AttemptId, SnapshotId};
use crate::inventory;
use crate::layout::{CHECKPOINTS, ObjectKey};
use crate::limits::CHECKPOINT_AGE_MAX_S;
use crate::manifest::Manifest;
use crate::message;
use crate::reuse::Stored;
use crate::stage::Sha256;
use crate::vault::list_all;

/// What was found.
#[derive(Default)]
pub(super) struct Earlier {
    pub(super) stored: Vec<Stored>,
    pub(super) blobs: KnownBlobs,
    /// What could not be read, and is copied again therefore.
    pub(super) warnings: Vec<Warning>,
}

impl Backup {
    /// What the primary vault holds of this source. Without incremental backups only what earlier attempts at this very
    /// snapshot stored.
    pub(super) async fn earlier(&self, snapshot: SnapshotId) -> Result<Earlier> {
        let mut earlier = Earlier::default();
        let mut after = None;
        if self.settings.incremental {
            match self.newest().await {
                Ok(Some((attempt, mut manifest))) => {
                    after = Some(attempt);
                    earlier.blobs.add(std::mem::take(&mut manifest.blobs), &manifest.packs);
                    earlier.stored.push(manifest.into());
                }
                Ok(None) => {}
                Err(e) => earlier.unreadable(e.context("read the last backup"))?,
            }
        }
        for (attempt, key) in self.checkpoints(after).await? {
            match self.checkpoint(attempt, key).await {
                // What it lists is under a former key, which may be gone before this backup is looked at.
                Ok(None) => {}
                Ok(Some(c)) if c.source != self.settings.source => {}
                Ok(Some(c)) if !self.settings.incremental && c.snapshot != snapshot => {}
                Ok(Some(mut checkpoint)) => {
                    earlier.blobs.add(std::mem::take(&mut checkpoint.blobs), &checkpoint.packs);
                    earlier.stored.push(checkpoint.into());
                }
                Err(e) => earlier.unreadable(e.context(format!("read {key}")))?,
            }
        }
        Ok(earlier)
    }

    async fn newest(&self) -> Result<Option<(AttemptId, Manifest)>> {
        let vault = self.vaults.primary();
        for id in inventory::list(&**vault).await?.into_iter().rev() {
            let (inventory, _) = inventory::read(&**vault, id).await?;
            if inventory.source != self.settings.source {
                continue;
            }
            let sealed = vault.get(&inventory.manifest.key).await?;
            if Sha256::of(&sealed) != inventory.manifest.sha256 {
                return Err(Error::corrupt(format!("{} is not what the inventory says", inventory.manifest.key)));
            }
            let manifest = Manifest::open(&self.keyring, inventory.attempt, &sealed).await?;
            if manifest.snapshot != id {
                return Err(Error::corrupt(format!("the manifest of {id} says it is of {}", manifest.snapshot)));
            }
            return Ok(Some((manifest.read_by(), manifest)));
        }
        Ok(None)
    }

    /// The checkpoints of attempts that began after another, but for old ones: `prune` may be deleting what they list.
    async fn checkpoints(&self, after: Option<AttemptId>) -> Result<Vec<(AttemptId, ObjectKey)>> {
        let not_before = self.clock.now().plus_s(-CHECKPOINT_AGE_MAX_S);
        let keys = list_all(&**self.vaults.primary(), CHECKPOINTS).await?;
        let checkpoint = |key: &String| match key.parse() {
            Ok(key @ ObjectKey::Checkpoint(attempt, _)) => Some((attempt, key)),
            _ => None,
        };
        Ok(keys
            .iter()
            .filter_map(checkpoint)
            .filter(|(attempt, _)| after.is_none_or(|after| *attempt > after) && attempt.made_at() >= not_before)
            .collect())
    }

    async fn checkpoint(&self, attempt: AttemptId, key: ObjectKey) -> Result<Option<Checkpoint>> {
        let sealed = self.vaults.primary().get(&key).await?;
        if !self.keyring.is_current(&message::header(&sealed)?) {
            return Ok(None);
        }
        Checkpoint::open(&self.keyring, attempt, &sealed).await.map(Some)
    }
}

impl Earlier {
    /// What cannot be read is copied again; but a vault that does not answer may answer the next time.
    fn unreadable(&mut self, e: Error) -> Result<()> {
        if e.kind() == ErrorKind::Unavailable {
            return Err(e);
        }
        tracing::warn!(kind = %e.kind(), error = %e, "what was stored earlier cannot be used");
        self.warnings.push(Warning { code: "earlier_unreadable".to_owned(), message: e.to_string() });
        Ok(())
    }
}
