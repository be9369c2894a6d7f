//! Reads the event, runs the operation, answers what came of it.

use aws::clients::{Clients, OpensWith};
use aws::machine::{SystemClock, SystemEntropy, deadline};
use aws::settings::{DrillSettings, Settings};
use engine::clock::{Clock, Timestamp};
use engine::error::Result;
use engine::id::SnapshotId;
use engine::ops::drill::{Drill, DrillOutcome, DrillRecord, DrillRequest};
use engine::sandbox::Sandbox;
use lambda_runtime::LambdaEvent;
use pg::{Address, Clients as PgClients, PgSandbox, PgStandingServer, SandboxSettings};
use serde::Deserialize;
use std::sync::Arc;

/// `{"trigger":"schedule"}`, or `{"trigger":"manual","backupId":"019a…","region":"us-east-1","opensWith":"secondKey"}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Event {
    trigger: Trigger,
    /// Which backup, instead of the one that the settings choose.
    #[serde(default)]
    backup_id: Option<SnapshotId>,
    /// From which region, instead of the one whose turn it is.
    #[serde(default)]
    region: Option<String>,
    /// With what it is opened, instead of the region's key.
    #[serde(default)]
    opens_with: OpensWith,
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
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<DrillRecord> {
        let deadline = deadline(event.context.deadline, SystemClock.now());
        let done = self.run(&event.payload, deadline).await.inspect_err(|e| {
            let cause = std::error::Error::source(e).map(ToString::to_string);
            tracing::error!(kind = %e.kind(), error = %e, cause, "drill was not begun");
        })?;
        let error = done.error.as_deref();
        match done.outcome {
            DrillOutcome::Passed => {}
            DrillOutcome::Failed => {
                tracing::error!(alarm = "drill_failed", drill = %done.id, error, "a backup could not be restored")
            }
            DrillOutcome::Broken | DrillOutcome::Running => {
                tracing::error!(alarm = "drill_broken", drill = %done.id, error, "the drill did not come to its end");
            }
        }
        let backup = done.backup.map(|id| id.to_string());
        tracing::info!(
            drill = %done.id,
            trigger = ?event.payload.trigger,
            backup,
            region = done.region,
            outcome = ?done.outcome,
            extent = ?done.extent,
            recovery_ms = done.recovery_ms,
            rows = done.rows,
            bytes = done.bytes,
            "drilled"
        );
        Ok(done)
    }

    async fn run(&self, event: &Event, deadline: Option<Timestamp>) -> Result<DrillRecord> {
        let settings = self.settings.drill()?;
        let drill = Drill {
            vaults: self.clients.vaults()?,
            keyrings: self.clients.keyrings(event.opens_with)?,
            catalog: self.clients.catalog()?,
            sandbox: self.sandbox(settings).await?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            choice: settings.choice,
            checks: Arc::clone(&settings.checks),
            sessions: self.settings.sessions,
        };
        // A restore is a large future.
        Box::pin(drill.run(DrillRequest { backup: event.backup_id, region: event.region.clone(), deadline })).await
    }

    /// The server that was set up for drills, or one of the function's own.
    async fn sandbox(&self, settings: &DrillSettings) -> Result<Arc<dyn Sandbox>> {
        let clients = PgClients::new(self.settings.pg_bin.clone());
        if let Some(url) = self.clients.drill_url().await? {
            let address = Address::parse(url.expose(), self.settings.tls_roots.clone())?;
            return Ok(Arc::new(PgStandingServer::new(address, clients, self.settings.sessions)));
        }
        Ok(Arc::new(PgSandbox::new(SandboxSettings {
            server: settings.server.clone(),
            folder: settings.folder.clone(),
            room_bytes: settings.room_bytes,
            clients,
            sessions: self.settings.sessions,
        })))
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
    fn the_samples_drill() {
        let scheduled = sample("drill.scheduled.json");
        assert!(matches!(scheduled.trigger, Trigger::Schedule) && scheduled.backup_id.is_none());
        let asked = sample("drill.asked.json");
        assert!(matches!(asked.trigger, Trigger::Manual) && asked.backup_id.is_some());
        assert_eq!((asked.region.as_deref(), asked.opens_with), (Some("ap-southeast-1"), OpensWith::RegionKey));
        assert_eq!(sample("drill.second-key.json").opens_with, OpensWith::SecondKey);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in
            [r#"{}"#, r#"{"trigger":"manual","backupId":"newest"}"#, r#"{"trigger":"schedule","into":"production"}"#]
        {
            assert!(serde_json::from_str::<Event>(text).is_err(), "{text}");
        }
    }
}
