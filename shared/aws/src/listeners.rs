//! Who is told what happened: the account's event bus, a topic for people, and somebody's own server.

mod bus;
mod topic;
mod webhook;

pub use bus::EventBus;
pub use topic::Topic;
pub use webhook::{Webhook, WebhookAddress, WebhookQueue};

use engine::error::{Error, Result};
use engine::ops::notify::Notification;

fn to_json(notification: &Notification) -> Result<String> {
    serde_json::to_string(notification).map_err(|e| Error::internal("write a notification as JSON").with_source(e))
}
