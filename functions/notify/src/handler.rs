//! Reads the events, runs the operation, answers which of them must come again.
//!
//! There are two sources: the stream of the catalog's changes, of which the bus, the topic and the queue of the webhook are told, and
//! that queue, of which somebody's own server is told.

use aws::clients::Clients;
use engine::catalog::Document;
use engine::error::{Error, ErrorKind, Result};
use engine::ops::notify::{Change, Listener, Notification, Notify, TOLD_OF, Told};
use frame::Failure;
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};

/// A batch of a source.
#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Record {
    Changed {
        dynamodb: Images,
    },
    Queued {
        #[serde(rename = "messageId")]
        message_id: String,
        body: String,
    },
}

/// A changed item.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Images {
    sequence_number: String,
    #[serde(default)]
    old_image: Option<Item>,
    #[serde(default)]
    new_image: Option<Item>,
}

/// What of an item is looked at.
#[derive(Debug, Deserialize)]
struct Item {
    pk: Text,
    sk: Text,
    /// Absent of what is no record, such as a lease.
    #[serde(default)]
    record: Option<Text>,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

/// The events that must come again.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Answer {
    #[serde(rename = "batchItemFailures")]
    failures: Vec<Failure>,
}

/// The function, as it stays between invocations.
pub(crate) struct Function {
    pub(crate) clients: Clients,
}

impl Function {
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<Answer> {
        let mut answer = Answer::default();
        let (mut changes, mut first) = (Vec::new(), None);
        for record in event.payload.records {
            match record {
                Record::Changed { dynamodb } => {
                    first.get_or_insert_with(|| dynamodb.sequence_number.clone());
                    changes.extend(change(dynamodb));
                }
                Record::Queued { message_id, body } => {
                    if let Err(e) = self.post(&body).await {
                        tracing::error!(kind = %e.kind(), error = %e, "the webhook was not told; it will be tried again");
                        answer.failures.push(Failure::of(message_id));
                    }
                }
            }
        }
        let told = Notify { listeners: self.clients.listeners() }.run(&changes).await;
        match (told, first) {
            (Ok(told), _) => log(&told),
            // From the first on: a stream goes on in its order.
            (Err(e), Some(first)) => {
                tracing::error!(alarm = "not_told", kind = %e.kind(), error = %e, "not everybody was told; it will be tried again");
                answer.failures.push(Failure::of(first));
            }
            (Err(e), None) => return Err(e),
        }
        Ok(answer)
    }

    async fn post(&self, body: &str) -> Result<()> {
        let notification: Notification = match serde_json::from_str(body) {
            Ok(notification) => notification,
            // It would be no better the next time.
            Err(_) => {
                tracing::error!("a message of the queue is no notification; it is passed over");
                return Ok(());
            }
        };
        self.clients.webhook().await?.tell(std::slice::from_ref(&notification)).await.map_err(|e| match e.kind() {
            ErrorKind::Unavailable => e.context(format!("tell the webhook of {}", notification.id)),
            kind => Error::new(kind, format!("tell the webhook of {}: {e}", notification.id)),
        })
    }
}

/// The records of a changed item; nothing of what was deleted, or tells nothing.
fn change(images: Images) -> Option<Change> {
    let after = document(images.new_image?)?;
    let before = images.old_image.and_then(document);
    Some(Change { before, after })
}

fn document(item: Item) -> Option<Document> {
    let collection = TOLD_OF.into_iter().find(|c| c.as_str() == item.pk.text)?;
    Some(Document { collection, id: item.sk.text, json: item.record?.text })
}

fn log(told: &Told) {
    for e in &told.refused {
        tracing::error!(alarm = "not_told", kind = %e.kind(), error = %e, "somebody cannot be told; it is not tried again");
    }
    for notification in &told.notifications {
        let backup = notification.backup_id.map(|id| id.to_string());
        tracing::info!(id = notification.id, kind = %notification.kind, backup, "told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ops::notify::of_change;

    fn sample(name: &str) -> Event {
        let text = std::fs::read_to_string(format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR")));
        serde_json::from_str(&text.expect("a sample")).expect("parses")
    }

    #[test]
    fn the_sample_of_the_stream_tells_what_changed() {
        let event = sample("notify.stream.json");
        assert_eq!(event.records.len(), 3);
        let images = |record| match record {
            Record::Changed { dynamodb } => dynamodb,
            other => panic!("{other:?}"),
        };
        let changes: Vec<Change> = event.records.into_iter().filter_map(|r| change(images(r))).collect();
        // A lease, and what was deleted, tell nothing.
        let [change] = changes.as_slice() else { panic!("{changes:?}") };
        let told = of_change(change).expect("reads");
        let kinds: Vec<&str> = told.iter().map(|n| n.kind.as_str()).collect();
        assert_eq!(kinds, ["backup.started"]);
    }

    #[test]
    fn the_sample_of_the_queue_is_a_notification() {
        let event = sample("notify.webhook.json");
        let [Record::Queued { message_id, body }] = event.records.as_slice() else { panic!("{event:?}") };
        assert!(!message_id.is_empty());
        let notification: Notification = serde_json::from_str(body).expect("a notification");
        assert_eq!(notification.kind.as_str(), "backup.completed");
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        for text in [r#"{}"#, r#"{"trigger":"schedule"}"#, r#"{"Records":[{"s3":{}}]}"#] {
            assert!(serde_json::from_str::<Event>(text).is_err(), "{text}");
        }
    }
}
