//! Reads the event, runs the operation, answers what was done, or would be.

use aws::clients::Clients;
use aws::machine::{SystemClock, SystemEntropy, deadline};
use aws::settings::Settings;
use engine::clock::Clock;
use engine::error::Result;
use engine::ops::prune::{Prune, PruneRecord, PruneRequest, Pruned};
use engine::queue::PruneOrder;
use engine::retention::Decision;
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `{"trigger":"schedule"}`, or `{"trigger":"manual","dryRun":true}`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Request {
    trigger: Trigger,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// A request, or orders of runs that have a record.
pub(crate) type Event = frame::Event<Request>;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Trigger {
    Schedule,
    Manual,
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Backups that were removed, or would be.
    removed: u64,
    #[serde(flatten)]
    record: PruneRecord,
    /// What becomes of each backup and why, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Vec<Decision>>,
}

impl From<Pruned> for Answer {
    fn from(Pruned { record, decisions }: Pruned) -> Self {
        let removed = if record.dry_run { record.to_expire } else { record.expired.len() as u64 };
        let plan = record.dry_run.then_some(decisions);
        Self { removed, record, plan }
    }
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
            Event::Request(Request { trigger, dry_run }) => {
                tracing::info!(?trigger, dry_run, "prune begins");
                let request = PruneRequest { run: None, dry_run, deadline };
                self.prune(request).await.map(|pruned| frame::Answer::Request(pruned.into()))
            }
            Event::Orders(orders) => {
                let take_up = async |PruneOrder { prune_id }| {
                    let request = PruneRequest { run: Some(prune_id), dry_run: false, deadline };
                    self.prune(request).await.map(|_| ())
                };
                orders.each(take_up).await
            }
        }
    }

    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        let pruned = self.run(request).await.inspect_err(|e| {
            let cause = std::error::Error::source(e).map(ToString::to_string);
            tracing::error!(kind = %e.kind(), error = %e, cause, "prune failed");
        })?;
        let record = &pruned.record;
        let total = |of: fn(&engine::ops::prune::VaultTally) -> u64| record.vaults.iter().map(of).sum::<u64>();
        tracing::info!(
            run = %record.id,
            dry_run = record.dry_run,
            outcome = ?record.outcome,
            snapshots = record.snapshots,
            expired = record.expired.len(),
            removed_objects = total(|v| v.removed_objects),
            removed_bytes = total(|v| v.removed_bytes),
            locked_objects = total(|v| v.locked_objects),
            "pruned"
        );
        Ok(pruned)
    }

    async fn run(&self, request: PruneRequest) -> Result<Pruned> {
        let prune = Prune {
            vaults: self.clients.vaults()?,
            versions: self.clients.versions()?,
            catalog: self.clients.catalog()?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            policy: self.settings.retention()?,
        };
        prune.run(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str) -> Request {
        let text = std::fs::read_to_string(format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR")));
        serde_json::from_str(&text.expect("a sample")).expect("parses")
    }

    #[test]
    fn the_samples_prune_and_ask_for_the_plan() {
        let scheduled = sample("prune.scheduled.json");
        assert!(matches!(scheduled.trigger, Trigger::Schedule) && !scheduled.dry_run);
        let asked = sample("prune.dry-run.json");
        assert!(matches!(asked.trigger, Trigger::Manual) && asked.dry_run);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            r#"{}"#,
            r#"{"trigger":"now"}"#,
            r#"{"trigger":"manual","dryrun":true}"#,
            r#"{"trigger":"manual","dryRun":"yes"}"#,
        ] {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
    }
}
