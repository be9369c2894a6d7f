//! Reads the event, runs the operation, answers.

use aws::clients::Clients;
use aws::machine::{SystemClock, SystemEntropy};
use aws::settings::Settings;
use engine::catalog::{Phase, Status, Trigger};
use engine::clock::{Clock, Timestamp};
use engine::error::{Error, Result};
use engine::id::SnapshotId;
use engine::keyring::Keyring;
use engine::ops::backup::{Backup, BackupOutcome, BackupRequest, BackupSettings};
use lambda_runtime::{Context, LambdaEvent};
use pg::{Address, Clients as PgClients, PgSource, SourceSettings};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long a lock on a table may be waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// What starts a backup: `{"trigger":"schedule"}`, or `{"trigger":"manual"}` with or without the id of a backup that was
/// asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Event {
    trigger: Trigger,
    #[serde(default)]
    backup_id: Option<SnapshotId>,
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub(crate) enum Answer {
    /// The snapshot is whole in the primary vault.
    #[serde(rename_all = "camelCase")]
    Committed { backup_id: SnapshotId, status: Status, phase: Phase, tables: u64, rows: u64, bytes: u64, size: u64 },
    /// Another backup runs.
    Skipped { skipped: String },
}

/// The function, as it stays between invocations.
pub(crate) struct Function {
    pub(crate) clients: Clients,
    pub(crate) settings: Arc<Settings>,
}

impl Function {
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<Answer> {
        let deadline = deadline(&event.context, SystemClock.now());
        let request = BackupRequest { id: event.payload.backup_id, trigger: event.payload.trigger, deadline };
        match self.run(request).await {
            Ok(BackupOutcome::Busy(why)) => {
                tracing::info!(reason = %why, "skipped: another backup of this source runs");
                Ok(Answer::Skipped { skipped: why })
            }
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
        });
        let entropy = Arc::new(SystemEntropy);
        let vaults = self.clients.vaults()?;
        let primary = &vaults.primary().place().region;
        if primary != region {
            tracing::warn!(function = %region, vault = %primary, "the function does not run in the primary vault's region");
        }
        let keyring = Keyring::new(self.clients.keys(primary)?, Arc::clone(&entropy) as _);
        let backup = Backup {
            keyring: Arc::new(keyring),
            vaults,
            catalog: self.clients.catalog()?,
            source: Arc::new(source),
            clock: Arc::new(SystemClock),
            entropy,
            settings: BackupSettings {
                source: self.settings.source.clone(),
                sessions: *sessions,
                compression_level: self.settings.compression_level,
                segment_blocks: self.settings.segment_blocks,
            },
        };
        backup.run(request).await
    }
}

/// When the function will be stopped. A deadline that has passed at the start (a developer's emulator sends one of 1970)
/// is no deadline.
fn deadline(context: &Context, now: Timestamp) -> Option<Timestamp> {
    let deadline = i64::try_from(context.deadline).ok().map(Timestamp::from_millis)?;
    (deadline > now).then_some(deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str) -> String {
        std::fs::read_to_string(format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a sample event")
    }

    #[test]
    fn the_sample_of_the_schedule_starts_a_backup() {
        let event: Event = serde_json::from_str(&sample("backup.scheduled.json")).expect("parses");
        assert_eq!((event.trigger, event.backup_id), (Trigger::Schedule, None));
    }

    #[test]
    fn the_sample_of_a_person_starts_the_backup_that_was_asked_for() {
        let event: Event = serde_json::from_str(&sample("backup.manual.json")).expect("parses");
        assert_eq!(event.trigger, Trigger::Manual);
        assert!(event.backup_id.is_some());
    }

    #[test]
    fn an_event_with_a_field_that_is_not_known_is_refused() {
        assert!(serde_json::from_str::<Event>(r#"{"trigger":"schedule","tables":["a"]}"#).is_err());
        assert!(serde_json::from_str::<Event>(r#"{"trigger":"now"}"#).is_err());
        assert!(serde_json::from_str::<Event>(r#"{"trigger":"manual","backupId":"1"}"#).is_err());
    }

    #[test]
    fn a_deadline_that_has_passed_at_the_start_is_unknown() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let at = |millis| {
            let mut context = Context::default();
            context.deadline = millis;
            deadline(&context, now)
        };
        assert_eq!(at(600_000), None);
        assert_eq!(at(1_800_000_900_000), Some(Timestamp::from_millis(1_800_000_900_000)));
    }
}
