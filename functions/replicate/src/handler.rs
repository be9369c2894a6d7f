//! Reads the events, runs the operation, answers which of them must come again.
//!
//! An event is a hint. One that names another bucket, or a key that is not of our format, is logged and done with: it
//! would be no better the next time.

use aws::clients::Clients;
use aws::machine::SystemClock;
use aws_lambda_events::event::sqs::SqsMessage;
use engine::error::{Error, ErrorKind, Result};
use engine::id::SnapshotId;
use engine::layout::ObjectKey;
use engine::ops::rebuild::rebuild;
use engine::ops::replicate::{Reconciled, Replicate, Replicated};
use frame::Failure;
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What starts it: a batch of the queue of S3 events, or the schedule of the reconciler.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Event {
    /// Messages whose bodies are S3 events.
    Queue {
        #[serde(rename = "Records")]
        records: Vec<SqsMessage>,
    },
    /// `{"trigger":"reconcile"}`, or `{"trigger":"rebuild","region":"us-east-1"}`.
    Trigger {
        trigger: Task,
        /// The vault whose inventories fill the catalog; the primary's without one.
        #[serde(default)]
        region: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    /// Do what lost events should have done.
    Reconcile,
    /// Put back the records that the catalog lost, from any one vault.
    Rebuild,
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// The messages that must come again.
    Queue {
        #[serde(rename = "batchItemFailures")]
        failures: Vec<Failure>,
    },
    /// What the reconciler did.
    Reconciled(Reconciled),
    /// The backups whose records were put back.
    Rebuilt { rebuilt: Vec<SnapshotId> },
}

/// The function, as it stays between invocations.
pub(crate) struct Function {
    pub(crate) clients: Clients,
}

impl Function {
    pub(crate) async fn handle(&self, event: LambdaEvent<Event>) -> Result<Answer> {
        let handled = self.run(event.payload).await;
        handled.inspect_err(|e| tracing::error!(kind = %e.kind(), error = %e, "replication failed"))
    }

    async fn run(&self, event: Event) -> Result<Answer> {
        let replicate = Replicate {
            vaults: self.clients.vaults()?,
            catalog: self.clients.catalog()?,
            clock: Arc::new(SystemClock),
        };
        match event {
            Event::Trigger { trigger: Task::Rebuild, region } => {
                let from = region.as_deref().unwrap_or(&replicate.vaults.primary().place().region);
                let from = replicate.vaults.in_region(from)?;
                let rebuilt = rebuild(&*replicate.catalog, &replicate.vaults, from, &*replicate.clock).await?;
                tracing::info!(records = rebuilt.len(), vault = %from.place(), "rebuilt the catalog");
                Ok(Answer::Rebuilt { rebuilt })
            }
            Event::Trigger { trigger: Task::Reconcile, .. } => {
                let report = replicate.reconcile().await?;
                tracing::info!(
                    snapshots = report.snapshots,
                    repaired = report.repaired.len(),
                    failed = report.failed.len(),
                    "reconciled"
                );
                if let Some(first) = report.failed.first() {
                    return Err(Error::unavailable(format!(
                        "{} of {} snapshots could not be made complete, the first: {first}",
                        report.failed.len(),
                        report.snapshots
                    )));
                }
                Ok(Answer::Reconciled(report))
            }
            Event::Queue { records } => {
                let mut failures = Vec::new();
                for message in records {
                    if let Err(e) = handle_message(&replicate, &message).await {
                        tracing::error!(kind = %e.kind(), error = %e, "an event could not be handled; it comes again");
                        failures.push(Failure::of(message.message_id.unwrap_or_default()));
                    }
                }
                Ok(Answer::Queue { failures })
            }
        }
    }
}

async fn handle_message(replicate: &Replicate, message: &SqsMessage) -> Result<()> {
    let objects = match landed(message.body.as_deref().unwrap_or_default()) {
        Ok(objects) => objects,
        Err(e) => {
            tracing::warn!(error = %e, "an event was passed over");
            return Ok(());
        }
    };
    let ours = &replicate.vaults.primary().place().bucket;
    for (bucket, key) in objects {
        if bucket != *ours {
            tracing::warn!("an event of another bucket was passed over");
            continue;
        }
        match key.parse::<ObjectKey>() {
            Err(e) => tracing::warn!(error = %e, "an event of an object that is not ours was passed over"),
            Ok(key) => match replicate.landed(key).await {
                Ok(Replicated { objects, bytes }) => tracing::info!(%key, objects, bytes, "replicated"),
                // An inventory that is gone again: it was pruned, or the event was forged.
                Err(e) if e.kind() == ErrorKind::NotFound && matches!(key, ObjectKey::Inventory(_)) => {
                    tracing::warn!(%key, error = %e, "an event of an object that is not there was passed over");
                }
                Err(e) => return Err(e.context(format!("replicate {key}"))),
            },
        }
    }
    Ok(())
}

/// The (bucket, key) pairs that an S3 event names: EventBridge's `Object Created`, whose key is plain, or S3's own
/// notification, whose keys are URL-encoded.
fn landed(body: &str) -> Result<Vec<(String, String)>> {
    let wrong = || Error::invalid("a message of the queue is not an S3 event");
    let event: Value = serde_json::from_str(body).map_err(|e| wrong().with_source(e))?;
    let pair = |bucket: &Value, key: &Value| Some((bucket.as_str()?.to_owned(), key.as_str()?.to_owned()));
    if let Some(detail) = event.get("detail") {
        let found = pair(&detail["bucket"]["name"], &detail["object"]["key"]);
        return found.map(|found| vec![found]).ok_or_else(wrong);
    }
    // S3 sends this once, when notifications are set up.
    if event.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    let records = event.get("Records").and_then(Value::as_array).ok_or_else(wrong)?;
    let decoded = records.iter().map(|record| {
        let (bucket, key) = pair(&record["s3"]["bucket"]["name"], &record["s3"]["object"]["key"])?;
        Some((bucket, url_decode(&key)?))
    });
    decoded.collect::<Option<Vec<_>>>().ok_or_else(wrong)
}

/// Undoes `application/x-www-form-urlencoded`, as S3 writes keys into its notifications.
fn url_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str) -> String {
        std::fs::read_to_string(format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a sample event")
    }

    #[test]
    fn the_sample_of_the_queue_names_the_object_that_landed() {
        let Event::Queue { records } = serde_json::from_str(&sample("replicate.object-created.json")).expect("parses")
        else {
            panic!("not a batch of the queue")
        };
        let objects = landed(records[0].body.as_deref().expect("a body")).expect("an S3 event");
        assert_eq!(objects.len(), 1);
        assert!(objects[0].1.parse::<ObjectKey>().is_ok(), "{}", objects[0].1);
    }

    #[test]
    fn the_sample_of_the_reconciler_reconciles() {
        let event = serde_json::from_str(&sample("replicate.reconcile.json")).expect("parses");
        assert!(matches!(event, Event::Trigger { trigger: Task::Reconcile, region: None }));
    }

    #[test]
    fn the_sample_of_a_rebuild_names_its_vault() {
        let event = serde_json::from_str(&sample("replicate.rebuild.json")).expect("parses");
        let Event::Trigger { trigger: Task::Rebuild, region } = event else { panic!("not a rebuild") };
        assert_eq!(region.as_deref(), Some("us-east-1"));
    }

    /// A queue's message about an object, in EventBridge's form.
    fn message(bucket: &str, key: &str) -> SqsMessage {
        let body = serde_json::json!({ "detail": { "bucket": { "name": bucket }, "object": { "key": key } } });
        let mut message = SqsMessage::default();
        message.body = Some(body.to_string());
        message
    }

    #[tokio::test]
    async fn a_forged_event_is_passed_over_and_changes_nothing() {
        let world = testkit::World::new(1).expect("a world");
        let replicate = Replicate {
            vaults: world.ports(),
            catalog: Arc::clone(&world.catalog) as _,
            clock: Arc::clone(&world.clock) as _,
        };
        let bucket = replicate.vaults.primary().place().bucket.clone();
        let id = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
        world.vaults[0].plant("v1/packs/../secret", b"forged".to_vec());
        for (bucket, key) in [
            ("another-bucket".to_owned(), format!("v1/packs/{id}/000000")),
            (bucket.clone(), "v1/packs/../secret".to_owned()),
            (bucket.clone(), format!("v1/packs/{id}/000000%00")),
            (bucket.clone(), format!("v1/snapshots/{id}/inventory.json")),
            (bucket.clone(), format!("v1/packs/{id}/000000")),
        ] {
            handle_message(&replicate, &message(&bucket, &key)).await.unwrap_or_else(|e| panic!("{key}: {e}"));
        }
        let mut garbage = SqsMessage::default();
        garbage.body = Some("not json".to_owned());
        handle_message(&replicate, &garbage).await.expect("passed over");
        assert!(world.vaults[1].objects().is_empty() && world.vaults[2].objects().is_empty());
    }

    #[test]
    fn an_encoded_key_of_a_notification_is_decoded() {
        let body = r#"{"Records":[{"s3":{"bucket":{"name":"b"},"object":{"key":"v1%2Fpacks/a+b%20c"}}}]}"#;
        assert_eq!(landed(body).expect("reads"), vec![("b".to_owned(), "v1/packs/a b c".to_owned())]);
    }

    #[test]
    fn what_is_no_event_of_s3_is_refused() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"detail":{}}"#,
            r#"{"Records":[{"s3":{}}]}"#,
            r#"{"Records":[{"s3":{"bucket":{"name":1},"object":{"key":"k"}}}]}"#,
        ] {
            assert!(landed(body).is_err(), "{body}");
        }
    }
}
