//! Reads the event, runs the operation, answers how far the rotation is.

use aws::clients::Clients;
use aws::machine::{SystemClock, SystemEntropy, deadline};
use aws::settings::Settings;
use engine::clock::Clock;
use engine::error::{ErrorKind, Result};
use engine::ops::rotate::{Rotate, RotationRecord};
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use std::sync::Arc;

/// `{"trigger":"schedule"}` or `{"trigger":"manual"}`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// How far the rotation is; nothing where nothing is under a former key.
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<Option<RotationRecord>> {
        let primary = &self.settings.vaults()?[0].region;
        let rotate = Rotate {
            vaults: self.clients.vaults()?,
            keyring: self.clients.keyring(primary)?,
            catalog: self.clients.catalog()?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        let done = rotate.run(deadline(event.context.deadline, SystemClock.now())).await;
        let done = match (event.payload.trigger, done) {
            // Somebody follows it by hand.
            (Trigger::Schedule, Err(e)) if e.kind() == ErrorKind::Conflict => return Ok(None),
            (_, done) => done,
        };
        let done = done.inspect_err(|e| {
            let cause = std::error::Error::source(e).map(ToString::to_string);
            tracing::error!(kind = %e.kind(), error = %e, cause, "rotate failed");
        })?;
        let Some(rotation) = &done else { return Ok(None) };
        if let Some(first) = rotation.not_sealed.first() {
            let (backups, backup, error) = (rotation.not_sealed.len(), first.id, &first.error);
            tracing::error!(alarm = "rotation_stuck", backups, %backup, error, "backups could not be sealed again");
        }
        tracing::info!(
            rotation = %rotation.id,
            trigger = ?event.payload.trigger,
            state = ?rotation.state,
            percent = rotation.percent,
            backups = rotation.backups,
            backups_left = rotation.backups_left,
            replicating = rotation.replicating,
            bytes = rotation.bytes,
            bytes_left = rotation.bytes_left,
            "rotated"
        );
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_rotates() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/rotate.scheduled.json"));
        let event: Event = serde_json::from_str(&text.expect("a sample")).expect("parses");
        assert!(matches!(event.trigger, Trigger::Schedule));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [r#"{}"#, r#"{"trigger":"always"}"#, r#"{"trigger":"manual","key":"another"}"#] {
            assert!(serde_json::from_str::<Event>(text).is_err(), "{text}");
        }
    }
}
