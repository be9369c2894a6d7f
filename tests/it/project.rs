//! A Supabase project as a target: it has its services' own schemas, and its owner is no superuser.

use crate::deployment::{Deployment, assert_says};
use crate::postgres::{Postgres, checkout, programs, succeeded};
use engine::error::ErrorKind;
use engine::ops::restore::Restored;
use engine::source::CoverageState;
use std::process::Command;

/// Tables of a project's services that its owner may not write into; the last one is not used yet.
const CLOSED: &str = "create schema if not exists cron; create table cron.job (jobid bigint primary key, command text);
    create table storage.buckets_vectors (id text primary key); create table auth.soon (id int)";

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
    // What a project's owner may not write into; and a queue, which the new project does not have.
    server.sql("source", CLOSED);
    server.sql(
        "source",
        "insert into storage.buckets_vectors values ('embeddings'); insert into cron.job values (1, 'select 1');
        create schema pgmq; create table pgmq.q_orders (id int); insert into pgmq.q_orders values (1)",
    );
    let deployment = Deployment::new(60);
    let record = deployment.back_up(&source).await.expect("backs up");
    let manifest = deployment.manifest(&record).await;
    let state = |part: &str| manifest.coverage.iter().find(|c| c.part == part).map(|c| c.state);
    assert_eq!(state("storage objects"), Some(CoverageState::NotConfigured));
    assert_eq!(state("auth settings"), Some(CoverageState::NotExportable));
    assert_eq!(state("auth"), Some(CoverageState::BackedUp));

    let target = server.create_project("target");
    server.sql("target", CLOSED);
    let restored = deployment.restore_newest(0, &target).await.expect("restores into a project");
    assert!(restored.warnings.iter().all(|w| w.code != "reference" && w.code != "sequence"), "{:?}", restored.warnings);
    let said = |code: &str| {
        restored.warnings.iter().filter(|w| w.code == code).map(|w| w.message.as_str()).collect::<String>()
    };
    let kept = said("managed_rows");
    assert!(
        kept.contains("storage.buckets_vectors") && kept.contains("cron.job") && !kept.contains("auth.soon"),
        "{kept}"
    );
    assert!(said("managed_absent").contains("pgmq.q_orders"), "{:?}", restored.warnings);
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

    // The same where it is asked to replace what is there, and nothing is.
    let fresh = server.create_project("fresh");
    server.sql("fresh", CLOSED);
    deployment.replace(&fresh, record.id, None).await.expect("restores into a project that is new");

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
    // A superuser's rows would be made by a role without rights there.
    server.create_project("by_superuser");
    let refused = deployment.restore_newest(0, &server.database("by_superuser")).await.expect_err("refused");
    assert_says(&refused, ErrorKind::Invalid, &["superuser", "nothing was changed"]);
    // What the owner has must come whole, or not at all.
    let closed = server.create_project("closed");
    server.sql("closed", "revoke insert on auth.identities from project_owner");
    let refused = deployment.restore_newest(0, &closed).await.expect_err("refused");
    assert_says(&refused, ErrorKind::Denied, &["auth.identities", "nothing was changed"]);
    assert_eq!(server.sql("closed", "select to_regclass('public.orders') is null"), "t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_into_a_project_that_was_interrupted_ends_as_if_it_was_not() {
    let server = Postgres::start();
    let source = server.create("source");
    server.load_sample("source", 50);
    let deployment = Deployment::new(61);
    deployment.back_up(&source).await.expect("backs up");
    let whole = server.create_project("whole");
    let restored = deployment.restore_newest(0, &whole).await.expect("restores");

    let target = server.create_project("target");
    server.sql(
        "target",
        "create function public.stop() returns trigger language plpgsql as $$ begin raise 'not yet'; end $$;
        create trigger stop before insert on storage.buckets execute function public.stop();
        alter table storage.buckets enable always trigger stop; alter function public.stop() set schema extensions",
    );
    let stopped = deployment.restore_newest(0, &target).await.expect_err("is stopped");
    assert!(stopped.to_string().contains("not yet"), "{stopped}");
    assert_eq!(server.sql("target", "select to_regclass('public.orders') is not null"), "t", "it had begun");
    server.sql("target", "drop function extensions.stop() cascade");
    let again = deployment.restore_newest(0, &target).await.expect("goes on");
    assert_eq!((again.rows, again.tables), (restored.rows, restored.tables));
    // Why something was left out is known to whoever tried to make it.
    let said = |restored: &Restored| {
        let mut said: Vec<String> = restored.warnings.iter().map(|w| w.code.clone()).collect();
        said.extend(restored.warnings.iter().filter(|w| w.code == "owner").map(|w| w.message.clone()));
        said.sort();
        said
    };
    assert_eq!(said(&again), said(&restored));
}
