//! Restores that were asked for: what an invocation does with an order, and what the record says meanwhile.
//!
//! Always holds: only one run at a time works on an environment; whatever happens, the record ends completed or failed, or another
//! order is on its way; an order that comes twice, late, or after the restore was cancelled does nothing.

use super::{Journal, Restore, RestoreCounters, RestorePhase, RestoreRecord, Restored, deadline_margin_s};
use crate::catalog::{self, AttemptRecord, CANCELLED, Catalog, Lease};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::{AttemptId, RestoreId};
use crate::limits::{HAND_OVER_S, LEASE_RENEW_S, LEASE_TTL_S, PROGRESS_MS, RESTORE_RETRY_S, TURN_S, TURN_WAIT_MAX_S};
use crate::queue::{Queue, RestoreOrder};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// What runs orders.
pub struct Ordered {
    /// The records.
    pub catalog: Arc<dyn Catalog>,
    /// Where the rest of a restore is put that does not fit into one invocation.
    pub queue: Arc<dyn Queue<RestoreOrder>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq)]
pub enum RestoreOutcome {
    /// The restore is over, whichever way. Its record.
    Settled(Box<RestoreRecord>),
    /// Another invocation goes on. The record as it was then.
    HandedOver(Box<RestoreRecord>),
    /// Nothing was done. Says why.
    Skipped(String),
}

/// How a run ends if nothing goes wrong.
enum Ended {
    Restored(Box<Restored>),
    OutOfTime,
    Cancelled,
}

/// The record itself.
struct RecordJournal {
    catalog: Arc<dyn Catalog>,
    id: RestoreId,
    attempt: AttemptId,
    noted: Option<Restored>,
    counters: Arc<RestoreCounters>,
}

#[async_trait::async_trait]
impl Journal for RecordJournal {
    fn noted(&self) -> Option<&Restored> {
        self.noted.as_ref()
    }

    async fn note(&self, restored: &Restored) -> Result<()> {
        let (_, wanted) = self.counters.progress();
        let note = |record: &mut RestoreRecord| record.note(self.attempt, restored.clone(), wanted).map(|()| true);
        catalog::amend(&*self.catalog, self.id, note).await.map(|_| ())
    }
}

impl Ordered {
    /// Does what an order says. `make` gives the operation for the record, once it is known.
    ///
    /// # Errors
    /// Those of the catalog and the queue: the order comes again. What is wrong with the restore itself is in its record.
    pub async fn run<F>(
        &self,
        order: RestoreOrder,
        deadline: Option<Timestamp>,
        make: impl FnOnce(RestoreRecord) -> F + Send,
    ) -> Result<RestoreOutcome>
    where
        F: Future<Output = Result<Restore>> + Send,
    {
        let id = order.restore_id;
        let record = super::record(&*self.catalog, id).await?;
        let name = format!("restore into {}", record.target_environment);
        let now = self.clock.now();
        let lease = match self.catalog.acquire(&name, &id.to_string(), now, now.plus_s(LEASE_TTL_S)).await {
            Ok(lease) => lease,
            Err(e) if e.kind() == ErrorKind::Conflict => return self.wait_for_turn(order, &e).await,
            Err(e) => return Err(e.context("take the lease of the target")),
        };
        let span = tracing::info_span!("ordered", restore = %id);
        let result = Box::pin(self.run_leased(order, &lease, deadline, make)).instrument(span).await;
        // Whoever goes on, or works on it already, finds the lease its own. One that cannot be given back expires by itself.
        let stays = match &result {
            Ok(RestoreOutcome::HandedOver(_)) => true,
            Ok(RestoreOutcome::Skipped(_)) => {
                super::record(&*self.catalog, id).await.is_ok_and(|record| record.is_worked_on(self.clock.now()))
            }
            _ => false,
        };
        if !stays && let Err(e) = self.catalog.renew(&lease, Timestamp::from_millis(0)).await {
            tracing::warn!(restore = %id, error = %e, "could not give the lease back");
        }
        result
    }

    async fn run_leased<F>(
        &self,
        order: RestoreOrder,
        lease: &Lease,
        deadline: Option<Timestamp>,
        make: impl FnOnce(RestoreRecord) -> F + Send,
    ) -> Result<RestoreOutcome>
    where
        F: Future<Output = Result<Restore>> + Send,
    {
        let id = order.restore_id;
        let attempt = AttemptRecord { id: AttemptId::new(&*self.clock, &*self.entropy)?, epoch: lease.epoch };
        let record = match self.begin(order, attempt).await {
            Ok(record) if record.is_settled() => return Ok(RestoreOutcome::Settled(Box::new(record))),
            Ok(record) => record,
            Err(e) if e.kind() == ErrorKind::Conflict => return Ok(RestoreOutcome::Skipped(e.to_string())),
            Err(e) => return Err(e),
        };
        let request = record.request(deadline);
        let (loaded_before, phase_before) = (record.progress.bytes, record.phase);
        let noted = record.restored.clone();
        let made = match make(record).await {
            Err(e) => Err(e),
            Ok(mut restore) => {
                let counters = Arc::clone(&restore.counters);
                restore.journal = Some(Arc::new(RecordJournal {
                    catalog: Arc::clone(&self.catalog),
                    id,
                    attempt: attempt.id,
                    noted,
                    counters: Arc::clone(&counters),
                }));
                let work = restore.run(request);
                let beat = self.heartbeat(id, attempt.id, lease, &counters, deadline);
                tokio::pin!(work);
                tokio::pin!(beat);
                tokio::select! {
                    made = &mut work => made.map(|restored| Ended::Restored(Box::new(restored))),
                    stopped = &mut beat => stopped,
                }
            }
        };
        let now = self.clock.now();
        let again = match made {
            Ok(Ended::Restored(restored)) => {
                let complete = |r: &mut RestoreRecord| r.complete(attempt.id, (*restored).clone(), now).map(|()| true);
                let record = catalog::amend(&*self.catalog, id, complete).await.context("record what was restored")?;
                return Ok(RestoreOutcome::Settled(Box::new(record)));
            }
            Ok(Ended::Cancelled) => return self.give_up(id, attempt.id, CANCELLED).await,
            Ok(Ended::OutOfTime) => Error::exhausted("the function's time is up"),
            // Such as a safety snapshot that is still being made, or a target that does not answer.
            Err(e) if e.kind() == ErrorKind::Unavailable => e,
            Err(e) => {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                tracing::error!(restore = %id, kind = %e.kind(), error = %e, cause, "restore failed");
                return self.give_up(id, attempt.id, &e.to_string()).await;
            }
        };
        tracing::info!(restore = %id, why = %again, "handed over");
        // The order first: should it come without its hand-over having been noted, it does nothing, and this one comes again.
        let next = RestoreOrder { restore_id: id, hand_overs: order.hand_overs + 1 };
        let is_busy = again.kind() == ErrorKind::Unavailable;
        self.queue
            .send(&next, if is_busy { RESTORE_RETRY_S } else { HAND_OVER_S })
            .await
            .context("hand over to another invocation")?;
        let handed = catalog::amend(&*self.catalog, id, |record| {
            // Of what comes after the rows nothing tells how far it is, but that there was time for it.
            let works = !is_busy && record.phase > RestorePhase::Loading;
            let came_further = works || record.progress.bytes > loaded_before || record.phase > phase_before;
            record.hand_over(attempt.id, came_further, now).map(|()| true)
        });
        match handed.await {
            Ok(record) => Ok(RestoreOutcome::HandedOver(Box::new(record))),
            Err(e) if e.kind() == ErrorKind::Exhausted => self.give_up(id, attempt.id, &format!("{again}; {e}")).await,
            Err(e) if e.kind() == ErrorKind::Conflict => Ok(RestoreOutcome::Skipped(e.to_string())),
            Err(e) => Err(e),
        }
    }

    /// Gives the record as it is then: settled, if it was cancelled before.
    async fn begin(&self, order: RestoreOrder, attempt: AttemptRecord) -> Result<RestoreRecord> {
        let now = self.clock.now();
        catalog::amend(&*self.catalog, order.restore_id, |record| {
            if record.hand_overs != order.hand_overs {
                return Err(Error::conflict(format!(
                    "restore {} was handed over again since this was asked for",
                    record.id
                )));
            }
            if record.cancelled.is_some() && !record.is_settled() {
                return Ok(record.abandon(CANCELLED, now));
            }
            record.begin(attempt, now).map(|()| true)
        })
        .await
    }

    /// Records why there is nothing restored, unless a newer run has taken over: then the record is its.
    async fn give_up(&self, id: RestoreId, attempt: AttemptId, reason: &str) -> Result<RestoreOutcome> {
        let now = self.clock.now();
        let record = catalog::amend(&*self.catalog, id, |record| {
            Ok(record.attempt.is_some_and(|a| a.id == attempt) && record.abandon(reason, now))
        });
        let record = record.await.context("record that the restore failed")?;
        Ok(match record.is_settled() {
            true => RestoreOutcome::Settled(Box::new(record)),
            false => RestoreOutcome::Skipped(format!("a newer run works on restore {id}")),
        })
    }

    /// Another restore into the same environment is under way: the order comes again in a while.
    async fn wait_for_turn(&self, order: RestoreOrder, busy: &Error) -> Result<RestoreOutcome> {
        let now = self.clock.now();
        let record = catalog::amend(&*self.catalog, order.restore_id, |record| {
            let since = record.approval.as_ref().and_then(|a| a.at).unwrap_or(record.started_at);
            if record.hand_overs == 0 && now.since(since) > TURN_WAIT_MAX_S * 1_000 {
                return Ok(record.abandon("other restores into the same environment were made all the time", now));
            }
            record.heartbeat_at = record.heartbeat_at.max(now);
            Ok(!record.is_settled())
        })
        .await?;
        if record.is_settled() {
            return Ok(RestoreOutcome::Settled(Box::new(record)));
        }
        tracing::info!(restore = %record.id, why = %busy, "waits for its turn");
        self.queue.send(&order, TURN_S).await.context("wait for the other restore")?;
        Ok(RestoreOutcome::Skipped(busy.to_string()))
    }

    /// Tells how far it is, keeps the lease, and watches the deadline and whether it was cancelled. Comes back only with the reason
    /// to stop.
    async fn heartbeat(
        &self,
        id: RestoreId,
        attempt: AttemptId,
        lease: &Lease,
        counters: &RestoreCounters,
        deadline: Option<Timestamp>,
    ) -> Result<Ended> {
        let started = self.clock.now();
        // What replaces a database in use stops by itself, and earlier: it is done in one invocation or not at all.
        let margin_ms = deadline.map_or(0, |d| deadline_margin_s(d, started) * 1_000 / 2);
        let (mut renewed, mut told) = (started, None);
        loop {
            self.clock.sleep(Duration::from_millis(PROGRESS_MS)).await;
            let now = self.clock.now();
            if deadline.is_some_and(|d| d.since(now) <= margin_ms) && !counters.is_finishing() {
                return Ok(Ended::OutOfTime);
            }
            if now.since(renewed) >= LEASE_RENEW_S * 1_000 {
                match self.catalog.renew(lease, now.plus_s(LEASE_TTL_S)).await {
                    Ok(_) => renewed = now,
                    Err(e) if counters.is_finishing() => {
                        tracing::warn!(restore = %id, error = %e, "could not renew the lease; the restore comes to its end");
                    }
                    Err(e)
                        if e.kind() == ErrorKind::Conflict
                            || now.since(renewed) >= (LEASE_TTL_S - LEASE_RENEW_S) * 1_000 =>
                    {
                        return Err(e.context("keep the lease of the target"));
                    }
                    Err(e) => tracing::warn!(restore = %id, error = %e, "could not renew the lease; trying again"),
                }
            }
            let (phase, progress) = counters.progress();
            let news = told != Some((phase, progress)) || now.since(renewed) == 0;
            let tell = |record: &mut RestoreRecord| match news {
                true => record.advance(attempt, phase, progress, now).map(|()| true),
                // Only to see whether it was cancelled.
                false => Ok(false),
            };
            match catalog::amend(&*self.catalog, id, tell).await {
                Ok(record) if record.cancelled.is_some() && !counters.is_finishing() => return Ok(Ended::Cancelled),
                Ok(_) => told = Some((phase, progress)),
                Err(e) if e.kind() == ErrorKind::Conflict && !counters.is_finishing() => {
                    return Err(e.context("tell how far the restore is"));
                }
                Err(e) => tracing::warn!(restore = %id, error = %e, "could not tell how far the restore is"),
            }
        }
    }
}
