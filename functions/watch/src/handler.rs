//! Reads the event, runs the operation, writes the numbers that alarms watch, answers what was seen.

use aws::clients::Clients;
use aws::machine::{SystemClock, SystemEntropy};
use aws::metrics::{self, Unit};
use aws::settings::Settings;
use engine::clock::Clock;
use engine::error::Result;
use engine::ops::watch::{Prices, UsageRecord, Vitals, Watch, Watched};
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use std::sync::Arc;

/// `{"trigger":"schedule"}` or `{"trigger":"manual"}`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Event {
    trigger: Trigger,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Trigger {
    Schedule,
    Manual,
}

/// The function, as it stays between invocations.
pub(crate) struct Function {
    pub(crate) clients: Clients,
    pub(crate) settings: Arc<Settings>,
}

impl Function {
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<Watched> {
        let watched = self.run().await.inspect_err(|e| {
            let cause = std::error::Error::source(e).map(ToString::to_string);
            tracing::error!(kind = %e.kind(), error = %e, cause, "watch failed");
        })?;
        for key in &watched.keys {
            tracing::error!(error = key, "a key would not work");
        }
        let numbers = numbers(&watched.vitals, watched.usage.as_ref());
        metrics::emit(&metrics::line(&self.settings.metrics_namespace, SystemClock.now(), &numbers));
        tracing::info!(trigger = ?event.payload.trigger, vitals = ?watched.vitals, "watched");
        match watched.not_counted {
            // The numbers that alarms watch are out already.
            Some(e) => {
                tracing::error!(kind = %e.kind(), error = %e, "what the vaults hold could not be counted");
                Err(e)
            }
            None => Ok(watched),
        }
    }

    async fn run(&self) -> Result<Watched> {
        let [primary, secondary, tertiary] = self.settings.vaults()?;
        let keys = |region: &str| self.clients.keys(region);
        let watch = Watch {
            vaults: self.clients.vaults()?,
            versions: self.clients.versions()?,
            keys: [keys(&primary.region)?, keys(&secondary.region)?, keys(&tertiary.region)?],
            second: self.clients.second_key(),
            catalog: self.clients.catalog()?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            prices: Prices::built_in()?,
        };
        watch.run().await
    }
}

/// The metrics, as `docs/metrics.md` lists them.
fn numbers(vitals: &Vitals, usage: Option<&UsageRecord>) -> Vec<(&'static str, Unit, Option<f64>)> {
    let count = |n: u64| Some(n as f64);
    vec![
        ("NewestBackupAge", Unit::Other, vitals.newest_backup_age),
        ("LastDrillAge", Unit::Other, vitals.last_drill_age),
        ("LastVerificationAge", Unit::Other, vitals.last_verification_age),
        ("LastPruneAge", Unit::Other, vitals.last_prune_age),
        ("ReplicationLag", Unit::Other, Some(vitals.replication_lag)),
        ("StalledBackups", Unit::Count, count(vitals.stalled_backups)),
        ("DamagedCopies", Unit::Count, count(vitals.damaged_copies)),
        ("VerificationBehind", Unit::Other, count(vitals.verification_behind)),
        ("KeysUnusable", Unit::Count, count(vitals.keys_unusable)),
        ("StoredBytes", Unit::Bytes, vitals.stored_bytes.map(|bytes| bytes as f64)),
        ("StorageCost", Unit::Other, usage.map(UsageRecord::usd_a_month)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_watches_and_what_is_none_is_refused() {
        let text = std::fs::read_to_string(format!("{}/../../events/watch.scheduled.json", env!("CARGO_MANIFEST_DIR")));
        let event: Event = serde_json::from_str(&text.expect("a sample")).expect("parses");
        assert!(matches!(event.trigger, Trigger::Schedule));
        for text in [r#"{}"#, r#"{"trigger":"now"}"#, r#"{"trigger":"manual","what":"all"}"#] {
            assert!(serde_json::from_str::<Event>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_metric_is_in_the_documentation_and_the_template_watches_no_other() {
        let read = |path: &str| {
            std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).expect("reads")
        };
        let (documentation, template) = (read("docs/metrics.md"), read("infra/backup.yaml"));
        let names: Vec<&str> = numbers(&Vitals::default(), None).into_iter().map(|(name, ..)| name).collect();
        for name in &names {
            assert!(documentation.contains(&format!("| `{name}` |")), "{name}");
        }
        let own = template.split("Namespace: !Ref ProjectName\n      MetricName: ").skip(1);
        for name in own.map(|rest| rest.lines().next().unwrap_or_default()) {
            assert!(documentation.contains(&format!("| `{name}` |")), "{name} is watched and not documented");
        }
    }
}
