//! Who is let in, and what each may do.

use super::issuer::{EC, RSA, unsigned};
use super::{Stage, id};
use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::audit::AuditEntry;
use engine::catalog;
use engine::ops::restore::confirmation;
use serde_json::{Value, json};

/// The status of a request with a token.
async fn with(stage: &Stage, token: &str) -> u16 {
    let request = Request::get("/v1/backups").header("authorization", format!("Bearer {token}"));
    let answer = stage.send(request.body(Body::empty()).expect("a request")).await;
    if answer.status == 401 {
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(token.is_empty() || !answer.body.to_string().contains(token));
    }
    answer.status
}

#[tokio::test]
async fn a_token_is_believed_only_when_everything_about_it_is_right() {
    let stage = Stage::new();
    let issuer = &stage.issuer;
    let right = issuer.claims("ana", &["viewer"], stage.now());
    assert_eq!(with(&stage, &issuer.sign(&right)).await, 200);
    assert_eq!(with(&stage, &issuer.sign_rsa(&right)).await, 200);
    let several = json!(["other", "authenticated"]);
    let changed = |field: &str, value: Value| {
        let mut claims = right.clone();
        claims[field] = value;
        claims
    };
    assert_eq!(with(&stage, &issuer.sign(&changed("aud", several))).await, 200);
    let now_s = stage.now().as_millis() / 1_000;
    for (what, field, value) in [
        ("expired", "exp", json!(now_s - 31)),
        ("without an end", "exp", Value::Null),
        ("not yet", "nbf", json!(now_s + 31)),
        ("of the future", "iat", json!(now_s + 31)),
        ("of another issuer", "iss", json!("https://evil.example.org/auth/v1")),
        ("for another audience", "aud", json!("service")),
        ("for no audience", "aud", json!([])),
        ("of an application", "client_id", json!("app")),
        ("of nobody in particular", "is_anonymous", json!(true)),
        ("of the service", "role", json!("service_role")),
        ("of nobody", "sub", json!("")),
    ] {
        assert_eq!(with(&stage, &issuer.sign(&changed(field, value))).await, 401, "{what}");
    }
    // A little after its end it is still believed: clocks differ.
    assert_eq!(with(&stage, &issuer.sign(&changed("exp", json!(now_s - 29)))).await, 200);
}

#[tokio::test]
async fn a_token_that_is_not_signed_as_its_key_is_for_is_not_believed() {
    let stage = Stage::new();
    let issuer = &stage.issuer;
    let claims = issuer.claims("ana", &["admin"], stage.now());
    let none = json!({"alg": "none", "typ": "JWT", "kid": EC});
    let empty = format!("{}.", unsigned(&none, &claims));
    let hs256 = json!({"alg": "HS256", "typ": "JWT", "kid": RSA});
    let by_public_key = |key: &Value| {
        let message = unsigned(&hs256, &claims);
        let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().expect("a modulus")).expect("base64");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &modulus), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let right = issuer.sign(&claims);
    let (message, signature) = right.rsplit_once('.').expect("a signature");
    let other_claims =
        unsigned(&json!({"alg": "ES256", "typ": "JWT", "kid": EC}), &issuer.claims("eva", &["admin"], stage.now()));
    let other = super::issuer::Issuer::new();
    for (what, token) in [
        ("none", empty),
        ("HS256 by the public key", by_public_key(&issuer.rsa_key())),
        ("the signature of another", format!("{other_claims}.{signature}")),
        ("a signature cut short", format!("{message}.{}", &signature[..signature.len() - 2])),
        ("without a signature", message.to_owned()),
        ("by a key of the same id of another issuer", other.sign(&claims)),
        ("ES256 under the id of the RSA key", issuer.sign_by(&json!({"alg": "ES256", "kid": RSA}), &claims)),
        ("RS256 under the id of the other", issuer.sign_by(&json!({"alg": "RS256", "kid": EC}), &claims)),
        ("by an unknown key", issuer.sign_by(&json!({"alg": "ES256", "kid": "ec-2"}), &claims)),
        ("without a key", issuer.sign_by(&json!({"alg": "ES256"}), &claims)),
        ("with a key of its own", issuer.sign_by(&json!({"alg": "ES256", "kid": "x", "jwk": other.ec_key()}), &claims)),
        ("nonsense", "a.b.c".to_owned()),
        ("nothing", String::new()),
        ("too long", "a".repeat(9_000)),
    ] {
        assert_eq!(with(&stage, &token).await, 401, "{what}");
    }
    for header in ["Basic YTpi", "Bearer", "token"] {
        let request = Request::get("/v1/backups").header("authorization", header);
        assert_eq!(stage.send(request.body(Body::empty()).expect("a request")).await.status, 401, "{header}");
    }
}

#[tokio::test]
async fn keys_are_kept_for_a_while_and_a_key_that_was_withdrawn_no_longer() {
    let stage = Stage::new();
    let issuer = &stage.issuer;
    let ask = async || with(&stage, &issuer.sign(&issuer.claims("ana", &["viewer"], stage.now()))).await;
    let ask_rsa = async || with(&stage, &issuer.sign_rsa(&issuer.claims("ana", &["viewer"], stage.now()))).await;
    for _ in 0..3 {
        assert_eq!(ask().await, 200);
    }
    assert_eq!(issuer.fetches(), 1);
    // A key that is new is fetched when it is first used, and not with each forged token.
    issuer.publish(Some(json!({"keys": [issuer.rsa_key()]})));
    let unknown =
        || issuer.sign_by(&json!({"alg": "ES256", "kid": "ec-9"}), &issuer.claims("ana", &["viewer"], stage.now()));
    for _ in 0..5 {
        assert_eq!(with(&stage, &unknown()).await, 401);
    }
    assert_eq!(issuer.fetches(), 1, "it was asked a moment ago");
    stage.wait(31);
    assert_eq!((with(&stage, &unknown()).await, issuer.fetches()), (401, 2));
    // The key of the elliptic curve was withdrawn: that is known since.
    assert_eq!((ask().await, ask_rsa().await), (401, 200));
    // The issuer does not answer: what is known is believed for a while.
    issuer.publish(None);
    stage.wait(11 * 60);
    assert_eq!((ask_rsa().await, issuer.fetches()), (200, 3));
    assert_eq!((ask_rsa().await, issuer.fetches()), (200, 3));
    stage.wait(60 * 60);
    assert_eq!(ask_rsa().await, 503);
    issuer.publish(Some(json!({"keys": [issuer.ec_key(), issuer.rsa_key()]})));
    stage.wait(31);
    assert_eq!((ask().await, ask_rsa().await), (200, 200));
    // What is no set of keys changes nothing.
    issuer.publish(Some(json!({"error": "no"})));
    stage.wait(11 * 60);
    assert_eq!(ask().await, 200);
    // Keys that are for something else are passed over.
    let mut encrypts = issuer.ec_key();
    encrypts["use"] = json!("enc");
    let symmetric = json!({"kty": "oct", "kid": EC, "alg": "HS256", "k": "c2VjcmV0"});
    issuer.publish(Some(json!({"keys": [encrypts, symmetric]})));
    stage.wait(11 * 60);
    assert_eq!(ask().await, 401);
}

#[tokio::test]
async fn without_an_issuer_nobody_is_let_in() {
    let mut stage = Stage::new();
    std::sync::Arc::get_mut(&mut stage.api).expect("alone").tokens = None;
    assert_eq!(stage.get("/v1/backups").await.status, 401);
    assert_eq!(stage.get("/v1/health").await.status, 200);
}

/// Who may do what: for nobody, somebody without a role, a viewer, an operator, an admin, a restorer, and a restorer with a second factor.
#[tokio::test]
async fn each_role_may_do_what_it_is_for() {
    const WHO: [&[&str]; 6] = [&[], &["viewer"], &["operator"], &["admin"], &["restorer"], &["restorer", "aal2"]];
    let production = json!({
        "backupId": id(1), "targetEnvironment": "production", "confirmation": confirmation("production", id(1)),
    });
    let into = |environment: &str| json!({"backupId": "latest", "targetEnvironment": environment});
    let dry = |mut body: Value| {
        body["dryRun"] = json!(true);
        body
    };
    let one = format!("/v1/backups/{}", id(1));
    let running = format!("/v1/backups/{}", id(2));
    let restore = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f7777";
    let get = |path: &str| ("GET", path.to_owned(), None);
    let post = |path: &str, body: Option<Value>| ("POST", path.to_owned(), body);
    let sees = [403, 200, 200, 200, 200, 200];
    let table = [
        (get("/v1/summary"), sees),
        (get("/v1/history"), sees),
        (get("/v1/backups"), sees),
        (get(&one), sees),
        (get(&format!("{one}/tables")), sees),
        (get("/v1/restores"), sees),
        (get(&format!("/v1/restores/{restore}")), sees),
        (get("/v1/cleanups"), sees),
        (get("/v1/drills"), sees),
        (get("/v1/rotations"), sees),
        (get("/v1/usage"), [403, 404, 404, 404, 404, 404]),
        (get("/v1/policy"), [403, 403, 403, 200, 403, 403]),
        (get("/v1/audit"), [403, 403, 403, 200, 403, 403]),
        (post("/v1/backups", None), [403, 403, 202, 202, 403, 403]),
        (post(&format!("{running}/cancel"), None), [403, 403, 200, 200, 403, 403]),
        (post(&format!("{one}/pin"), Some(json!({"pinned": true}))), [403, 403, 403, 200, 403, 403]),
        (post("/v1/cleanup", Some(json!({"dryRun": true}))), [403, 403, 403, 200, 403, 403]),
        (post("/v1/cleanup", None), [403, 403, 403, 202, 403, 403]),
        (post("/v1/restores", Some(into("development"))), [403, 403, 202, 202, 403, 403]),
        (post("/v1/restores", Some(into("staging"))), [403, 403, 202, 202, 403, 403]),
        (post("/v1/restores", Some(dry(into("staging")))), [403, 403, 200, 200, 403, 403]),
        (post("/v1/restores", Some(production.clone())), [403, 403, 403, 403, 403, 202]),
        (post("/v1/restores", Some(dry(production))), [403, 403, 403, 403, 200, 200]),
        (post(&format!("/v1/restores/{restore}/approve"), None), [403, 403, 403, 403, 403, 202]),
        (post(&format!("/v1/restores/{restore}/cancel"), None), [403, 403, 403, 403, 200, 200]),
    ];
    for ((method, path, body), expected) in table {
        let stage = Stage::with(|house| house.approval_s = Some(600));
        for n in 1..=3 {
            stage.add_backup(n).await;
        }
        for (roles, expected) in WHO.iter().zip(expected) {
            add_restore(&stage, restore).await;
            let answer = match method {
                "GET" => stage.get_as(roles, &path).await,
                _ => stage.post_as("ana", roles, &path, body.clone()).await,
            };
            assert_eq!(answer.status, expected, "{method} {path} as {roles:?}: {}", answer.body);
        }
        let request = Request::builder().method(method).uri(&path).body(Body::empty()).expect("a request");
        assert_eq!(stage.send(request).await.status, 401, "{method} {path} by nobody");
    }
}

/// A restore into production that waits for another's consent; anew if it was there.
async fn add_restore(stage: &Stage, id_of: &str) {
    use engine::id::RestoreId;
    let restore: RestoreId = id_of.parse().expect("an id");
    if let Some(found) = catalog::get(&*stage.world.catalog, restore).await.expect("reads") {
        catalog::remove(&*stage.world.catalog, restore, found.revision).await.expect("removes");
    }
    let wish = engine::ops::restore::RestoreWish {
        wanted: engine::ops::restore::Wanted::Backup(id(1)),
        target_environment: engine::environment::Environment::Production,
        restore_point: None,
        include: None,
        exclude: None,
        region: None,
        masked: false,
        confirmation: Some(confirmation("production", id(1))),
    };
    let (catalog, queue) = (&*stage.world.catalog, &*stage.world.restores);
    engine::ops::restore::request(catalog, queue, restore, &wish, "ben", Some(600), stage.now()).await.expect("asks");
}

#[tokio::test]
async fn roles_come_from_the_owner_alone() {
    let stage = Stage::new();
    let mut claims = stage.issuer.claims("ana", &[], stage.now());
    for (metadata, status) in [
        (json!({"backup_roles": ["viewer"]}), 200),
        (json!({"backup_roles": ["root", "viewer", 1]}), 200),
        (json!({"backup_roles": "viewer"}), 403),
        (json!({"backup_roles": ["Viewer"]}), 403),
        (json!({"backup_roles": null}), 403),
        (json!({}), 403),
    ] {
        claims["app_metadata"] = metadata.clone();
        // What a user can write gives nothing.
        claims["user_metadata"] = json!({"backup_roles": ["admin", "viewer"]});
        assert_eq!(with(&stage, &stage.issuer.sign(&claims)).await, status, "{metadata}");
    }
}

#[tokio::test]
async fn whatever_changes_something_is_in_the_audit_and_so_is_what_was_refused() {
    let stage = Stage::with_backups().await;
    stage.post_as("ana", &["operator"], "/v1/backups", Some(json!({"source": "orders"}))).await;
    stage.post_as("eva", &["viewer"], "/v1/backups", None).await;
    stage.post_as("ana", &["operator"], &format!("/v1/backups/{}/cancel", id(1)), None).await;
    let entries = stage.get_as(&["admin"], "/v1/audit").await.body["entries"].clone();
    let mut entries: Vec<AuditEntry> = serde_json::from_value(entries).expect("entries");
    // The clock of a test stands still.
    entries.sort_by_key(|e| (e.action.clone(), e.actor.id.clone(), e.status));
    let told: Vec<_> = entries.iter().map(|e| (e.actor.id.as_str(), e.action.as_str(), e.status)).collect();
    assert_eq!(
        told,
        [
            ("ana", "backup.cancel", None),
            ("ana", "backup.cancel", Some(409)),
            ("ana", "backup.request", None),
            ("ana", "backup.request", Some(202)),
            ("eva", "backup.request", Some(403)),
        ]
    );
    let (first, second) = (&entries[2], &entries[3]);
    assert_eq!(first.request_id, second.request_id);
    assert_eq!((second.detail.as_deref(), second.actor.email.as_deref()), (Some("orders"), Some("ana@example.org")));
    let made = stage.world.queue.take().expect("an order").backup_id.expect("an id");
    assert_eq!(second.on, Some(made.to_string()));
}
