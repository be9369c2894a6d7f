//! Requests as API Gateway sends them, through the same stack of layers as on Lambda, over a catalog and queues in memory.

mod access;
mod document;
mod issuer;
mod reads;
mod writes;

use crate::answer::BackupConfig;
use crate::house::{Api, House};
use crate::outside::Outside;
use crate::person::{Keys, Tokens};
use crate::router::router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use engine::catalog::{self, AttemptRecord, Catalog, SnapshotRecord, SnapshotSummary, Trigger};
use engine::clock::{Clock, Timestamp};
use engine::contents::{Contents, TableContents};
use engine::environment::Environment;
use engine::id::SnapshotId;
use engine::ops::watch::Targets;
use engine::queue::Queue;
use engine::retention::RetentionPolicy;
use engine::source::{Coverage, CoverageState};
use engine::stage::Sha256;
use engine::vault::VaultRole;
use issuer::Issuer;
use lambda_http::tower::ServiceExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use testkit::World;

/// An API and what it stands on.
struct Stage {
    world: World,
    issuer: Arc<Issuer>,
    api: Arc<Api>,
    keys: AtomicU32,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

fn id(n: u32) -> SnapshotId {
    format!("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f{n:04}").parse().expect("an id")
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other rules of the house.
    fn with(change: impl FnOnce(&mut House)) -> Self {
        let world = World::new(7).expect("a world");
        let issuer = Arc::new(Issuer::new());
        let places = testkit::world::places();
        let mut house = House {
            source: "database".to_owned(),
            retention: RetentionPolicy {
                days: 3,
                last: 0,
                daily: 0,
                weekly: 0,
                monthly: 0,
                yearly: 0,
                keep_at_least: 1,
            },
            expected: Targets {
                schedule: "cron(0 3 * * ? *)".parse().expect("a schedule"),
                backup_age_max_s: 26 * 3_600,
                drill_age_max_s: 50 * 3_600,
            },
            targets: Environment::ALL.to_vec(),
            writes_a_minute: 1_000,
            approval_s: None,
            config: BackupConfig {
                primary_bucket: places[0].bucket.clone(),
                secondary_bucket: places[1].bucket.clone(),
                tertiary_bucket: places[2].bucket.clone(),
                encryption_key_id: "arn:aws:kms:eu-west-1:123456789012:key/mrk-1".to_owned(),
                region: places[0].region.clone(),
                backup_schedule: "cron(0 3 * * ? *)".to_owned(),
                retention_days: 3,
            },
            places,
        };
        change(&mut house);
        let api = Api {
            catalog: Arc::new(Outside(Arc::clone(&world.catalog) as Arc<dyn Catalog>)),
            backups: Some(Arc::new(Outside(Arc::clone(&world.queue) as Arc<dyn Queue<_>>))),
            restores: Some(Arc::new(Outside(Arc::clone(&world.restores) as Arc<dyn Queue<_>>))),
            prunes: Some(Arc::new(Outside(Arc::clone(&world.prunes) as Arc<dyn Queue<_>>))),
            tokens: Some(Tokens {
                keys: Keys::new(Arc::clone(&issuer) as _, Arc::clone(&world.clock) as _),
                issuer: issuer::NAME.to_owned(),
                audience: "authenticated".to_owned(),
            }),
            house,
            clock: Arc::clone(&world.clock) as _,
            entropy: Arc::clone(&world.entropy) as _,
        };
        Self { world, issuer, api: Arc::new(api), keys: AtomicU32::new(0) }
    }

    /// A completed backup, a running one, and a failed one.
    async fn with_backups() -> Self {
        let stage = Self::new();
        for n in 1..=3 {
            stage.add_backup(n).await;
        }
        stage
    }

    /// The first completed, the second running, the third failed, and so on.
    async fn add_backup(&self, n: u32) -> SnapshotRecord {
        let at = self.now();
        let places = testkit::world::places();
        let attempt = AttemptRecord { id: "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072".parse().expect("an id"), epoch: 1 };
        let mut record = SnapshotRecord::pending(id(n), "database".to_owned(), Trigger::Schedule, at, &places);
        record.begin(attempt, at).expect("begins");
        match n % 3 {
            1 => {
                let summary = SnapshotSummary {
                    taken_at: at,
                    size: 10,
                    checksum: Sha256::of(b"x"),
                    tables: 2,
                    rows: 5,
                    bytes: 300,
                    compression: "zstd".to_owned(),
                    path: "v1/snapshots/x/inventory.json".to_owned(),
                };
                record.commit(attempt.id, summary, Vec::new(), at).expect("commits");
                record.mark_complete(VaultRole::Secondary, at);
                record.mark_complete(VaultRole::Tertiary, at);
                self.add_contents(n).await;
            }
            0 => {
                record.fail("why", at);
            }
            _ => {}
        }
        catalog::insert(&*self.world.catalog, &record).await.expect("inserts");
        record
    }

    async fn add_contents(&self, n: u32) {
        let table = |name: &str, rows: u64, bytes: u64| TableContents {
            schema: "public".to_owned(),
            name: name.to_owned(),
            rows,
            bytes,
            taken_at: None,
            excluded: None,
        };
        let contents = Contents {
            id: id(n),
            tables: vec![table("orders", 3, 200), table("clients", 2, 100)],
            tables_total: 2,
            buckets: Vec::new(),
            coverage: vec![Coverage {
                part: "vault".to_owned(),
                state: CoverageState::NotExportable,
                detail: "its key stays with the provider".to_owned(),
            }],
        };
        catalog::insert(&*self.world.catalog, &contents).await.expect("inserts");
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    fn wait(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = router(Arc::clone(&self.api)).oneshot(request).await.expect("answers");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("not JSON: {e}: {bytes:?}")),
        };
        if parts.status.is_client_error() || parts.status.is_server_error() {
            let kind = parts.headers.get("content-type").and_then(|v| v.to_str().ok());
            assert_eq!(kind, Some("application/problem+json"), "{body}");
            assert_eq!(body["status"].as_u64(), Some(u64::from(parts.status.as_u16())));
            assert_eq!(body["requestId"].as_str(), parts.headers.get("x-request-id").and_then(|v| v.to_str().ok()));
        }
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// With a token of somebody who has these roles.
    async fn get_as(&self, roles: &[&str], path: &str) -> Answer {
        let request = Request::get(path).header("authorization", self.bearer("ana", roles));
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_as(&["viewer"], path).await
    }

    fn bearer(&self, who: &str, roles: &[&str]) -> String {
        let claims = self.issuer.claims(who, roles, self.now());
        format!("Bearer {}", self.issuer.sign(&claims))
    }

    /// A key that was not used before.
    fn new_key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    async fn post_as(&self, who: &str, roles: &[&str], path: &str, body: Option<Value>) -> Answer {
        self.post_with(who, roles, path, body, &self.new_key()).await
    }

    async fn post_with(&self, who: &str, roles: &[&str], path: &str, body: Option<Value>, key: &str) -> Answer {
        let request = Request::post(path)
            .header("authorization", self.bearer(who, roles))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).expect("a request")).await
    }

    /// By somebody who may do everything, signed in with a second factor.
    async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_as("ana", &["admin", "restorer", "aal2"], path, Some(body)).await
    }
}

#[tokio::test]
async fn the_samples_of_the_gateway_reach_their_routes() {
    use lambda_http::RequestExt;
    let stage = Stage::with_backups().await;
    for (name, status) in [
        ("api.list-backups.json", 401),
        ("api.get-backup.json", 401),
        ("api.list-drills.json", 401),
        ("api.health.json", 200),
        ("api.request-backup.json", 401),
    ] {
        let path = format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a sample");
        let event = lambda_http::request::from_str(&text).expect("a gateway's event");
        let request_id = serde_json::from_str::<Value>(&text).expect("JSON")["requestContext"]["requestId"].clone();
        assert!(event.raw_http_path().starts_with("/v1/"));
        let (parts, body) = event.into_parts();
        let body = match body {
            lambda_http::Body::Text(text) => Body::from(text),
            _ => Body::empty(),
        };
        let answer = stage.send(Request::from_parts(parts, body)).await;
        assert_eq!((answer.status, answer.header("x-request-id")), (status, request_id.as_str()), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_a_problem_like_any_other() {
    let stage = Stage::with_backups().await;
    let viewer = ["viewer"];
    for (path, status) in [
        ("/v1/nothing", 404),
        ("/v1/backups/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f9999", 404),
        ("/v1/backups/x", 400),
        ("/v1/backups?limit=0", 400),
        ("/v1/backups?limit=101", 400),
        ("/v1/backups?limit=x", 400),
        ("/v1/backups?page=2", 400),
        ("/v1/backups?status=running", 400),
        ("/v1/backups?cursor=x", 422),
        (&format!("/v1/backups?cursor={}", "x".repeat(201)), 400),
        (&format!("/v1/backups?source={}", "x".repeat(201)), 400),
        ("/v1/restores/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f9999", 404),
        ("/v1/cleanups/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f9999", 404),
        ("/v1/backups/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f0002/tables", 409),
        ("/v1/usage", 404),
    ] {
        let answer = stage.get_as(&viewer, path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    let put = Request::put("/v1/backups").body(Body::empty()).expect("a request");
    let answer = stage.send(put).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET,HEAD,POST")));

    let post = |body: &'static str, kind: &'static str| {
        let request = Request::post("/v1/backups")
            .header("authorization", stage.bearer("ana", &["operator"]))
            .header("content-type", kind)
            .header("idempotency-key", stage.new_key());
        stage.send(request.body(Body::from(body)).expect("a request"))
    };
    for (body, kind, status, said) in [
        ("{", "application/json", 400, "EOF"),
        (r#"{"source":"orders","tables":[]}"#, "application/json", 400, "tables"),
        (r#"{"source":""}"#, "application/json", 400, "source"),
        (r#"{"source":"a\u0000b"}"#, "application/json", 400, "source"),
        (r#"{"source":1}"#, "application/json", 400, "string"),
        (r#"{"source":"orders"}"#, "text/plain", 415, "application/json"),
    ] {
        let answer = post(body, kind).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.body["detail"].as_str().is_some_and(|d| d.contains(said)), "{body}: {}", answer.body);
    }
    let large: &'static str = Box::leak(format!(r#"{{"source":"{}"}}"#, "x".repeat(17_000)).into_boxed_str());
    assert_eq!(post(large, "application/json").await.status, 413);
    assert_eq!(stage.world.queue.take(), None);
}

#[tokio::test]
async fn a_catalog_that_does_not_answer_is_said_without_what_is_inside() {
    use engine::error::ErrorKind;
    let stage = Stage::with_backups().await;
    for (kind, status) in [
        (ErrorKind::Unavailable, 503),
        (ErrorKind::Denied, 500),
        (ErrorKind::Corrupt, 500),
        (ErrorKind::NotFound, 500),
        (ErrorKind::Invalid, 500),
    ] {
        stage.world.faults.break_service("catalog", kind);
        for path in ["/v1/health", "/v1/backups", "/v1/summary"] {
            let answer = stage.get(path).await;
            assert_eq!(answer.status, status, "{path} {kind}");
            assert!(!answer.body["detail"].to_string().contains("fault"), "{}", answer.body);
        }
        let written = stage.post("/v1/backups", json!({"source": "all"})).await;
        assert_eq!(written.status, status);
        stage.world.faults.heal();
    }
    assert_eq!(stage.world.queue.take(), None);
}
