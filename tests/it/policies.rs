//! Policies by kind of data: what is read how often, what never, and what others than production may see.

use crate::deployment::{Deployment, assert_says, server_with};
use crate::postgres::{Postgres, checkout, tools};
use engine::catalog::{SnapshotRecord, Trigger};
use engine::error::{ErrorKind, Result};
use engine::ops::backup::{BackupOutcome, BackupRequest};
use engine::ops::restore::{RestoreRequest, Restored, Selection};
use engine::policy::Policies;
use engine::queue::BackupOrder;
use engine::source::CoverageState;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

impl Deployment {
    pub(crate) fn with_policies(mut self, text: &str) -> Self {
        self.settings.policies = Arc::new(Policies::parse(text).expect("policies"));
        self
    }

    /// A backup for which one part is read.
    async fn back_up_part(&self, url: &str, part: &str) -> Result<SnapshotRecord> {
        let order = BackupOrder { source: Some(part.to_owned()), ..BackupOrder::new(Trigger::Manual) };
        match self.backup(url).run(BackupRequest { order, deadline: None }).await? {
            BackupOutcome::Committed(record) => Ok(*record),
            other => panic!("not committed: {other:?}"),
        }
    }

    async fn restore_masked(&self, url: &str) -> Result<Restored> {
        let request = RestoreRequest { masked: true, ..Selection::Newest.into() };
        self.restore(0, url).run(request).await
    }
}

fn digest(server: &Postgres, database: &str, table: &str) -> String {
    server.sql(database, &format!("select count(*), sum(hashtextextended(t::text, 0)) from {table} as t"))
}

const SHOP: &str = "
    create table customer (id int primary key, name text);
    create table purchase (id int primary key, customer_id int not null references customer, note text);
    create table event_log (id int primary key, purchase_id int references purchase, at timestamptz default now());
    create table logged (id int primary key, event_id int references event_log);
    insert into customer select g, 'customer ' || g from generate_series(1, 500) as g;
    insert into purchase select g, 1 + g % 500, repeat('x', 200) from generate_series(1, 5000) as g;
    insert into event_log select g, g from generate_series(1, 5000) as g;
    insert into logged select g, g from generate_series(1, 100) as g";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_that_is_read_less_often_keeps_its_last_rows_and_the_backup_says_of_when_they_are() {
    let (server, source) = server_with("source");
    server.remember("source");
    server.sql("source", SHOP);
    let deployment = Deployment::new(81).with_policies(
        r#"{"classes": [
            {"name": "customers", "match": ["public.customer"], "every": "1d"},
            {"name": "logs", "match": ["public.event_log"], "exclude": true}
        ]}"#,
    );
    let first = deployment.back_up(&source).await.expect("backs up");
    let manifest = deployment.manifest(&first).await;
    let customer = digest(&server, "source", "customer");
    let coverage = manifest.coverage.iter().find(|c| c.part == "public.event_log").expect("is told");
    assert_eq!(coverage.state, CoverageState::NotConfigured);
    assert!(coverage.detail.contains("`logs`"), "{coverage:?}");

    // Purchases of a customer whom the kept rows do not have; and a customer whom they have is gone.
    server.sql("source", "insert into customer values (501, 'new'); insert into purchase values (5001, 501, 'new'); update customer set name = 'changed' where id <= 100");
    let second = deployment.back_up(&source).await.expect("backs up");
    let manifest = deployment.manifest(&second).await;
    let table = |name: &str| manifest.tables.iter().find(|t| t.table.name == name).expect("a table");
    assert_eq!(table("customer").taken_at, Some(first.summary.as_ref().expect("a summary").taken_at));
    assert_eq!(table("purchase").taken_at, None);
    assert!(table("event_log").segments.is_empty() && table("event_log").excluded.is_some());

    let target = server.create("target");
    let restored = deployment.restore_newest(0, &target).await.expect("restores");
    assert_eq!(digest(&server, "target", "customer"), customer);
    assert_eq!(digest(&server, "target", "purchase"), digest(&server, "source", "purchase"));
    assert_eq!(server.sql("target", "select count(*) from event_log"), "0");
    // Its keys hold for new rows: what the rows that are there do not fulfil is told.
    let told = |code: &str, part: &str| restored.warnings.iter().any(|w| w.code == code && w.message.contains(part));
    assert!(told("rows_older", "public.customer") && told("rows_left_out", "public.event_log"), "{restored:?}");
    assert!(
        told("reference", "purchase_customer_id_fkey") && told("reference", "logged_event_id_fkey"),
        "{restored:?}"
    );
    let valid = "select string_agg(conname || ' ' || convalidated, ',' order by conname) from pg_constraint where contype = 'f'";
    assert_eq!(
        server.sql("target", valid),
        "event_log_purchase_id_fkey true,logged_event_id_fkey false,purchase_customer_id_fkey false"
    );

    // Asked for by a person, only that class is read, and of the rest nothing.
    server.sql("source", "update purchase set note = 'later' where id = 1");
    let third = deployment.back_up_part(&source, "customers").await.expect("backs up");
    assert_eq!(third.part.as_deref(), Some("customers"));
    let manifest = deployment.manifest(&third).await;
    let table = |name: &str| manifest.tables.iter().find(|t| t.table.name == name).expect("a table");
    assert_eq!(table("customer").taken_at, None);
    assert_eq!(table("purchase").taken_at, second.summary.as_ref().map(|s| s.taken_at));
    let fourth = deployment.back_up_part(&source, "public.purchase").await.expect("backs up");
    let manifest = deployment.manifest(&fourth).await;
    let purchase = manifest.tables.iter().find(|t| t.table.name == "purchase").expect("a table");
    assert_eq!(purchase.taken_at, None);
    let target = server.create("target_2");
    deployment.restore_newest(0, &target).await.expect("restores");
    for table in ["customer", "purchase"] {
        assert_eq!(digest(&server, "target_2", table), digest(&server, "source", table), "{table}");
    }
    let refused = deployment.back_up_part(&source, "invoices").await.expect_err("refused");
    assert_says(&refused, ErrorKind::Invalid, &["`invoices`", "customers, logs"]);

    // What a database does not remember is not kept, whatever the policy says.
    server.sql("source", "truncate backup_lineage.attempt");
    let fifth = deployment.back_up(&source).await.expect("backs up");
    assert!(deployment.manifest(&fifth).await.tables.iter().all(|t| t.taken_at.is_none()));
}

const PEOPLE: &str = "
    create table person (id uuid primary key, full_name text, email text unique, phone text, address text, age int, notes jsonb, tags text[]);
    create table letter (id int primary key, person_id uuid references person, recipient_email text, body text);
    create table plain (id int primary key, price numeric);
    create schema supabase_functions;
    create function supabase_functions.http_request() returns trigger language plpgsql as 'begin return new; end';
    create trigger call_home after insert on plain for each row execute function supabase_functions.http_request('https://example.com', 'POST');
    create trigger stay_here after insert on plain for each row execute function suppress_redundant_updates_trigger();
    drop trigger stay_here on plain;
    select lo_create(4711);
    insert into person select gen_random_uuid(), 'María ' || g, 'maria' || g || '@shop.pe', '+51 987 ' || g, 'Jirón Luz ' || g,
        20 + g % 60, '{\"allergy\": \"nuts\"}', array['vip', 'tab\there'] from generate_series(1, 20000) as g;
    insert into letter select row_number() over (), p.id, p.email, 'Dear ' || p.full_name || E'\\nline two' from person as p;
    insert into plain select g, g from generate_series(1, 100) as g";

const RULES: &str = r#"{"classes": [
    {"name": "people", "match": ["public.person"], "mask": {
        "id": "hash", "full_name": "name", "email": "email", "phone": "phone", "address": "address", "age": "keep", "notes": "redact", "tags": "redact"
    }},
    {"name": "letters", "match": ["public.letter"], "mask": {"id": "keep", "person_id": "hash", "recipient_email": "email", "body": {"truncate": 4}}}
]}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_restore_shows_nothing_personal_keeps_joins_and_goes_on_with_the_same_masks() {
    let (server, source) = server_with("source");
    server.sql("source", PEOPLE);
    let deployment = Deployment::new(82).with_policies(RULES);
    deployment.back_up(&source).await.expect("backs up");
    let target = server.create("target");
    // Killed on its way, more than once.
    let mut restored = None;
    for millis in [400, 600, 900, 60_000] {
        match tokio::time::timeout(Duration::from_millis(millis), deployment.restore_masked(&target)).await {
            Ok(done) => {
                restored = Some(done.expect("restores"));
                break;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
        }
    }
    let restored = restored.expect("restored in the end");
    assert_eq!(restored.masked_tables, 2, "{restored:?}");
    assert!(
        restored.warnings.iter().any(|w| w.code == "webhook_left_out" && w.message.contains("call_home")),
        "{restored:?}"
    );
    let count = |query: &str| server.sql("target", query);
    assert_eq!(count("select count(*), count(distinct email), count(distinct id) from person"), "20000|20000|20000");
    assert_eq!(
        count(
            "select count(*) from letter as l join person as p on p.id = l.person_id and p.email = l.recipient_email"
        ),
        "20000"
    );
    assert_eq!(
        count(
            "select count(*) from person where email like '%shop.pe' or full_name like 'María %' or phone like '+51%' or address like 'Jir_n Luz%' or notes <> '{}' or tags <> '{}'"
        ),
        "0"
    );
    assert_eq!(count("select count(*) from letter where body <> 'Dear'"), "0");
    assert_eq!(count("select sum(age) from person"), server.sql("source", "select sum(age) from person"));
    assert_eq!(digest(&server, "target", "plain"), digest(&server, "source", "plain"));
    assert_eq!(count("select count(*) from pg_largeobject_metadata"), "0");
    assert_eq!(count("select count(*) from pg_trigger where not tgisinternal"), "0");
    let raw = server.sql("source", "select email from person order by id limit 1");
    assert!(!server.holds_bytes(&raw, "target"), "what is masked was never there");

    // A second restore of the same backup gives the same masks.
    let target = server.create("again");
    deployment.restore_masked(&target).await.expect("restores");
    assert_eq!(digest(&server, "again", "person"), digest(&server, "target", "person"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_without_a_rule_stops_a_masked_restore_before_anything_is_written() {
    let (server, source) = server_with("source");
    server.sql("source", PEOPLE);
    let target = server.create("target");
    let deployment = Deployment::new(83);
    deployment.back_up(&source).await.expect("backs up");
    let refused = deployment.restore_masked(&target).await.expect_err("refused");
    assert_says(
        &refused,
        ErrorKind::Invalid,
        &["public.person: full_name, email, phone, address look personal", "public.letter", "nothing was changed"],
    );
    let deployment = deployment.with_policies(RULES);
    server.sql("source", "alter table letter add column opened_at timestamptz");
    deployment.back_up(&source).await.expect("backs up");
    let refused = deployment.restore_masked(&target).await.expect_err("refused");
    assert_says(&refused, ErrorKind::Invalid, &["class `letters` has no rule for opened_at"]);
    assert_eq!(server.sql("target", "select count(*) from pg_namespace where nspname = 'backup_restore'"), "0");
    // A part that needs no mask comes all the same, and so does everything in production.
    let scope = serde_json::from_str(r#"{"tables":["public.plain"]}"#).expect("a scope");
    let request = RestoreRequest { scope: Some(scope), masked: true, ..Selection::Newest.into() };
    deployment.restore(0, &target).run(request).await.expect("restores");
    let production = server.create("production");
    deployment.restore_newest(0, &production).await.expect("restores");
    assert_eq!(digest(&server, "production", "person"), digest(&server, "source", "person"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_can_be_restored_alone() {
    let (server, source) = server_with("source");
    server.sql("source", SHOP);
    let deployment = Deployment::new(84)
        .with_policies(r#"{"classes": [{"name": "sales", "match": ["public.customer", "public.purchase"]}]}"#);
    deployment.back_up(&source).await.expect("backs up");
    let target = server.create("target");
    let run = |classes: &str| {
        let scope = serde_json::from_str(&format!(r#"{{"classes":["{classes}"]}}"#)).expect("a scope");
        let restore = deployment.restore(0, &target);
        async move { restore.run(RestoreRequest { scope: Some(scope), ..Selection::Newest.into() }).await }
    };
    assert_says(&run("sale").await.expect_err("refused"), ErrorKind::NotFound, &["`sale`", "sales"]);
    assert_eq!(run("sales").await.expect("restores").tables, 2);
    assert_eq!(digest(&server, "target", "purchase"), digest(&server, "source", "purchase"));
}

/// The JSON schema, which an editor reads, and the parser agree.
#[test]
fn the_schema_takes_what_the_parser_takes_and_refuses_what_it_refuses() {
    let good = [
        RULES,
        "{}",
        r#"{"$schema": "x", "personal": ["*a*"], "classes": [{"name": "a-1", "match": ["a.b", "*"], "every": "15m", "keep": "30d", "mask": "leave_out"}]}"#,
    ];
    let bad = [
        "[]",
        r#"{"classes": [{"name": "a"}]}"#,
        r#"{"classes": [{"name": "a", "match": []}]}"#,
        r#"{"classes": [{"name": "A", "match": ["a.b"]}]}"#,
        r#"{"classes": [{"name": "a", "match": ["b"]}]}"#,
        r#"{"classes": [{"name": "a", "match": ["a.b"], "every": "1w"}]}"#,
        r#"{"classes": [{"name": "a", "match": ["a.b"], "every": "0d"}]}"#,
        r#"{"classes": [{"name": "a", "match": ["a.b"], "mask": {"c": "other"}}]}"#,
        r#"{"classes": [{"name": "a", "match": ["a.b"], "mask": {"c": {"truncate": 0}}}]}"#,
        r#"{"classes": [{"name": "a", "match": ["a.b"], "exclude": true, "every": "1d"}]}"#,
        r#"{"classes": [{"name": "all", "match": ["a.b"]}]}"#,
        r#"{"class": []}"#,
    ];
    let check = |text: &str| {
        let script =
            "import json, sys, jsonschema; jsonschema.validate(json.loads(sys.argv[2]), json.load(open(sys.argv[1])))";
        let mut python = Command::new(tools().join("bin/python"));
        python.args(["-c", script]).arg(checkout("docs/policies.schema.json")).arg(text);
        python.output().expect("run python").status.success()
    };
    for text in good {
        Policies::parse(text).expect(text);
        assert!(check(text), "the schema refuses {text}");
    }
    for text in bad {
        Policies::parse(text).expect_err(text);
        assert!(!check(text), "the schema takes {text}");
    }
    let sample = std::fs::read_to_string(checkout("infra/local/sample/policies.json")).expect("reads");
    Policies::parse(&sample).expect("the sample's policies");
    assert!(check(&sample), "the schema refuses the sample's policies");
}
