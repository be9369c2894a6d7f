//! A Supabase project as a target: it has its services' own schemas, and its owner is no superuser.

use crate::deployment::{Deployment, assert_says};
use crate::postgres::{Postgres, checkout, programs, succeeded};
use engine::error::ErrorKind;
use engine::source::CoverageState;
use std::process::Command;

impl Postgres {
    /// A database as a new project has it. Gives its URL as its owner.
    pub(crate) fn create_project(&self, name: &str) -> String {
        self.create(name);
        for script in
            ["infra/local/sample/01-roles.sql", "infra/local/sample/02-supabase.sql", "tests/fixtures/project.sql"]
        {
            let mut psql = Command::new(programs().join("psql"));
            psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname"]).arg(self.database(name));
            succeeded(&psql.arg("--file").arg(checkout(script)).output().expect("run psql"), script);
        }
        self.url_as("project_owner", "owner", name)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_comes_back_in_a_new_project_with_its_users_and_what_its_owner_put_on_its_services_tables() {
    let server = Postgres::start();
    let source = server.create("source");
    server.load_sample("source", 50);
    // As Supabase's own tool keeps them, in the name of the owner; a new project has no such schema.
    server.sql(
        "source",
        "create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text primary key, statements text[]);
        insert into supabase_migrations.schema_migrations values ('20260101000000', '{select 1}')",
    );
    // What lies elsewhere with the service, which a project's owner may not write into.
    let vectors = "create table storage.buckets_vectors (id text primary key)";
    server.sql("source", &format!("{vectors}; insert into storage.buckets_vectors values ('embeddings')"));
    let deployment = Deployment::new(60);
    let record = deployment.back_up(&source).await.expect("backs up");
    let manifest = deployment.manifest(&record).await;
    let state = |part: &str| manifest.coverage.iter().find(|c| c.part == part).map(|c| c.state);
    assert_eq!(state("storage objects"), Some(CoverageState::NotConfigured));
    assert_eq!(state("auth settings"), Some(CoverageState::NotExportable));
    assert_eq!(state("auth"), Some(CoverageState::BackedUp));

    let target = server.create_project("target");
    server.sql("target", vectors);
    let restored = deployment.restore_newest(0, &target).await.expect("restores into a project");
    assert!(restored.warnings.iter().all(|w| w.code != "reference" && w.code != "sequence"), "{:?}", restored.warnings);
    let kept = restored.warnings.iter().find(|w| w.code == "managed_rows").expect("is told");
    assert!(kept.message.contains("storage.buckets_vectors"), "{}", kept.message);
    for table in [
        "auth.users",
        "auth.identities",
        "storage.buckets",
        "storage.objects",
        "public.orders",
        "public.best_customers",
        "supabase_migrations.schema_migrations",
    ] {
        let digest = format!("select count(*), sum(hashtextextended(t::text, 0)) from {table} as t");
        assert_eq!(server.sql("target", &digest), server.sql("source", &digest), "{table}");
    }
    // The project's notes of its own schema stay its own.
    assert_eq!(server.sql("target", "select string_agg(version, ',') from auth.schema_migrations"), "project");
    let policies =
        "select string_agg(polname, ',' order by polname) from pg_policy where polrelid = 'storage.objects'::regclass";
    assert_eq!(server.sql("target", policies), server.sql("source", policies));
    let triggers = "select string_agg(tgname, ',' order by tgname) from pg_trigger where tgrelid = 'auth.users'::regclass and not tgisinternal";
    assert_eq!(server.sql("target", triggers), server.sql("source", triggers));
    assert_ne!(server.sql("target", triggers), "", "the sample has a trigger on auth.users");
    let published = "select string_agg(tablename, ',' order by tablename) from pg_publication_tables where pubname = 'supabase_realtime'";
    assert_eq!(server.sql("target", published), server.sql("source", published));

    // A project with users of its own is not empty.
    let used = server.create_project("used");
    server.sql("used", "insert into auth.users (id, email) values (gen_random_uuid(), 'somebody@example.com')");
    let refused = deployment.restore_newest(0, &used).await.expect_err("refused");
    assert_says(&refused, ErrorKind::Invalid, &["auth.users", "nothing was changed"]);
    // Nor is one whose services are older than the source's.
    let older = server.create_project("older");
    server.sql("older", "alter table auth.users drop column raw_app_meta_data cascade");
    let refused = deployment.restore_newest(0, &older).await.expect_err("refused");
    assert_says(&refused, ErrorKind::Unsupported, &["auth.users.raw_app_meta_data", "nothing was changed"]);
    assert_eq!(server.sql("older", "select to_regclass('public.orders') is null"), "t");
    // What the owner has must come whole, or not at all.
    let closed = server.create_project("closed");
    server.sql("closed", "revoke insert on auth.identities from project_owner");
    let refused = deployment.restore_newest(0, &closed).await.expect_err("refused");
    assert_says(&refused, ErrorKind::Denied, &["auth.identities", "nothing was changed"]);
    assert_eq!(server.sql("closed", "select to_regclass('public.orders') is null"), "t");
}
