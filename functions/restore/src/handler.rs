//! Reads the event, runs the operation, answers.

use aws::clients::{Clients, OpensWith};
use aws::machine::{SystemClock, SystemEntropy, deadline};
use aws::settings::{Environment, Settings};
use engine::clock::{Clock, Timestamp};
use engine::error::{Error, Result};
use engine::id::SnapshotId;
use engine::ops::restore::{Orders, Replace, Restore, RestoreRequest, Restored, Selection};
use engine::scope::Scope;
use lambda_runtime::LambdaEvent;
use pg::{Address, Clients as PgClients, PgTarget, TargetSettings};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is to be restored, and where: the specification's `RestoreRequest`, and optionally the region of the vault to
/// read. Without a backup id, the newest, or the newest at or before the `restorePoint`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Event {
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
    only: Option<Scope>,
    /// That what the target holds is replaced; without it a target in use is refused.
    #[serde(default)]
    replace: Option<Confirmed>,
}

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
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<Answer> {
        let begun = SystemClock.now();
        match self.run(&event.payload, deadline(event.context.deadline, begun)).await {
            Ok(restored) => Ok(Answer {
                backup_id: restored.snapshot,
                status: "completed",
                target_environment: event.payload.target_environment,
                duration_ms: SystemClock.now().since(begun),
                restored,
            }),
            Err(e) => {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                tracing::error!(kind = %e.kind(), error = %e, cause, "restore failed");
                Err(e)
            }
        }
    }

    async fn run(&self, event: &Event, deadline: Option<Timestamp>) -> Result<Restored> {
        let selection = selection(event)?;
        let environment: Environment = event.target_environment.parse()?;
        let vaults = self.clients.vaults()?;
        let region = event.region.as_deref().unwrap_or(&vaults.primary().place().region);
        let vault = Arc::clone(vaults.in_region(region)?);
        let url = self.clients.target_url(environment).await?;
        let target = PgTarget::new(TargetSettings {
            address: Address::parse(url.expose(), self.settings.tls_roots.clone())?,
            clients: PgClients::new(&self.settings.pg_bin),
            sessions: self.settings.sessions,
        });
        let restore = Restore {
            keyring: self.clients.keyring_of(region, event.opens_with)?,
            vault,
            target: Arc::new(target),
            storage: self.clients.target_storage(environment).await?,
            sessions: self.settings.sessions,
            policies: Arc::clone(&self.settings.policies),
            clock: Arc::new(SystemClock),
            // It needs none; where there is one, it tells whether a backup is being made, and what is being restored.
            catalog: self.clients.catalog().ok(),
            orders: self.clients.queue().map(|queue| Orders { queue, entropy: Arc::new(SystemEntropy) }),
        };
        let replace = event.replace.as_ref().map(|replace| Replace {
            environment: environment.to_string(),
            confirmation: replace.confirmation.clone(),
            needs_safety_snapshot: environment == Environment::Production,
        });
        // Only those who see production may see what is in it.
        let masked = environment != Environment::Production;
        let request = RestoreRequest { scope: event.only.clone(), masked, replace, deadline, ..selection.into() };
        restore.run(request).await
    }
}

fn selection(event: &Event) -> Result<Selection> {
    match (event.backup_id, event.restore_point) {
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
        let event: Event = serde_json::from_str(&text).expect("parses");
        assert!(matches!(selection(&event).expect("selects"), Selection::Snapshot(_)));
        assert_eq!(event.region.as_deref(), Some("ap-southeast-1"));
        assert!(event.target_environment.parse::<Environment>().is_ok());
    }

    #[test]
    fn a_restore_point_selects_what_was_taken_before_it() {
        let event: Event =
            serde_json::from_str(r#"{"targetEnvironment":"staging","restorePoint":"2026-11-22T03:00:00Z"}"#)
                .expect("parses");
        assert!(matches!(selection(&event).expect("selects"), Selection::AtOrBefore(_)));
    }

    #[test]
    fn the_sample_of_a_replacement_is_confirmed_and_nothing_else_is_taken_for_a_confirmation() {
        let text = std::fs::read_to_string(format!("{}/../../events/restore.replace.json", env!("CARGO_MANIFEST_DIR")))
            .expect("a sample");
        let event: Event = serde_json::from_str(&text).expect("parses");
        let words = confirmation(&event.target_environment, event.backup_id.expect("names the backup"));
        assert_eq!(event.replace.expect("is there").confirmation, words);
        let event: Event = serde_json::from_str(r#"{"targetEnvironment":"production","replace":{}}"#).expect("parses");
        assert_eq!(event.replace.expect("is there").confirmation, "");
        for replace in [r#"true"#, r#"{"confirmation":"x","force":true}"#, r#""replace production with x""#] {
            let text = format!(r#"{{"targetEnvironment":"production","replace":{replace}}}"#);
            assert!(serde_json::from_str::<Event>(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_that_is_unclear_is_refused() {
        for text in [
            r#"{"targetEnvironment":"staging","force":true}"#,
            r#"{}"#,
            r#"{"targetEnvironment":"staging","restorePoint":"now"}"#,
        ] {
            assert!(serde_json::from_str::<Event>(text).is_err(), "{text}");
        }
        let both = r#"{"targetEnvironment":"staging","backupId":"019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071","restorePoint":"2026-11-22T03:00:00Z"}"#;
        assert!(selection(&serde_json::from_str(both).expect("parses")).is_err());
    }
}
