//! What is asked for: once, by its key; in the words that it takes; and followed at its place.

use super::{Stage, id};
use engine::catalog::{self, SnapshotRecord};
use engine::error::ErrorKind;
use engine::id::{PruneId, RestoreId};
use engine::ops::restore::confirmation;
use engine::queue::RestoreOrder;
use serde_json::json;
use testkit::When;

const OPERATOR: [&str; 1] = ["operator"];

#[tokio::test]
async fn a_backup_is_asked_for_and_followed() {
    let stage = Stage::new();
    let answer = stage.post_as("ana", &OPERATOR, "/v1/backups", Some(json!({"source": "orders"}))).await;
    assert_eq!((answer.status, answer.body["status"].as_str()), (202, Some("pending")));
    assert_eq!((answer.body["part"].as_str(), answer.body["requestedBy"].as_str()), (Some("orders"), Some("ana")));
    let order = stage.world.queue.take().expect("an order");
    assert_eq!(order.source.as_deref(), Some("orders"));
    let place = answer.header("location").expect("a place");
    assert_eq!(place, format!("/v1/backups/{}", order.backup_id.expect("an id")));
    let followed = stage.get(place).await;
    assert_eq!((followed.body["status"].as_str(), followed.header("retry-after")), (Some("pending"), Some("1")));
    // Whatever is due: without a body.
    stage.post_as("ana", &OPERATOR, "/v1/backups", None).await;
    assert_eq!(stage.world.queue.take().expect("an order").source, None);
    let cancelled = stage.post_as("ana", &OPERATOR, &format!("{place}/cancel"), None).await;
    assert_eq!(
        (cancelled.body["status"].as_str(), cancelled.body["error"].as_str()),
        (Some("failed"), Some("it was cancelled"))
    );
    assert_eq!(stage.post_as("ana", &OPERATOR, &format!("{place}/cancel"), None).await.status, 200, "it is so already");
    assert_eq!(stage.post_as("ben", &OPERATOR, &format!("{place}/cancel"), None).await.status, 409);
    assert_eq!(
        stage.post_as("ana", &OPERATOR, &format!("{place}/cancel"), Some(json!({"force": true}))).await.status,
        400
    );
}

#[tokio::test]
async fn the_same_request_sent_again_is_done_once_and_answered_alike() {
    let stage = Stage::new();
    let send = async |body, key: &str| stage.post_with("ana", &OPERATOR, "/v1/backups", Some(body), key).await;
    let first = send(json!({"source": "orders"}), "k").await;
    let again = send(json!({"source": "orders"}), "k").await;
    assert_eq!((again.status, &again.body, again.header("location")), (202, &first.body, first.header("location")));
    let other = send(json!({"source": "clients"}), "k").await;
    assert_eq!((other.status, other.body["code"].as_str()), (422, Some("key_reused")));
    // Another path is another request; another person's key is another key.
    let path = format!("{}/cancel", first.header("location").expect("a place"));
    assert_eq!(stage.post_with("ana", &OPERATOR, &path, None, "k").await.status, 422);
    assert_eq!(stage.post_with("ben", &OPERATOR, "/v1/backups", None, "k").await.status, 202);
    stage.wait(24 * 3_600);
    assert_ne!(send(json!({"source": "orders"}), "k").await.body["id"], first.body["id"]);
    let orders = std::iter::from_fn(|| stage.world.queue.take()).count();
    assert_eq!(orders, 3);

    for key in ["", "a b", &"x".repeat(256)] {
        assert_eq!(stage.post_with("ana", &OPERATOR, "/v1/backups", None, key).await.status, 400, "{key}");
    }
    let request = axum::http::Request::post("/v1/backups").header("authorization", stage.bearer("ana", &OPERATOR));
    let without = stage.send(request.body(axum::body::Body::empty()).expect("a request")).await;
    assert!(without.status == 400 && without.body["detail"].as_str().is_some_and(|d| d.contains("Idempotency-Key")));
}

#[tokio::test]
async fn a_request_that_is_interrupted_anywhere_and_sent_again_is_done_once() {
    let steps = {
        let stage = Stage::new();
        stage.post_with("ana", &OPERATOR, "/v1/backups", None, "k").await;
        stage.world.faults.steps()
    };
    for when in [When::BeforeEffect, When::AfterEffect] {
        for step in 1..=steps {
            let what = format!("{when:?} at {step}");
            let stage = Stage::new();
            stage.world.faults.arm(step, when, ErrorKind::Unavailable);
            let first = stage.post_with("ana", &OPERATOR, "/v1/backups", None, "k").await;
            stage.world.faults.heal();
            assert!(matches!(first.status, 202 | 503), "{what}: {}", first.body);
            let again = stage.post_with("ana", &OPERATOR, "/v1/backups", None, "k").await;
            assert_eq!(again.status, 202, "{what}: {}", again.body);
            let records = catalog::all::<SnapshotRecord>(&*stage.world.catalog).await.expect("lists");
            assert_eq!(records.len(), 1, "{what}");
            let orders: Vec<_> = std::iter::from_fn(|| stage.world.queue.take()).collect();
            assert!(!orders.is_empty() && orders.iter().all(|o| o.backup_id == Some(records[0].id)), "{what}");
            if first.status == 202 {
                assert_eq!(first.body["id"], again.body["id"], "{what}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_asks_without_end() {
    let stage = Stage::with(|house| house.writes_a_minute = 2);
    let send = async |who: &str| stage.post_as(who, &OPERATOR, "/v1/backups", None).await;
    assert_eq!((send("ana").await.status, send("ana").await.status), (202, 202));
    stage.wait(15);
    let refused = send("ana").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("45")));
    assert_eq!(send("ben").await.status, 202);
    stage.wait(45);
    assert_eq!(send("ana").await.status, 202);
}

#[tokio::test]
async fn a_restore_says_what_it_would_do_and_does_it_once() {
    let stage = Stage::with_backups().await;
    let dry = json!({"backupId": "latest", "targetEnvironment": "staging", "dryRun": true});
    let plan = stage.post_as("ana", &OPERATOR, "/v1/restores", Some(dry)).await;
    assert_eq!((plan.status, plan.body["backupId"].as_str()), (200, Some(&*id(1).to_string())));
    assert_eq!((plan.body["rows"].as_u64(), plan.body["masked"].as_bool()), (Some(5), Some(true)));
    assert_eq!(
        (plan.body["schemas"].clone(), plan.body["notInBackup"][0]["part"].as_str()),
        (json!(["public"]), Some("vault"))
    );
    assert_eq!(stage.world.restores.take(), None);

    let body = json!({"backupId": id(1), "targetEnvironment": "staging", "include": {"tables": ["public.orders"]}});
    let asked = stage.post_with("ana", &OPERATOR, "/v1/restores", Some(body.clone()), "k").await;
    assert_eq!(
        (asked.status, asked.body["status"].as_str(), asked.body["progress"].as_u64()),
        (202, Some("pending"), Some(0))
    );
    assert_eq!(stage.post_with("ana", &OPERATOR, "/v1/restores", Some(body), "k").await.body, asked.body);
    let order = stage.world.restores.take().expect("an order");
    assert_eq!(stage.world.restores.take(), None);
    let place = asked.header("location").expect("a place").to_owned();
    assert_eq!(place, format!("/v1/restores/{}", order.restore_id));
    let followed = stage.get(&place).await;
    assert_eq!((followed.status, followed.body["include"]["tables"].clone()), (200, json!(["public.orders"])));
    assert_eq!(stage.get("/v1/restores").await.body["restores"][0]["id"], followed.body["id"]);
    let cancelled = stage.post_as("ana", &OPERATOR, &format!("{place}/cancel"), None).await;
    assert_eq!((cancelled.status, cancelled.body["status"].as_str()), (200, Some("failed")));
}

#[tokio::test]
async fn a_restore_that_cannot_be_is_refused_with_the_reason() {
    let stage = Stage::with_backups().await;
    let base = json!({"backupId": "latest", "targetEnvironment": "staging"});
    for (field, value, status, said) in [
        ("backupId", json!("newest"), 400, "not a backup id"),
        ("backupId", json!(id(3)), 409, "failed"),
        ("backupId", json!(id(2)), 409, "not made yet"),
        ("backupId", json!(id(9)), 404, "there is no backup"),
        ("targetEnvironment", json!("test"), 400, "test"),
        ("restorePoint", json!("2020-01-01T00:00:00Z"), 404, "there are 1"),
        ("restorePoint", json!("now"), 400, "2026-11-22T03:00:00Z"),
        ("region", json!("eu-west-9"), 409, "eu-west-1"),
        ("masking", json!("none"), 422, "masked"),
        ("include", json!({}), 422, "chooses nothing"),
        ("include", json!({"schemas": ["nowhere"]}), 422, "names nothing"),
        ("force", json!(true), 400, "force"),
        ("confirmation", json!("yes"), 422, "replace staging with"),
    ] {
        let mut body = base.clone();
        body[field] = value;
        let answer = stage.post_as("ana", &OPERATOR, "/v1/restores", Some(body.clone())).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.body["detail"].as_str().is_some_and(|d| d.contains(said)), "{body}: {}", answer.body);
    }
    assert_eq!(stage.world.restores.take(), None);
    let without = Stage::with(|house| house.targets = Vec::new());
    without.add_backup(1).await;
    let answer = without.post_as("ana", &OPERATOR, "/v1/restores", Some(base)).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (409, Some("no_target")));
}

#[tokio::test]
async fn production_takes_the_words_and_another_person() {
    let stage = Stage::with(|house| house.approval_s = Some(600));
    stage.add_backup(1).await;
    let restorer = ["restorer", "aal2"];
    let mut body = json!({"backupId": id(1), "targetEnvironment": "production"});
    let without = stage.post_as("ana", &restorer, "/v1/restores", Some(body.clone())).await;
    assert!(
        without.status == 422 && without.body["detail"].as_str().is_some_and(|d| d.contains("replace production with"))
    );
    body["confirmation"] = json!(confirmation("production", id(1)));
    let asked = stage.post_as("ana", &restorer, "/v1/restores", Some(body)).await;
    assert_eq!((asked.status, asked.body["approval"]["until"].as_str()), (202, Some("2026-11-22T03:10:00.000Z")));
    assert_eq!(stage.world.restores.take(), None, "it waits");
    let path = format!("{}/approve", asked.header("location").expect("a place"));
    assert_eq!(stage.post_as("ana", &restorer, &path, None).await.status, 403, "the same person");
    assert_eq!(stage.post_as("ben", &["restorer"], &path, None).await.status, 403, "without a second factor");
    let approved = stage.post_as("ben", &restorer, &path, None).await;
    assert_eq!((approved.status, approved.body["approval"]["by"].as_str()), (202, Some("ben")));
    let restore_id: RestoreId = asked.body["id"].as_str().expect("an id").parse().expect("an id");
    assert_eq!(stage.world.restores.take(), Some(RestoreOrder { restore_id, hand_overs: 0 }));
}

#[tokio::test]
async fn a_cleanup_says_what_it_would_remove_and_is_followed() {
    let stage = Stage::new();
    let old = stage.add_backup(1).await;
    stage.wait(5 * 24 * 3_600);
    stage.add_backup(4).await;
    let plan = stage.post("/v1/cleanup", json!({"dryRun": true})).await;
    assert_eq!((plan.status, plan.body["removed"].as_u64()), (200, Some(1)));
    assert_eq!(plan.body["plan"][0]["id"], old.id.to_string());
    assert_eq!(
        (plan.body["plan"][0]["keptBy"].clone(), plan.body["plan"][1]["keptBy"].clone()),
        (json!([]), json!(["days", "floor"]))
    );
    assert_eq!(stage.world.prunes.take(), None);

    let asked = stage.post_as("ana", &["admin"], "/v1/cleanup", None).await;
    let id: PruneId = asked.body["id"].as_str().expect("an id").parse().expect("an id");
    assert_eq!((asked.status, asked.body["status"].as_str()), (202, Some("pending")));
    assert_eq!(stage.world.prunes.take().map(|o| o.prune_id), Some(id));
    let place = asked.header("location").expect("a place").to_owned();
    let followed = stage.get(&place).await;
    assert_eq!((followed.body["status"].as_str(), followed.header("retry-after")), (Some("pending"), Some("1")));
    assert_eq!(stage.get("/v1/cleanups").await.body["cleanups"][0]["id"], asked.body["id"]);
    // A pin keeps what the policy would let go.
    let pinned = stage.post(&format!("/v1/backups/{}/pin", old.id), json!({"pinned": true, "note": "audit"})).await;
    assert_eq!((pinned.status, pinned.body["pin"]["note"].as_str()), (200, Some("audit")));
    assert_eq!(stage.post("/v1/cleanup", json!({"dryRun": true})).await.body["removed"], 0);
    let free = stage.post(&format!("/v1/backups/{}/pin", old.id), json!({"pinned": false})).await;
    assert!(free.body.get("pin").is_none());
}

/// Each of the others, interrupted anywhere and sent again: it is answered as if nothing had been.
#[tokio::test]
async fn whatever_is_asked_for_and_interrupted_is_done_when_it_is_sent_again() {
    let who = ["admin", "operator", "restorer", "aal2"];
    for what in
        ["backup.cancel", "backup.pin", "restore.request", "restore.approve", "restore.cancel", "cleanup.request"]
    {
        let prepare = async || {
            let stage = Stage::with(|house| house.approval_s = Some(600));
            stage.add_backup(1).await;
            let pending = stage.post_with("ben", &who, "/v1/backups", None, "prepare-1").await;
            let production = json!({
                "backupId": id(1), "targetEnvironment": "production", "confirmation": confirmation("production", id(1)),
            });
            let restore = stage.post_with("ben", &who, "/v1/restores", Some(production), "prepare-2").await;
            let place = |answer: &super::Answer| answer.header("location").expect("a place").to_owned();
            let (path, body) = match what {
                "backup.cancel" => (format!("{}/cancel", place(&pending)), None),
                "backup.pin" => (format!("/v1/backups/{}/pin", id(1)), Some(json!({"pinned": true}))),
                "restore.request" => {
                    ("/v1/restores".to_owned(), Some(json!({"backupId": "latest", "targetEnvironment": "staging"})))
                }
                "restore.approve" => (format!("{}/approve", place(&restore)), None),
                "restore.cancel" => (format!("{}/cancel", place(&restore)), None),
                _ => ("/v1/cleanup".to_owned(), None),
            };
            (stage, path, body)
        };
        let steps = {
            let (stage, path, body) = prepare().await;
            let before = stage.world.faults.steps();
            let answer = stage.post_with("ana", &who, &path, body, "k").await;
            assert!(matches!(answer.status, 200 | 202), "{what}: {}", answer.body);
            stage.world.faults.steps() - before
        };
        for when in [When::BeforeEffect, When::AfterEffect] {
            for step in 1..=steps {
                let (stage, path, body) = prepare().await;
                stage.world.faults.arm(stage.world.faults.steps() + step, when, ErrorKind::Unavailable);
                let first = stage.post_with("ana", &who, &path, body.clone(), "k").await;
                stage.world.faults.heal();
                assert!(matches!(first.status, 200 | 202 | 503), "{what} {when:?} at {step}: {}", first.body);
                let again = stage.post_with("ana", &who, &path, body, "k").await;
                assert!(matches!(again.status, 200 | 202), "{what} {when:?} at {step}: {}", again.body);
            }
        }
    }
}
