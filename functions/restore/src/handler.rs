//! Reads the event, runs the operation, answers.

use aws::clients::{Clients, OpensWith};
use aws::machine::{SystemClock, SystemEntropy, deadline};
use aws::settings::Settings;
use engine::catalog::Status;
use engine::clock::{Clock, Timestamp};
use engine::environment::Environment;
use engine::error::{Error, Result};
use engine::id::SnapshotId;
use engine::ops::restore::{
    Ordered, Orders, Replace, Restore, RestoreOutcome, RestoreRecord, RestoreRequest, Restored, Selection,
};
use engine::queue::RestoreOrder;
use engine::scope::Scope;
use lambda_runtime::LambdaEvent;
use pg::{Address, Clients as PgClients, PgTarget, TargetSettings};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is to be restored, and where: the specification's `RestoreRequest`, and optionally the region of the vault to
/// read. Without a backup id, the newest, or the newest at or before the `restorePoint`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Request {
    #[serde(default)]
    backup_id: Option<SnapshotId>,
    target_environment: String,
    #[serde(default)]
    restore_point: Option<Timestamp>,
    #[serde(default)]
    region: Option<String>,
    /// With what it is opened, instead of the region's key.
    #[serde(default)]
    opens_with: OpensWith,
    /// What of the backup; everything without it.
    #[serde(default)]
    include: Option<Scope>,
    /// Of what of that the rows are left out.
    #[serde(default)]
    exclude: Option<Scope>,
    /// That what the target holds is replaced; without it a target in use is refused.
    #[serde(default)]
    replace: Option<Confirmed>,
}

/// A request, or orders of restores that have a record.
pub(crate) type Event = frame::Event<Request>;

/// The words that confirm it: `replace <environment> with <backup id>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmed {
    #[serde(default)]
    confirmation: String,
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    backup_id: SnapshotId,
    status: &'static str,
    target_environment: String,
    /// Milliseconds from the request to the proof.
    duration_ms: i64,
    #[serde(flatten)]
    restored: Restored,
}

/// The function, as it stays between invocations.
pub(crate) struct Function {
    pub(crate) clients: Clients,
    pub(crate) settings: Arc<Settings>,
}

impl Function {
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<frame::Answer<Answer>> {
        let begun = SystemClock.now();
        let deadline = deadline(event.context.deadline, begun);
        let request = match event.payload {
            Event::Request(request) => request,
            Event::Orders(orders) => return orders.each(async |order| self.take_up(order, deadline).await).await,
        };
        match self.run(&request, deadline).await {
            Ok(restored) => Ok(frame::Answer::Request(Answer {
                backup_id: restored.snapshot,
                status: "completed",
                target_environment: request.target_environment,
                duration_ms: SystemClock.now().since(begun),
                restored,
            })),
            Err(e) => {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                tracing::error!(kind = %e.kind(), error = %e, cause, "restore failed");
                Err(e)
            }
        }
    }

    async fn run(&self, request: &Request, deadline: Option<Timestamp>) -> Result<Restored> {
        let selection = selection(request)?;
        let environment: Environment = request.target_environment.parse()?;
        let restore = self.restore(environment, request.region.as_deref(), request.opens_with).await?;
        let replace = request.replace.as_ref().map(|replace| Replace {
            environment: environment.to_string(),
            confirmation: replace.confirmation.clone(),
            needs_safety_snapshot: environment == Environment::Production,
        });
        // Only those who see production may see what is in it.
        let masked = environment != Environment::Production;
        let (scope, exclude) = (request.include.clone(), request.exclude.clone());
        restore.run(RestoreRequest { scope, exclude, masked, replace, deadline, ..selection.into() }).await
    }

    /// Goes on with a restore that has a record, which says what came of it.
    async fn take_up(&self, order: RestoreOrder, deadline: Option<Timestamp>) -> Result<()> {
        let queue = self.clients.restore_queue().ok_or_else(|| {
            Error::invalid("BACKUP_RESTORE_QUEUE_URL is not set: without it a restore could not be handed over")
        })?;
        let ordered = Ordered {
            catalog: self.clients.catalog()?,
            queue,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        let make = async move |record: RestoreRecord| {
            self.restore(record.target_environment, Some(&record.region), OpensWith::RegionKey).await
        };
        match ordered.run(order, deadline, make).await? {
            // Its record says so; so does the alarm, for the invocation fails. The order comes again, and finds nothing to do.
            RestoreOutcome::Settled(record) if record.status == Status::Failed && record.cancelled.is_none() => {
                let why = record.error.unwrap_or_default();
                return Err(Error::invalid(format!("restore {} failed: {why}", record.id)));
            }
            RestoreOutcome::Settled(record) => {
                tracing::info!(restore = %record.id, status = ?record.status, rows = record.progress.rows, "restore is settled");
            }
            RestoreOutcome::HandedOver(record) => {
                tracing::info!(restore = %record.id, hand_overs = record.hand_overs, "restore was handed over");
            }
            RestoreOutcome::Skipped(why) => tracing::info!(restore = %order.restore_id, reason = %why, "skipped"),
        }
        Ok(())
    }

    async fn restore(&self, environment: Environment, region: Option<&str>, opens_with: OpensWith) -> Result<Restore> {
        let vaults = self.clients.vaults()?;
        let region = region.unwrap_or(&vaults.primary().place().region);
        let vault = Arc::clone(vaults.in_region(region)?);
        let url = self.clients.target_url(environment).await?;
        let target = PgTarget::new(TargetSettings {
            address: Address::parse(url.expose(), self.settings.tls_roots.clone())?,
            clients: PgClients::new(&self.settings.pg_bin),
            sessions: self.settings.sessions,
        });
        Ok(Restore {
            keyring: self.clients.keyring_of(region, opens_with)?,
            vault,
            target: Arc::new(target),
            storage: self.clients.target_storage(environment).await?,
            sessions: self.settings.sessions,
            policies: Arc::clone(&self.settings.policies),
            clock: Arc::new(SystemClock),
            // It needs none; where there is one, it tells whether a backup is being made, and what is being restored.
            catalog: self.clients.catalog().ok(),
            orders: self.clients.queue().map(|queue| Orders { queue, entropy: Arc::new(SystemEntropy) }),
            counters: Arc::default(),
            journal: None,
        })
    }
}

fn selection(request: &Request) -> Result<Selection> {
    match (request.backup_id, request.restore_point) {
        (Some(_), Some(_)) => Err(Error::invalid("give a backupId or a restorePoint, not both")),
        (Some(id), None) => Ok(Selection::Snapshot(id)),
        (None, Some(instant)) => Ok(Selection::AtOrBefore(instant)),
        (None, None) => Ok(Selection::Newest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ops::restore::confirmation;

    #[test]
    fn the_sample_of_a_request_restores_one_backup_from_one_region() {
        let text =
            std::fs::read_to_string(format!("{}/../../events/restore.requested.json", env!("CARGO_MANIFEST_DIR")))
                .expect("a sample");
        let event: Request = serde_json::from_str(&text).expect("parses");
        assert!(matches!(selection(&event).expect("selects"), Selection::Snapshot(_)));
        assert_eq!(event.region.as_deref(), Some("ap-southeast-1"));
        assert!(event.target_environment.parse::<Environment>().is_ok());
    }

    #[test]
    fn a_restore_point_selects_what_was_taken_before_it() {
        let event: Request =
            serde_json::from_str(r#"{"targetEnvironment":"staging","restorePoint":"2026-11-22T03:00:00Z"}"#)
                .expect("parses");
        assert!(matches!(selection(&event).expect("selects"), Selection::AtOrBefore(_)));
    }

    #[test]
    fn the_sample_of_a_replacement_is_confirmed_and_nothing_else_is_taken_for_a_confirmation() {
        let text = std::fs::read_to_string(format!("{}/../../events/restore.replace.json", env!("CARGO_MANIFEST_DIR")))
            .expect("a sample");
        let event: Request = serde_json::from_str(&text).expect("parses");
        let words = confirmation(&event.target_environment, event.backup_id.expect("names the backup"));
        assert_eq!(event.replace.expect("is there").confirmation, words);
        let event: Request =
            serde_json::from_str(r#"{"targetEnvironment":"production","replace":{}}"#).expect("parses");
        assert_eq!(event.replace.expect("is there").confirmation, "");
        for replace in [r#"true"#, r#"{"confirmation":"x","force":true}"#, r#""replace production with x""#] {
            let text = format!(r#"{{"targetEnvironment":"production","replace":{replace}}}"#);
            assert!(serde_json::from_str::<Request>(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_that_is_unclear_is_refused() {
        for text in [
            r#"{"targetEnvironment":"staging","force":true}"#,
            r#"{}"#,
            r#"{"targetEnvironment":"staging","restorePoint":"now"}"#,
        ] {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
        let both = r#"{"targetEnvironment":"staging","backupId":"019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071","restorePoint":"2026-11-22T03:00:00Z"}"#;
        assert!(selection(&serde_json::from_str(both).expect("parses")).is_err());
    }
}
