//! SNS: a message each, for people. What they want is chosen by the filters of their subscriptions, on `kind` and `severity`.

use crate::errors::Call;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use engine::error::{Error, Result};
use engine::ops::notify::{Listener, Notification};
use std::fmt::Write;

const PUBLISH: Call = Call::new("sns", "Publish");

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
    project: String,
}

impl Topic {
    /// The topic of an ARN; the project stands in the subject.
    pub fn new(client: Client, arn: String, project: String) -> Self {
        Self { client, arn, project }
    }
}

#[async_trait::async_trait]
impl Listener for Topic {
    fn name(&self) -> &str {
        "the topic"
    }

    async fn tell(&self, notifications: &[Notification]) -> Result<()> {
        for notification in notifications {
            let publish = self
                .client
                .publish()
                .topic_arn(&self.arn)
                .subject(format!("[{}] {}", self.project, notification.kind))
                .message(text(notification))
                .message_attributes("kind", attribute(notification.kind.as_str())?)
                .message_attributes("severity", attribute(notification.severity.as_str())?);
            publish.send().await.map_err(|e| PUBLISH.failed(&e))?;
        }
        Ok(())
    }
}

fn attribute(value: &str) -> Result<MessageAttributeValue> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    attribute.map_err(|e| Error::internal("write an attribute of a message").with_source(e))
}

/// For people: a sentence, then what is known beside it.
fn text(notification: &Notification) -> String {
    let Notification { summary, at, source, backup_id, region, error, rows, size, recovery_ms, superseded_by, .. } =
        notification;
    let mut text = format!("{}{}.\n\n", summary[..1].to_uppercase(), &summary[1..]);
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing into a text does not fail.
            let _ = writeln!(text, "{name}: {value}");
        }
    };
    line("Why", error.clone());
    line("When", Some(at.to_string()));
    line("Backup", backup_id.map(|id| id.to_string()));
    line("Source", source.clone());
    line("Region", region.clone());
    line("Rows", rows.map(|n| n.to_string()));
    line("Bytes in each region", size.map(|n| n.to_string()));
    line("Time to recover", recovery_ms.map(|ms| format!("{:.1} s", ms as f64 / 1_000.0)));
    line("Sealed again as", superseded_by.map(|id| id.to_string()));
    text
}
