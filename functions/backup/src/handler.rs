//! Reads the event, runs the operation, answers.

use aws::clients::Clients;
use aws::machine::{SystemClock, SystemEntropy, deadline};
use aws::settings::Settings;
use engine::catalog::{CANCELLED, Phase, Status};
use engine::clock::Clock;
use engine::error::{Error, Result};
use engine::id::SnapshotId;
use engine::ops::backup::{Backup, BackupOutcome, BackupRequest, BackupSettings};
use engine::queue::BackupOrder;
use lambda_runtime::LambdaEvent;
use pg::{Address, Clients as PgClients, PgSource, SourceSettings};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How long a lock on a table may be waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// What starts a backup: `{"trigger":"schedule"}`, or `{"trigger":"manual"}` with or without the id of a backup that was asked for;
/// or the same, as messages of the queue.
pub(crate) type Event = frame::Event<BackupOrder>;

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub(crate) enum Answer {
    /// The snapshot is whole in the primary vault.
    #[serde(rename_all = "camelCase")]
    Committed { backup_id: SnapshotId, status: Status, phase: Phase, tables: u64, rows: u64, bytes: u64, size: u64 },
    /// Another invocation goes on.
    #[serde(rename_all = "camelCase")]
    HandedOver { backup_id: SnapshotId, status: Status, hand_overs: u32 },
    /// Another backup runs, or this one needs nothing more.
    Skipped { skipped: String },
}

/// The function, as it stays between invocations.
pub(crate) struct Function {
    pub(crate) clients: Clients,
    pub(crate) settings: Arc<Settings>,
}

impl Function {
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<frame::Answer<Answer>> {
        let deadline = deadline(event.context.deadline, SystemClock.now());
        match event.payload {
            Event::Request(order) => self.back_up(BackupRequest { order, deadline }).await.map(frame::Answer::Request),
            Event::Orders(orders) => {
                let take_up = async |order| self.back_up(BackupRequest { order, deadline }).await.map(|_| ());
                orders.each(take_up).await
            }
        }
    }

    async fn back_up(&self, request: BackupRequest) -> Result<Answer> {
        match self.run(request).await {
            Ok(BackupOutcome::Busy(why)) => {
                tracing::info!(reason = %why, "skipped");
                Ok(Answer::Skipped { skipped: why })
            }
            Ok(BackupOutcome::Cancelled(record)) => {
                tracing::info!(backup = %record.id, "cancelled");
                Ok(Answer::Skipped { skipped: CANCELLED.to_owned() })
            }
            Ok(BackupOutcome::HandedOver(record)) => Ok(Answer::HandedOver {
                backup_id: record.id,
                status: record.status,
                hand_overs: record.hand_overs.count,
            }),
            Ok(BackupOutcome::Committed(record)) => {
                let summary =
                    record.summary.as_ref().ok_or_else(|| Error::internal("a committed backup has no summary"))?;
                tracing::info!(backup = %record.id, rows = summary.rows, bytes = summary.bytes, size = summary.size, "backup is committed");
                Ok(Answer::Committed {
                    backup_id: record.id,
                    status: record.status,
                    phase: record.phase,
                    tables: summary.tables,
                    rows: summary.rows,
                    bytes: summary.bytes,
                    size: summary.size,
                })
            }
            Err(e) => {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                tracing::error!(kind = %e.kind(), error = %e, cause, "backup failed");
                Err(e)
            }
        }
    }

    async fn run(&self, request: BackupRequest) -> Result<BackupOutcome> {
        let Settings { region, sessions, .. } = &*self.settings;
        let url = self.clients.source_url().await?;
        let source = PgSource::new(SourceSettings {
            address: Address::parse(url.expose(), self.settings.tls_roots.clone())?,
            clients: PgClients::new(&self.settings.pg_bin),
            sessions: *sessions,
            lock_timeout: LOCK_TIMEOUT,
            owner: format!("{}/{}", self.settings.vaults()?[0].bucket, self.settings.source),
        });
        let vaults = self.clients.vaults()?;
        let primary = &vaults.primary().place().region;
        if primary != region {
            tracing::warn!(function = %region, vault = %primary, "the function does not run in the primary vault's region");
        }
        let backup = Backup {
            keyring: self.clients.keyring(primary)?,
            vaults,
            catalog: self.clients.catalog()?,
            source: Arc::new(source),
            storage: self.clients.source_storage().await?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            settings: BackupSettings {
                source: self.settings.source.clone(),
                sessions: *sessions,
                compression_level: self.settings.compression_level,
                segment_blocks: self.settings.segment_blocks,
                incremental: self.settings.incremental,
                full_every_days: Some(self.settings.full_every_days),
                policies: Arc::clone(&self.settings.policies),
            },
            queue: self.clients.queue(),
        };
        backup.run(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::catalog::Trigger;

    fn sample(name: &str) -> String {
        std::fs::read_to_string(format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a sample event")
    }

    fn parse(text: &str) -> BackupOrder {
        match serde_json::from_str(text).expect("parses") {
            Event::Request(order) => order,
            Event::Orders(orders) => panic!("no orders: {orders:?}"),
        }
    }

    fn order(trigger: Trigger, backup_id: Option<&str>, hand_overs: u32) -> BackupOrder {
        let backup_id = backup_id.map(|id| id.parse().expect("an id"));
        BackupOrder { backup_id, hand_overs, ..BackupOrder::new(trigger) }
    }

    #[test]
    fn the_sample_of_the_schedule_starts_a_backup() {
        assert_eq!(parse(&sample("backup.scheduled.json")), order(Trigger::Schedule, None, 0));
    }

    #[test]
    fn the_sample_of_a_person_starts_the_backup_that_was_asked_for() {
        let order = parse(&sample("backup.manual.json"));
        assert_eq!(order.trigger, Trigger::Manual);
        assert!(order.backup_id.is_some());
    }

    #[test]
    fn the_sample_of_a_part_reads_only_that() {
        let source = Some("orders".to_owned());
        assert_eq!(parse(&sample("backup.part.json")), BackupOrder { source, ..BackupOrder::new(Trigger::Manual) });
    }

    #[tokio::test]
    async fn the_sample_of_the_queue_goes_on_with_a_backup() {
        let id = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
        let Event::Orders(orders) = serde_json::from_str(&sample("backup.queue.json")).expect("parses") else {
            panic!("orders")
        };
        let expected = order(Trigger::Schedule, Some(id), 1);
        let answer = orders.each::<_, ()>(async |order: BackupOrder| {
            assert_eq!(order, expected);
            Ok(())
        });
        assert_eq!(answer.await.expect("nothing failed"), frame::Answer::Orders { failures: Vec::new() });
    }

    #[test]
    fn an_event_with_a_field_that_is_not_known_is_refused_by_its_name() {
        for (event, said) in [
            (r#"{"trigger":"schedule","tables":["a"]}"#, "tables"),
            (r#"{"trigger":"now"}"#, "now"),
            (r#"{"trigger":"manual","backupId":"1"}"#, "`1` is not a backup id"),
        ] {
            let error = serde_json::from_str::<Event>(event).expect_err("refused").to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
