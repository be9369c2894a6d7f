//! Restores of a part of a backup.

use crate::deployment::{Deployment, assert_says, server_with};
use engine::error::{ErrorKind, Result};
use engine::ops::restore::{RestoreRequest, Restored, Selection};
use engine::scope::Scope;

impl Deployment {
    async fn restore_only(&self, url: &str, only: &str) -> Result<Restored> {
        let scope: Scope = serde_json::from_str(only).expect("a scope");
        self.restore(0, url).run(RestoreRequest { scope: Some(scope), ..Selection::Newest.into() }).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_backup_comes_back_with_all_that_it_needs_and_nothing_else() {
    let (server, source) = server_with("source");
    server.load_sample("source", 50);
    let deployment = Deployment::new(70);
    deployment.back_up(&source).await.expect("backs up");

    // What would dangle is reported before anything is written.
    let target = server.create("orders");
    let refused = deployment.restore_only(&target, r#"{"tables":["public.order_items"]}"#).await.expect_err("refused");
    assert_says(
        &refused,
        ErrorKind::Invalid,
        &["orders_customer_id_fkey of public.orders to public.customers", "nothing was changed", "leaveOutReferences"],
    );
    let unknown = deployment
        .restore_only(&target, r#"{"schemas":["sales"],"tables":["public.order"]}"#)
        .await
        .expect_err("refused");
    assert_says(&unknown, ErrorKind::Invalid, &["no schema sales", "no table public.order"]);
    assert_eq!(server.sql("orders", "select count(*) from pg_class where relnamespace = 'public'::regnamespace"), "0");

    let only = r#"{"tables":["public.courier_positions"],"leaveOutReferences":true}"#;
    let restored = deployment.restore_only(&target, only).await.expect("restores");
    assert_eq!((restored.tables, restored.warnings.len()), (1, 1), "{restored:?}");
    assert!(restored.warnings[0].message.contains("courier_positions_courier_id_fkey"), "{restored:?}");
    let digest = "select count(*), sum(hashtextextended(t::text, 0)) from public.courier_positions as t";
    assert_eq!(server.sql("orders", digest), server.sql("source", digest));
    let relations = "select string_agg(oid::regclass::text, ' ') from pg_class where oid >= 16384 and relkind in ('r', 'p', 'v', 'm')";
    assert_eq!(server.sql("orders", relations), "courier_positions");
    let indexes =
        "select string_agg(indexdef, E'\\n' order by indexdef) from pg_indexes where tablename = 'courier_positions'";
    assert_eq!(server.sql("orders", indexes), server.sql("source", indexes));

    // A schema with everything in it.
    let target = server.create("gas");
    let restored =
        deployment.restore_only(&target, r#"{"schemas":["Gás Rápido"],"tables":["public.audit_log","public.customer_totals"],"leaveOutReferences":true}"#).await.expect("restores");
    assert_eq!(restored.warnings.len(), 3, "{restored:?}");
    let tables = "select string_agg(relname, ',' order by relname) from pg_class where relnamespace = '\"Gás Rápido\"'::regnamespace";
    assert_eq!(server.sql("gas", tables), server.sql("source", tables));
    // With a partitioned table all its partitions; with a view the tables that it reads.
    for table in ["public.audit_log", "public.customer_totals", "public.customers", "public.orders"] {
        let digest = format!("select count(*), sum(hashtextextended(t::text, 0)) from {table} as t");
        assert_eq!(server.sql("gas", &digest), server.sql("source", &digest), "{table}");
    }
    // Another part does not go on where this one was interrupted.
    let mut interrupted = None;
    for millis in (20..2_000).step_by(40) {
        let name = format!("interrupted_{millis}");
        let target = server.create(&name);
        let first = deployment.restore_only(&target, r#"{"tables":["public.audit_log"]}"#);
        let ended = tokio::time::timeout(std::time::Duration::from_millis(millis), first).await.is_ok();
        assert!(!ended, "it ended within {millis} ms, and was never interrupted");
        if server.sql(&name, "select to_regclass('backup_restore.restore') is not null") == "t" {
            interrupted = Some(target);
            break;
        }
    }
    let target = interrupted.expect("a restore that was interrupted once it had begun");
    let mut other = deployment.restore_only(&target, r#"{"tables":["public.countries"]}"#).await.expect_err("refused");
    while other.kind() == ErrorKind::Unavailable {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        other = deployment.restore_only(&target, r#"{"tables":["public.countries"]}"#).await.expect_err("refused");
    }
    assert_says(&other, ErrorKind::Invalid, &["interrupted restore of other tables"]);
    deployment.restore_only(&target, r#"{"tables":["public.audit_log"]}"#).await.expect("goes on");
}
