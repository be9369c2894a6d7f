//! Who is told what: the operation with listeners in memory, the adapters over the local AWS, and a webhook over a socket.

use crate::cloud::{Cloud, REGIONS};
use crate::postgres::checkout;
use crate::scene::Scene;
use engine::catalog::{Collection, Document};
use engine::error::{Error, ErrorKind, Result};
use engine::ops::notify::{Change, Kind, Listener, Notification, Notify};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Somebody who remembers what was told, or does not listen.
#[derive(Default)]
struct Somebody {
    told: Mutex<Vec<String>>,
    deaf: bool,
}

#[async_trait::async_trait]
impl Listener for Somebody {
    fn name(&self) -> &str {
        "somebody"
    }

    async fn tell(&self, notifications: &[Notification]) -> Result<()> {
        if self.deaf {
            return Err(Error::unavailable("not now"));
        }
        self.told.lock().expect("alone").extend(notifications.iter().map(|n| n.id.clone()));
        Ok(())
    }
}

/// The change that a backup which failed makes.
async fn failed() -> Change {
    let scene = Scene::new();
    scene.world.faults.break_service("source", ErrorKind::Denied);
    scene.back_up().await.expect_err("fails");
    let record = scene.records().await.remove(0);
    let json = serde_json::to_string(&record).expect("writes");
    Change { before: None, after: Document { collection: Collection::Backups, id: record.id.to_string(), json } }
}

#[tokio::test]
async fn one_who_does_not_listen_keeps_nobody_else_from_being_told() {
    let change = failed().await;
    let (one, deaf, other) =
        (Arc::new(Somebody::default()), Somebody { deaf: true, ..Somebody::default() }, Arc::new(Somebody::default()));
    let notify = Notify { listeners: vec![Arc::clone(&one) as _, Arc::new(deaf), Arc::clone(&other) as _] };
    let broken = Document { json: "{}".to_owned(), ..change.after.clone() };
    let changes = [Change { before: None, after: broken }, change];
    let e = notify.run(&changes).await.expect_err("one did not listen");
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    for somebody in [one, other] {
        let told = somebody.told.lock().expect("alone");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("backup.started/") && told[1].starts_with("backup.failed/"));
    }
}

#[tokio::test]
async fn each_kind_is_documented_and_what_is_told_keeps_to_the_schema() {
    let schema: Value = serde_json::from_str(&read("docs/notifications.schema.json")).expect("JSON");
    let table = read("docs/notifications.md");
    let rows: Vec<&str> =
        table.lines().filter_map(|l| l.strip_prefix("| `")).filter_map(|l| l.split('`').next()).collect();
    let kinds: Vec<&str> = Kind::ALL.iter().map(|k| k.as_str()).collect();
    assert_eq!(rows[1..=kinds.len()], kinds, "below the heading");
    assert_eq!(schema["properties"]["kind"]["enum"], serde_json::to_value(kinds).expect("JSON"));
    for notification in told().await {
        let json = serde_json::to_value(&notification).expect("JSON");
        let fields = json.as_object().expect("an object");
        assert!(fields.keys().all(|field| schema["properties"].get(field).is_some()), "{fields:?}");
        let required = schema["required"].as_array().expect("a list").iter();
        assert!(required.filter_map(Value::as_str).all(|field| fields.contains_key(field)), "{fields:?}");
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(checkout(file)).expect("reads")
}

async fn told() -> Vec<Notification> {
    Notify { listeners: Vec::new() }.run(&[failed().await]).await.expect("nobody is to be told").notifications
}

#[tokio::test]
async fn the_bus_the_topic_and_the_queue_are_told() {
    let mut cloud = Cloud::start("notify");
    // The command line's SQS does not look for the endpoint in the environment.
    let endpoint = cloud.aws().endpoint();
    let here = ["--region", REGIONS[0], "--endpoint-url", &endpoint];
    let aws = |query: &'static str, args: &[&str]| {
        let args = args.iter().copied().chain(here).chain(["--query", query, "--output", "text"]);
        cloud.aws().run_well("aws", args)
    };
    let queues = ["of-the-bus", "of-the-topic", "of-the-webhook"].map(|name| {
        let url = aws("QueueUrl", &["sqs", "create-queue", "--queue-name", name]);
        let attributes = ["sqs", "get-queue-attributes", "--queue-url", &url, "--attribute-names", "QueueArn"];
        let arn = aws("Attributes.QueueArn", &attributes);
        (url, arn)
    });
    let pattern = r#"{"source":["backup.backup"],"detail":{"severity":["error"]}}"#;
    aws("RuleArn", &["events", "put-rule", "--name", "errors", "--event-pattern", pattern]);
    let target = format!("Id=queue,Arn={}", queues[0].1);
    aws("FailedEntryCount", &["events", "put-targets", "--rule", "errors", "--targets", &target]);
    let topic = aws("TopicArn", &["sns", "create-topic", "--name", "notifications"]);
    let filter = r#"{"FilterPolicy":"{\"severity\":[\"error\"]}"}"#;
    let subscribe =
        ["sns", "subscribe", "--topic-arn", &topic, "--protocol", "sqs", "--notification-endpoint", &queues[1].1];
    aws("SubscriptionArn", &subscribe.into_iter().chain(["--attributes", filter]).collect::<Vec<_>>());
    cloud.set("BACKUP_EVENT_BUS", "default");
    cloud.set("BACKUP_TOPIC_ARN", &topic);
    cloud.set("BACKUP_WEBHOOK_QUEUE_URL", &queues[2].0);

    let clients = cloud.clients().await;
    let told =
        Notify { listeners: clients.listeners() }.run(&[failed().await]).await.expect("all are told").notifications;
    assert_eq!(told.len(), 2);
    let received = |url: &str| {
        let mut bodies = Vec::new();
        for _ in 0..20 {
            let args = [
                "sqs",
                "receive-message",
                "--queue-url",
                url,
                "--max-number-of-messages",
                "10",
                "--wait-time-seconds",
                "1",
            ];
            let output = cloud.aws().run_well("aws", args.into_iter().chain(here));
            let answer: Value = serde_json::from_str(&output).unwrap_or(Value::Null);
            let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
            bodies.extend(
                messages
                    .iter()
                    .map(|m| serde_json::from_str::<Value>(m["Body"].as_str().expect("a body")).expect("JSON")),
            );
            if !bodies.is_empty() {
                break;
            }
        }
        bodies
    };
    let of_bus = received(&queues[0].0);
    assert_eq!(of_bus.len(), 1, "the rule takes what is an error: {of_bus:?}");
    assert_eq!(of_bus[0]["detail-type"], "backup.failed");
    let detail: Notification = serde_json::from_value(of_bus[0]["detail"].clone()).expect("a notification");
    assert_eq!(detail, told[1]);
    let of_topic = received(&queues[1].0);
    assert_eq!(of_topic.len(), 1, "the subscription takes what is an error: {of_topic:?}");
    assert_eq!(of_topic[0]["Subject"], "[backup] backup.failed");
    let text = of_topic[0]["Message"].as_str().expect("a text");
    assert!(
        text.starts_with("The backup of database failed.\n\nWhy: ") && text.contains(&told[1].at.to_string()),
        "{text}"
    );
    let of_queue = received(&queues[2].0);
    let kinds: Vec<_> = of_queue.iter().map(|n| n["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["backup.started", "backup.failed"]);
    // What is not there is said by its name.
    cloud.set("BACKUP_TOPIC_ARN", &format!("{topic}-none"));
    let clients = cloud.clients().await;
    let told = Notify { listeners: clients.listeners() }.run(&[failed().await]).await.expect("it is not tried again");
    let [e] = told.refused.as_slice() else { panic!("{told:?}") };
    assert!(e.kind() == ErrorKind::NotFound && e.to_string().contains("tell the topic: sns Publish"), "{e}");
}

/// Takes one request, answers with a status, and gives what came.
async fn serve(server: &TcpListener, status: &str) -> (Vec<String>, String) {
    let (mut stream, _) = server.accept().await.expect("a request");
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let read = stream.read(&mut chunk).await.expect("reads");
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        if body.len() == length.expect("a length").parse::<usize>().expect("a number") {
            let answer = format!(
                "HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.expect("answers");
            return (head.lines().map(str::to_lowercase).collect(), body.to_owned());
        }
    }
}

#[tokio::test]
async fn a_webhook_is_posted_what_happened_and_signed() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let port = server.local_addr().expect("an address").port();
    let url = format!("http://whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw@127.0.0.1:{port}/hooks/secret-path");
    let webhook = aws::listeners::Webhook::new(aws::listeners::WebhookAddress::parse(&url).expect("a URL"));
    let told = told().await;
    let (answer, (head, body)) = tokio::join!(webhook.tell(&told[1..]), serve(&server, "204 No Content"));
    answer.expect("is taken");
    assert_eq!(serde_json::from_str::<Notification>(&body).expect("a notification"), told[1]);
    assert_eq!((head[0].as_str(), told[1].kind), ("post /hooks/secret-path http/1.1", Kind::BackupFailed));
    assert!(head.contains(&format!("webhook-id: {}", told[1].id.to_lowercase())), "{head:?}");
    assert!(head.iter().any(|l| l.starts_with("webhook-timestamp: 1")), "{head:?}");
    assert!(head.iter().any(|l| l.starts_with("webhook-signature: v1,")), "{head:?}");
    assert!(!head.iter().any(|l| l.contains("whsec_") || l.starts_with("authorization")), "{head:?}");

    for status in ["500 Internal Server Error", "302 Found", "401 Unauthorized"] {
        let (answer, _) = tokio::join!(webhook.tell(&told[..1]), serve(&server, status));
        let e = answer.expect_err(status);
        assert!(e.kind() == ErrorKind::Unavailable && e.to_string().contains(&status[..3]), "{e}");
    }
    drop(server);
    let e = webhook.tell(&told[..1]).await.expect_err("nobody is there");
    let shown = format!("{e} {:?}", e);
    assert!(e.kind() == ErrorKind::Unavailable && !shown.contains("secret-path"), "{shown}");
}
