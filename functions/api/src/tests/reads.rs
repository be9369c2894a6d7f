//! What is read.

use super::{Stage, id};
use crate::openapi::document;
use axum::body::Body;
use axum::http::Request;
use engine::catalog;
use engine::environment::Environment;
use engine::ops::drill::DrillRecord;
use engine::ops::rotate::RotationRecord;
use engine::ops::watch::UsageRecord;
use serde_json::{Value, json};

#[tokio::test]
async fn a_completed_backup_has_the_fields_of_the_specification() {
    let stage = Stage::with_backups().await;
    let answer = stage.get(&format!("/v1/backups/{}", id(1))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (200, None));
    let body = answer.body;
    assert_eq!(body["id"], id(1).to_string());
    assert_eq!((body["status"].as_str(), body["progress"].as_u64()), (Some("completed"), Some(100)));
    for field in ["startedAt", "completedAt"] {
        assert_eq!(body[field], "2026-11-22T03:00:00.000Z", "{field}");
    }
    let metadata = body["metadata"].as_object().expect("metadata");
    for field in
        ["id", "timestamp", "source", "size", "checksum", "encrypted", "compression", "region", "bucket", "path"]
    {
        assert!(metadata.contains_key(field), "{field}");
    }
    assert_eq!(body["replicas"].as_array().map(Vec::len), Some(3));
    assert_eq!(body["replicas"][2]["region"], "ap-southeast-1");
    assert_eq!(body["daysEndAt"], "2026-11-25T03:00:00.000Z");
}

#[tokio::test]
async fn a_running_backup_says_when_to_ask_again_and_a_failed_one_why() {
    let stage = Stage::with_backups().await;
    let path = format!("/v1/backups/{}", id(2));
    for (waited, again, stalled) in
        [(0, "1", false), (60, "2", false), (31, "2", true), (60, "3", true), (600, "5", true)]
    {
        stage.wait(waited);
        let running = stage.get(&path).await;
        assert_eq!((running.header("retry-after"), running.body["stalled"].as_bool()), (Some(again), Some(stalled)));
        assert_eq!(running.body["status"], "in_progress");
        assert!(running.body.get("metadata").is_none() && running.body.get("completedAt").is_none());
    }
    let failed = stage.get(&format!("/v1/backups/{}", id(3))).await.body;
    assert_eq!((failed["status"].as_str(), failed["error"].as_str()), (Some("failed"), Some("why")));
    assert_eq!(failed["stalled"], false);
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let stage = Stage::with_backups().await;
    let path = format!("/v1/backups/{}", id(2));
    let first = stage.get(&path).await;
    let tag = first.header("etag").expect("a tag").to_owned();
    let again = async |tag: &str| {
        let request =
            Request::get(&path).header("authorization", stage.bearer("ana", &["viewer"])).header("if-none-match", tag);
        stage.send(request.body(Body::empty()).expect("a request")).await
    };
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = again(&known).await;
        assert_eq!((answer.status, &answer.body), (304, &Value::Null), "{known}");
        assert_eq!((answer.header("etag"), answer.header("retry-after")), (Some(tag.as_str()), Some("1")));
    }
    catalog::amend(&*stage.world.catalog, id(2), |r| {
        r.progress.rows = 7;
        Ok(true)
    })
    .await
    .expect("amends");
    let changed = again(&tag).await;
    assert_eq!((changed.status, changed.body["rows"].as_u64()), (200, Some(7)));
}

#[tokio::test]
async fn backups_are_listed_newest_first_by_pages_and_chosen_by_what_they_are() {
    let stage = Stage::with_backups().await;
    let ids = |page: &Value| {
        let of = |backups: &Vec<Value>| {
            backups.iter().map(|b| b["id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<String>>()
        };
        page["backups"].as_array().map(of).unwrap_or_default()
    };
    let all = |numbers: &[u32]| numbers.iter().map(|n| id(*n).to_string()).collect::<Vec<_>>();
    let first = stage.get("/v1/backups?limit=2").await.body;
    assert_eq!(ids(&first), all(&[3, 2]));
    let cursor = first["nextCursor"].as_str().expect("more");
    let second = stage.get(&format!("/v1/backups?limit=2&cursor={cursor}")).await.body;
    assert_eq!(ids(&second), all(&[1]));
    assert!(second.get("nextCursor").is_none());
    for (query, numbers) in [
        ("status=failed", &[3][..]),
        ("status=in_progress", &[2]),
        ("status=pending", &[]),
        ("source=database", &[3, 2, 1]),
        ("source=database&status=completed", &[1]),
        ("source=other", &[]),
    ] {
        assert_eq!(ids(&stage.get(&format!("/v1/backups?{query}")).await.body), all(numbers), "{query}");
    }
    // A cursor of one list is none of another's.
    assert_eq!(stage.get(&format!("/v1/drills?cursor={cursor}")).await.status, 422);
}

#[tokio::test]
async fn what_is_inside_a_backup_is_said_without_opening_it() {
    let stage = Stage::with_backups().await;
    let body = stage.get(&format!("/v1/backups/{}/tables", id(1))).await.body;
    assert_eq!((body["tables"][0]["name"].as_str(), body["tables"][0]["rows"].as_u64()), (Some("orders"), Some(3)));
    assert_eq!(
        (body["tablesTotal"].as_u64(), body["coverage"][0]["state"].as_str()),
        (Some(2), Some("not_exportable"))
    );
    let running = stage.get(&format!("/v1/backups/{}/tables", id(2))).await;
    assert!(running.status == 409 && running.body["detail"].as_str().is_some_and(|d| d.contains("not made yet")));
}

#[tokio::test]
async fn a_history_has_each_backup_with_what_came_of_it_and_those_that_never_came() {
    let stage = Stage::with_backups().await;
    stage.wait(2 * 86_400);
    let body = stage.get("/v1/history").await.body;
    let outcomes: Vec<&str> =
        body["runs"].as_array().into_iter().flatten().filter_map(|r| r["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["failed", "running", "good"]);
    assert_eq!(body["missed"], json!(["2026-11-23T03:00:00.000Z"]));
    assert_eq!(body["from"], "2026-10-25T03:00:00.000Z");
    let day = stage.get("/v1/history?days=1").await.body;
    assert_eq!((day["runs"].as_array().map(Vec::len), day["missed"].as_array().map(Vec::len)), (Some(0), Some(1)));
    for query in ["days=0", "days=91", "days=x", "weeks=1"] {
        assert_eq!(stage.get(&format!("/v1/history?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_summary_says_what_who_asks_may_do() {
    let stage = Stage::with(|house| house.targets = vec![Environment::Development, Environment::Production]);
    let you = async |roles: &[&str]| {
        let request = Request::get("/v1/summary").header("authorization", stage.bearer("ana", roles));
        stage.send(request.body(Body::empty()).expect("a request")).await.body["you"].clone()
    };
    let may = |back_up: bool, into: &[&str], administer: bool| json!({"id": "ana", "backUp": back_up, "restoreInto": into, "secondFactor": false, "administer": administer});
    assert_eq!(you(&["viewer"]).await, may(false, &[], false));
    assert_eq!(you(&["operator"]).await, may(true, &["development"], false));
    assert_eq!(you(&["admin"]).await, may(true, &["development"], true));
    assert_eq!(you(&["restorer"]).await, may(false, &["production"], false));
}

#[tokio::test]
async fn drills_are_listed_with_what_they_show_together() {
    let stage = Stage::new();
    let none = stage.get("/v1/drills").await.body;
    assert_eq!(none["streak"]["passedInARow"].as_u64(), Some(0));
    for (n, outcome) in [(1, "failed"), (2, "passed"), (3, "passed"), (4, "broken"), (5, "passed")] {
        let json = json!({
            "id": format!("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f60{n:02}"), "startedAt": "2026-11-22T03:00:00.000Z", "outcome": outcome,
            "region": "us-east-1", "server": "PostgreSQL 18.6", "extent": "everything", "tables": 1, "rows": 2, "bytes": 3,
            "constraints": 0, "checks": [], "warnings": [],
        });
        let drill: DrillRecord = serde_json::from_value(json).expect("a record");
        catalog::insert(&*stage.world.catalog, &drill).await.expect("inserts");
    }
    let page = stage.get("/v1/drills?limit=2").await.body;
    assert_eq!(page["streak"], json!({"passedInARow": 3, "failureRateBelow": 1.0}));
    assert_eq!(
        (page["drills"][0]["outcome"].as_str(), page["drills"][1]["outcome"].as_str()),
        (Some("passed"), Some("broken"))
    );
    let cursor = page["nextCursor"].as_str().expect("more");
    let next = stage.get(&format!("/v1/drills?limit=2&cursor={cursor}")).await.body;
    assert_eq!(next["drills"].as_array().map(Vec::len), Some(2));
    assert!(next.get("streak").is_none());
}

#[tokio::test]
async fn rotations_are_listed_newest_first_and_usage_is_the_last_count() {
    let stage = Stage::new();
    for (n, state) in [(10, "done"), (11, "running")] {
        let json = json!({
            "id": format!("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f60{n}"), "startedAt": "2026-11-22T03:00:00.000Z",
            "heartbeatAt": "2026-11-22T03:00:00.000Z", "state": state, "percent": 40, "backups": 2, "backupsLeft": 3,
            "replicating": 0, "bytes": 1, "bytesLeft": 2,
        });
        let rotation: RotationRecord = serde_json::from_value(json).expect("a record");
        catalog::insert(&*stage.world.catalog, &rotation).await.expect("inserts");
        let json = json!({
            "id": format!("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f60{n}"), "at": "2026-11-22T03:00:00.000Z", "vaults": [],
            "backups": [], "pricesOf": format!("count {n}"),
        });
        let usage: UsageRecord = serde_json::from_value(json).expect("a record");
        catalog::insert(&*stage.world.catalog, &usage).await.expect("inserts");
    }
    let page = stage.get("/v1/rotations?limit=1").await.body;
    assert_eq!(
        (page["rotations"][0]["state"].as_str(), page["rotations"][0]["backupsLeft"].as_u64()),
        (Some("running"), Some(3))
    );
    let cursor = page["nextCursor"].as_str().expect("more");
    let page = stage.get(&format!("/v1/rotations?cursor={cursor}")).await.body;
    assert_eq!(page["rotations"][0]["state"], "done");
    assert_eq!(stage.get("/v1/usage").await.body["pricesOf"], "count 11");
}

#[tokio::test]
async fn the_summary_says_whether_all_is_well_and_the_policy_how_it_is_set_up() {
    let stage = Stage::new();
    let none = stage.get("/v1/summary").await.body;
    assert_eq!(
        (none["verdict"].as_str(), none["reasons"][0]["code"].as_str()),
        (Some("not_protected"), Some("no_backup"))
    );
    assert_eq!(none["nextDue"], "2026-11-23T03:00:00.000Z");
    stage.add_backup(1).await;
    stage.add_backup(2).await;
    stage.wait(3_600);
    let some = stage.get("/v1/summary").await.body;
    assert_eq!((some["verdict"].as_str(), some["recoveryPointS"].as_u64()), (Some("at_risk"), Some(3_600)));
    assert_eq!(
        (some["lastGood"]["id"].as_str(), some["running"].as_str()),
        (Some(&*id(1).to_string()), Some(&*id(2).to_string()))
    );
    assert_eq!(some["regions"].as_array().map(Vec::len), Some(3));
    let policy = stage.get_as(&["admin"], "/v1/policy").await.body;
    assert_eq!(
        (policy["config"]["retentionDays"].as_u64(), policy["retention"]["keepAtLeast"].as_u64()),
        (Some(3), Some(1))
    );
    assert_eq!(policy["targets"], json!(["development", "staging", "production"]));
}

#[tokio::test]
async fn each_look_is_one_query_of_each_collection_that_it_shows_however_many_records_there_are() {
    let stage = Stage::new();
    for n in 1..=400 {
        stage.add_backup(n).await;
        stage.wait(3_600);
    }
    let document: Value = serde_json::from_str(&document().expect("a document")).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").iter().filter(|(_, methods)| methods["get"].is_object());
    let mut looked = 0;
    for (path, _) in paths {
        let of = if path.contains("/backups/") { id(397).to_string() } else { id(1).to_string() };
        let mut path = path.replace("{id}", &of);
        if path == "/v1/history" {
            path += "?days=7";
        }
        let before = stage.world.faults.steps();
        let answer = stage.get_as(&["viewer", "admin"], &path).await;
        assert!(answer.status == 200 || answer.status == 404, "{path}: {answer:?}");
        let expected = match path.as_str() {
            "/v1/policy" => 0,
            // Backups and drills, at the same time.
            "/v1/summary" => 2,
            _ => 1,
        };
        assert_eq!(stage.world.faults.steps() - before, expected, "{path}");
        looked += 1;
    }
    assert_eq!(looked, 15);
    let filtered = stage.world.faults.steps();
    stage.get("/v1/backups?status=pending&limit=100").await;
    assert_eq!(stage.world.faults.steps() - filtered, 1);
}
