//! EventBridge: an event each, whose detail is the notification.

use super::to_json;
use crate::errors::Call;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use engine::error::{Error, Result};
use engine::ops::notify::{Listener, Notification};

const PUT: Call = Call::new("events", "PutEvents");
/// Events that one call takes.
const BATCH: usize = 10;

/// An event bus.
#[derive(Clone, Debug)]
pub struct EventBus {
    client: Client,
    bus: String,
    source: String,
}

impl EventBus {
    /// The bus of a name, on which the events come from `<project>.backup`.
    pub fn new(client: Client, bus: String, project: &str) -> Self {
        Self { client, bus, source: format!("{project}.backup") }
    }

    fn entry(&self, notification: &Notification) -> Result<PutEventsRequestEntry> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(&self.source)
            .detail_type(notification.kind.as_str())
            .time(DateTime::from_millis(notification.at.as_millis()))
            .detail(to_json(notification)?);
        Ok(entry.build())
    }
}

#[async_trait::async_trait]
impl Listener for EventBus {
    fn name(&self) -> &str {
        "the event bus"
    }

    async fn tell(&self, notifications: &[Notification]) -> Result<()> {
        for batch in notifications.chunks(BATCH) {
            let entries = batch.iter().map(|n| self.entry(n)).collect::<Result<Vec<_>>>()?;
            let put = self.client.put_events().set_entries(Some(entries)).send().await.map_err(|e| PUT.failed(&e))?;
            if put.failed_entry_count() > 0 {
                let code = put.entries().iter().find_map(|e| e.error_code()).unwrap_or("no reason given");
                return Err(Error::unavailable(format!(
                    "{} of {} events were not taken: {code}",
                    put.failed_entry_count(),
                    batch.len()
                )));
            }
        }
        Ok(())
    }
}
