//! Requests as API Gateway sends them, through the same stack of layers as on Lambda.

use super::*;
use axum::http::Response;
use engine::catalog::{self, AttemptRecord, SnapshotRecord, SnapshotSummary, Trigger};
use engine::clock::Timestamp;
use engine::stage::Sha256;
use engine::vault::VaultRole;
use lambda_http::tower::ServiceExt;
use lambda_http::{Body, RequestExt};
use serde_json::Value;
use testkit::{FaultScript, MemoryCatalog};

fn id(n: u32) -> SnapshotId {
    format!("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f{n:04}").parse().expect("an id")
}

/// A catalog with a completed backup, a running one, and a failed one.
async fn catalog() -> (Arc<MemoryCatalog>, FaultScript) {
    let faults = FaultScript::new();
    let catalog = MemoryCatalog::new(faults.clone());
    let places = testkit::world::places();
    let at = Timestamp::from_millis(1_795_316_400_000);
    let attempt = AttemptRecord { id: "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072".parse().expect("an id"), epoch: 1 };
    for n in 1..=3 {
        let mut record = SnapshotRecord::pending(id(n), "database".to_owned(), Trigger::Schedule, at, &places);
        record.begin(attempt, at).expect("begins");
        if n == 1 {
            let summary = SnapshotSummary {
                taken_at: at,
                size: 10,
                checksum: Sha256::of(b"x"),
                tables: 1,
                rows: 2,
                bytes: 3,
                compression: "zstd".to_owned(),
                path: "v1/snapshots/x/inventory.json".to_owned(),
            };
            record.commit(attempt.id, summary, Vec::new(), at).expect("commits");
            record.mark_complete(VaultRole::Secondary, at);
            record.mark_complete(VaultRole::Tertiary, at);
        }
        if n == 3 {
            record.fail("why", at);
        }
        catalog::insert(&catalog, &record).await.expect("inserts");
    }
    (Arc::new(catalog), faults)
}

/// The answer's status, headers and JSON.
async fn ask(catalog: &Arc<MemoryCatalog>, method: &str, target: &str) -> (u16, axum::http::HeaderMap, Value) {
    let request =
        axum::http::Request::builder().method(method).uri(target).body(axum::body::Body::empty()).expect("a request");
    let response: Response<axum::body::Body> =
        router(Arc::clone(catalog) as Arc<dyn Catalog>).oneshot(request).await.expect("answers");
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[tokio::test]
async fn the_samples_of_the_gateway_reach_their_routes() {
    for (name, path) in [
        ("api.get-backup.json", "/v1/backups/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"),
        ("api.list-backups.json", "/v1/backups"),
        ("api.list-drills.json", "/v1/drills"),
    ] {
        let text =
            std::fs::read_to_string(format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a sample");
        let request: lambda_http::http::Request<Body> =
            lambda_http::request::from_str(&text).expect("a gateway's event");
        assert_eq!((request.method().as_str(), request.raw_http_path()), ("GET", path));
    }
}

#[tokio::test]
async fn a_completed_backup_has_the_fields_of_the_specification() {
    let (catalog, _) = catalog().await;
    let (status, headers, answer) = ask(&catalog, "GET", &format!("/v1/backups/{}", id(1))).await;
    assert_eq!(status, 200);
    assert!(headers.get("retry-after").is_none());
    assert_eq!(answer["id"], id(1).to_string());
    assert_eq!((answer["status"].as_str(), answer["progress"].as_u64()), (Some("completed"), Some(100)));
    for field in ["startedAt", "completedAt"] {
        assert_eq!(answer[field], "2026-11-22T03:00:00.000Z", "{field}");
    }
    let metadata = answer["metadata"].as_object().expect("metadata");
    for field in
        ["id", "timestamp", "source", "size", "checksum", "encrypted", "compression", "region", "bucket", "path"]
    {
        assert!(metadata.contains_key(field), "{field}");
    }
    assert_eq!(answer["replicas"].as_array().map(Vec::len), Some(3));
    assert_eq!(answer["replicas"][2]["region"], "ap-southeast-1");
}

#[tokio::test]
async fn a_running_backup_says_when_to_ask_again_and_a_failed_one_why() {
    let (catalog, _) = catalog().await;
    let (_, headers, running) = ask(&catalog, "GET", &format!("/v1/backups/{}", id(2))).await;
    assert_eq!((running["status"].as_str(), headers["retry-after"].to_str().ok()), (Some("in_progress"), Some("1")));
    assert!(running.get("metadata").is_none() && running.get("completedAt").is_none());
    let (_, _, failed) = ask(&catalog, "GET", &format!("/v1/backups/{}", id(3))).await;
    assert_eq!((failed["status"].as_str(), failed["error"].as_str()), (Some("failed"), Some("why")));
}

#[tokio::test]
async fn rotations_are_listed_newest_first() {
    let (catalog, _) = catalog().await;
    let (status, _, none) = ask(&catalog, "GET", "/v1/rotations").await;
    assert_eq!((status, none["rotations"].as_array().map(Vec::len)), (200, Some(0)));
    let record = |n: u8, state: &str| {
        let json = format!(
            r#"{{"id":"019ab3c4-5d6e-7f80-9a1b-2c3d4e5f60{n:02}","startedAt":"2026-11-22T03:00:00.000Z","heartbeatAt":"2026-11-22T03:00:00.000Z",
               "state":"{state}","percent":40,"backups":2,"backupsLeft":3,"replicating":0,"bytes":1,"bytesLeft":2}}"#
        );
        serde_json::from_str::<RotationRecord>(&json).expect("a record")
    };
    for rotation in [record(10, "done"), record(11, "running")] {
        catalog::insert(&*catalog, &rotation).await.expect("inserts");
    }
    let (_, _, page) = ask(&catalog, "GET", "/v1/rotations?limit=1").await;
    assert_eq!(
        (page["rotations"][0]["state"].as_str(), page["rotations"][0]["backupsLeft"].as_u64()),
        (Some("running"), Some(3))
    );
    let before = page["next"].as_str().expect("more");
    let (_, _, page) = ask(&catalog, "GET", &format!("/v1/rotations?before={before}")).await;
    assert_eq!(page["rotations"][0]["state"], "done");
}

#[tokio::test]
async fn backups_are_listed_newest_first_by_pages() {
    let (catalog, _) = catalog().await;
    let (_, _, first) = ask(&catalog, "GET", "/v1/backups?limit=2").await;
    let ids = |page: &Value| page["backups"].as_array().map(|b| b.iter().map(|b| b["id"].clone()).collect::<Vec<_>>());
    assert_eq!(ids(&first), Some(vec![id(3).to_string().into(), id(2).to_string().into()]));
    let (_, _, second) =
        ask(&catalog, "GET", &format!("/v1/backups?limit=2&before={}", first["next"].as_str().expect("more"))).await;
    assert_eq!(ids(&second), Some(vec![id(1).to_string().into()]));
    assert!(second.get("next").is_none());
}

#[tokio::test]
async fn drills_are_listed_with_what_they_show_together() {
    let (catalog, _) = catalog().await;
    let (status, _, none) = ask(&catalog, "GET", "/v1/drills").await;
    assert_eq!((status, none["streak"]["passedInARow"].as_u64()), (200, Some(0)));
    let drill = |n: u32, outcome: &str| {
        let id = format!("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f{n:04}");
        let json = json!({
            "id": id, "startedAt": "2026-11-22T03:00:00.000Z", "outcome": outcome, "region": "us-east-1", "server": "its own",
            "extent": "everything", "recoveryMs": 1_500, "tables": 3, "rows": 98, "bytes": 900, "constraints": 7, "checks": [],
            "warnings": []
        });
        serde_json::from_value::<DrillRecord>(json).expect("a drill")
    };
    for (n, outcome) in [(1, "failed"), (2, "passed"), (3, "passed"), (4, "broken"), (5, "passed")] {
        catalog::insert(&*catalog, &drill(n, outcome)).await.expect("inserts");
    }
    let (_, _, first) = ask(&catalog, "GET", "/v1/drills?limit=3").await;
    let outcomes = |page: &Value| -> Vec<String> {
        let drills = page["drills"].as_array().expect("drills").iter();
        drills.map(|d| d["outcome"].as_str().expect("an outcome").to_owned()).collect()
    };
    assert_eq!(outcomes(&first), ["passed", "broken", "passed"]);
    assert_eq!(first["streak"], json!({ "passedInARow": 3, "failureRateBelow": 1.0 }));
    let before = first["next"].as_str().expect("more");
    let (_, _, second) = ask(&catalog, "GET", &format!("/v1/drills?limit=3&before={before}")).await;
    assert_eq!(outcomes(&second), ["passed", "failed"]);
    assert!(second.get("streak").is_none() && second.get("next").is_none());
}

#[tokio::test]
async fn usage_is_what_was_counted_last() {
    let (catalog, _) = catalog().await;
    let (status, _, none) = ask(&catalog, "GET", "/v1/usage").await;
    assert_eq!(status, 404);
    assert!(none["detail"].as_str().expect("a detail").contains("once a day"));
    for n in 1..=2 {
        let json = json!({
            "id": format!("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f{n:04}"), "at": "2026-11-22T03:00:00.000Z", "pricesOf": "2025-06-01",
            "vaults": [{"role": "primary", "region": "eu-west-1", "bucket": "b", "objects": n, "bytes": 10, "usdAMonth": 0.5}],
            "backups": [{"backup": id(1), "bytes": 10, "ownBytes": 4, "shareBytes": 7}]
        });
        catalog::insert(&*catalog, &serde_json::from_value::<UsageRecord>(json).expect("usage"))
            .await
            .expect("inserts");
    }
    let (status, _, last) = ask(&catalog, "GET", "/v1/usage").await;
    assert_eq!((status, last["vaults"][0]["objects"].as_u64()), (200, Some(2)));
    assert_eq!(last["backups"][0]["ownBytes"], 4);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_problem_that_says_so() {
    let (catalog, faults) = catalog().await;
    for (method, target, status, part) in [
        ("GET", "/v1/backups/nonsense", 400, "not a backup id"),
        ("GET", "/v1/backups/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f9999", 404, "no backup"),
        ("GET", "/v1/backups?limit=0", 400, "1 to 1000"),
        ("GET", "/v1/backups?limit=many", 400, "`limit` and `before`"),
        ("GET", "/v1/backups?colour=red", 400, "`limit` and `before`"),
        ("GET", "/v1/backups?before=x", 400, "not a backup id"),
        ("GET", "/v2/backups", 404, "nothing at this path"),
        ("DELETE", "/v1/backups", 405, "only read"),
    ] {
        let (found, headers, answer) = ask(&catalog, method, target).await;
        assert_eq!(found, status, "{method} {target}: {answer}");
        assert_eq!(headers["content-type"], "application/problem+json", "{method} {target}");
        assert!(answer["detail"].as_str().is_some_and(|d| d.contains(part)), "{method} {target}: {answer}");
        assert_eq!(answer["status"], status);
    }
    faults.break_service("catalog", ErrorKind::Unavailable);
    let (status, _, answer) = ask(&catalog, "GET", "/v1/health").await;
    assert_eq!(status, 503);
    assert!(!answer.to_string().contains("fault"), "what is wrong inside is for the log: {answer}");
    faults.heal();
    assert_eq!(ask(&catalog, "GET", "/v1/health").await.2["status"], "ok");
}
