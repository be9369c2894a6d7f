//! What a person asks of backups: one now, that one be stopped, that one be kept.
//!
//! A backup that is asked for has its record before its order is sent, so whoever asked can follow it from then on. Asking again
//! with the same id is the same request: the record stays, and the order is sent again, which whoever takes it can tell.

use super::Backup;
use crate::catalog::{self, Catalog, Pin, SnapshotRecord, Status, Trigger};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::SnapshotId;
use crate::limits::{ORDER_LOST_S, TURN_S, TURN_WAIT_MAX_S};
use crate::queue::{BackupOrder, Queue};
use crate::vault::VaultPlace;

/// A backup that is asked for.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Its id: whoever asks again for the same gives the same.
    pub id: SnapshotId,
    /// The name of the source.
    pub source: &'a str,
    /// What asks.
    pub trigger: Trigger,
    /// What is to be read now, as [`BackupOrder::source`].
    pub part: Option<String>,
    /// The id of the person.
    pub by: &'a str,
}

/// Asks for a backup. Gives its record.
///
/// # Errors
/// Those of the catalog and the queue: asked again with the same id, it goes on.
pub async fn request(
    catalog: &dyn Catalog,
    queue: &dyn Queue<BackupOrder>,
    places: &[VaultPlace],
    asked: Asked<'_>,
    now: Timestamp,
) -> Result<SnapshotRecord> {
    let Asked { id, source, trigger, part, by } = asked;
    let mut record = SnapshotRecord::pending(id, source.to_owned(), trigger, now, places);
    (record.part, record.requested_by) = (part, Some(by.to_owned()));
    match catalog::insert(catalog, &record).await {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::Conflict => {
            record = super::record(catalog, id).await?;
            if record.status != Status::Pending {
                return Ok(record);
            }
        }
        Err(e) => return Err(e.context("write the backup's record")),
    }
    let order = BackupOrder { backup_id: Some(id), source: record.part.clone(), ..BackupOrder::new(trigger) };
    queue.send(&order, 0).await.context("order the backup")?;
    Ok(record)
}

/// Stops a backup that is not whole in the primary vault yet. Gives its record.
///
/// # Errors
/// `NotFound`; `Conflict` when there is nothing left to stop.
pub async fn cancel(catalog: &dyn Catalog, id: SnapshotId, by: &str, now: Timestamp) -> Result<SnapshotRecord> {
    catalog::amend(catalog, id, |record| record.cancel(by, now)).await
}

/// Keeps a backup whatever the policy says, or no longer; where it was sealed again, that one. Gives its record.
///
/// # Errors
/// `NotFound`; `Conflict` when there is nothing that could be kept.
pub async fn pin(catalog: &dyn Catalog, id: SnapshotId, pin: Option<Pin>) -> Result<SnapshotRecord> {
    let mut last = super::record(catalog, id).await?;
    while let Some(next) = last.superseded_by {
        last = super::record(catalog, next).await?;
    }
    catalog::amend(catalog, last.id, |record| record.set_pin(pin.clone())).await
}

impl Backup {
    /// Another backup of the source is being made: the order comes again in a while.
    pub(super) async fn wait_for_turn(&self, id: SnapshotId, order: &BackupOrder, busy: &Error) -> Result<()> {
        let Some(queue) = &self.queue else {
            return Err(Error::conflict(format!("{busy}; no queue is configured in which backup {id} could wait")));
        };
        let now = self.clock.now();
        let places: Vec<_> = self.vaults.all().iter().map(|v| v.place().clone()).collect();
        let mut record = SnapshotRecord::pending(id, self.settings.source.clone(), order.trigger, now, &places);
        record.part.clone_from(&order.source);
        match catalog::insert(&*self.catalog, &record).await {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Conflict => {
                let wait = |record: &mut SnapshotRecord| {
                    if now.since(record.started_at) > TURN_WAIT_MAX_S * 1_000 {
                        return Ok(record.abandon("other backups of the source were made all the time", now));
                    }
                    record.heartbeat_at = record.heartbeat_at.max(now);
                    Ok(!record.is_settled())
                };
                record = catalog::amend(&*self.catalog, id, wait).await?;
            }
            Err(e) => return Err(e.context("write the backup's record")),
        }
        if record.is_settled() || record.summary.is_some() {
            return Ok(());
        }
        tracing::info!(backup = %id, why = %busy, "waits for its turn");
        queue.send(order, TURN_S).await.context("wait for the other backup")
    }
}

/// Gives up a backup that was asked for, and that nobody took up for so long that its order must be lost.
pub(super) async fn give_up_lost(catalog: &dyn Catalog, record: &SnapshotRecord, now: Timestamp) -> Result<bool> {
    let is_lost =
        |record: &SnapshotRecord| record.status == Status::Pending && record.heartbeat_at.plus_s(ORDER_LOST_S) <= now;
    if !is_lost(record) {
        return Ok(false);
    }
    let mut given_up = false;
    catalog::amend(catalog, record.id, |record| {
        given_up = is_lost(record) && record.abandon("no function took it up: its order was lost; ask again", now);
        Ok(given_up)
    })
    .await?;
    Ok(given_up)
}
