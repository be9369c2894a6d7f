//! Reads the event, runs the operation, answers what was found.

use aws::clients::{Clients, OpensWith};
use aws::machine::{SystemClock, SystemEntropy, deadline};
use aws::settings::Settings;
use engine::clock::{Clock, Timestamp};
use engine::error::Result;
use engine::ops::verify::{Level, VerificationRecord, Verify, VerifyReport, VerifyRequest, VerifySettings};
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `{"trigger":"schedule"}`, or `{"trigger":"manual","everything":true}`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Event {
    trigger: Trigger,
    /// Read all data in every vault, and not only the share that is due.
    #[serde(default)]
    everything: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Trigger {
    Schedule,
    Manual,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Whether everything that was looked at is what was backed up.
    clean: bool,
    #[serde(flatten)]
    record: VerificationRecord,
}

/// The function, as it stays between invocations.
pub(crate) struct Function {
    pub(crate) clients: Clients,
    pub(crate) settings: Arc<Settings>,
}

impl Function {
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<Answer> {
        let Event { trigger, everything } = event.payload;
        let level = if everything { Level::Everything } else { Level::Due };
        let verified = self.run(level, deadline(event.context.deadline, SystemClock.now())).await;
        let report = verified.inspect_err(|e| {
            let cause = std::error::Error::source(e).map(ToString::to_string);
            tracing::error!(kind = %e.kind(), error = %e, cause, "verify failed");
        })?;
        let (clean, record) = (report.is_clean(), report.record);
        tracing::info!(
            run = %record.id,
            ?trigger,
            ?level,
            outcome = ?record.outcome,
            clean,
            read = record.vaults.iter().map(|v| v.read).sum::<u64>(),
            read_bytes = record.vaults.iter().map(|v| v.read_bytes).sum::<u64>(),
            hours_behind = record.hours_behind,
            "verified"
        );
        Ok(Answer { clean, record })
    }

    async fn run(&self, level: Level, deadline: Option<Timestamp>) -> Result<VerifyReport> {
        let verify = Verify {
            vaults: self.clients.vaults()?,
            versions: self.clients.versions()?,
            keyrings: self.clients.keyrings(OpensWith::RegionKey)?,
            catalog: self.clients.catalog()?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            settings: VerifySettings {
                rotation_days: self.settings.verify_days,
                retention_days: self.settings.retention()?.days,
            },
        };
        verify.run(VerifyRequest { level, deadline }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str) -> Event {
        let text = std::fs::read_to_string(format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR")));
        serde_json::from_str(&text.expect("a sample")).expect("parses")
    }

    #[test]
    fn the_samples_verify_what_is_due_and_everything() {
        let scheduled = sample("verify.scheduled.json");
        assert!(matches!(scheduled.trigger, Trigger::Schedule) && !scheduled.everything);
        let asked = sample("verify.everything.json");
        assert!(matches!(asked.trigger, Trigger::Manual) && asked.everything);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [r#"{}"#, r#"{"trigger":"manual","all":true}"#, r#"{"trigger":"schedule","everything":"yes"}"#] {
            assert!(serde_json::from_str::<Event>(text).is_err(), "{text}");
        }
    }
}
