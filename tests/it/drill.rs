//! Drills: a backup restored into a server that exists for nothing else. In memory for what fails, over a real PostgreSQL for what holds.

use crate::deployment::Deployment;
use crate::postgres::{Postgres, checkout, tools};
use crate::scene::{SEED, Scene};
use aws::machine::SystemClock;
use engine::catalog;
use engine::clock::Clock;
use engine::error::ErrorKind;
use engine::layout::ObjectKey;
use engine::limits::DRILL_LEASE_S;
use engine::ops::drill::{Checks, Choice, Drill, DrillOutcome, DrillRecord, DrillRequest, Extent, Streak};
use engine::sandbox::Sandbox;
use pg::{Address, Clients, PgSandbox, PgStandingServer, SandboxSettings};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testkit::{KeyState, MemorySandbox, When, World, conformance};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ROOM: u64 = 1 << 40;

fn drill(world: &World, sandbox: Arc<dyn Sandbox>, checks: &str) -> Drill {
    Drill {
        vaults: world.ports(),
        keyrings: [0, 1, 2].map(|region| world.keyring(region)),
        catalog: Arc::clone(&world.catalog) as _,
        sandbox,
        clock: Arc::clone(&world.clock) as _,
        entropy: Arc::clone(&world.entropy) as _,
        choice: Choice::Latest,
        checks: Arc::new(Checks::parse(checks).expect("checks")),
        sessions: 1,
    }
}

async fn backed_up() -> (Scene, Arc<MemorySandbox>) {
    let scene = Scene::new();
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    let sandbox = Arc::new(MemorySandbox::new(ROOM, scene.world.faults.clone()));
    (scene, sandbox)
}

async fn drills(world: &World) -> Vec<DrillRecord> {
    catalog::list(&*world.catalog, None, 100).await.expect("lists").records
}

const CHECKS: &str = r#"{"checks":[{"name":"one is one","query":"select 1","expected":[["1"]]}]}"#;

#[tokio::test]
async fn each_day_another_region_is_restored_and_the_backup_says_so() {
    let (scene, sandbox) = backed_up().await;
    let mut regions = BTreeSet::new();
    for _ in 0..3 {
        let drill = drill(&scene.world, Arc::clone(&sandbox) as _, CHECKS);
        let done = drill.run(DrillRequest::default()).await.expect("drills");
        assert_eq!((done.outcome, done.extent), (DrillOutcome::Passed, Extent::Everything), "{:?}", done.error);
        assert_eq!((done.tables, done.rows, done.constraints), (3, 98, 2));
        assert!(done.checks.iter().all(|c| c.passed) && done.checks.len() == 1);
        assert!(done.recovery_ms.is_some() && done.completed_at.is_some());
        let mut wanted = scene.source.rows();
        wanted.retain(|_, rows| !rows.is_empty());
        assert_eq!(sandbox.last().expect("a server").rows(), wanted);
        let drilled = scene.records().await[0].drilled.clone().expect("is noted");
        assert_eq!((drilled.passed, drilled.whole, &drilled.region, drilled.rows), (true, true, &done.region, 98));
        assert_eq!(sandbox.running(), 0);
        regions.insert(done.region);
        scene.world.clock.advance(DAY);
    }
    assert_eq!(regions.len(), 3);
    assert_eq!(Streak::of(&drills(&scene.world).await).failure_rate_below, Some(1.0));
}

#[tokio::test]
async fn a_backup_that_is_broken_fails_and_a_drill_that_is_broken_says_nothing_of_it() {
    let (scene, sandbox) = backed_up().await;
    let run = async |checks: &str, region: &str| {
        // Drills are in the order of their ids, and two are never begun in one millisecond.
        scene.world.clock.advance(Duration::from_millis(1));
        let request = DrillRequest { region: Some(region.to_owned()), ..DrillRequest::default() };
        drill(&scene.world, Arc::clone(&sandbox) as _, checks).run(request).await.expect("is recorded")
    };
    assert_eq!(run(CHECKS, "us-east-1").await.outcome, DrillOutcome::Passed);

    let pack = scene.world.vaults[1].objects().into_keys().find(|k| k.contains("/packs/")).expect("a pack");
    scene.world.vaults[1].rot(&pack, |bytes| bytes[700] ^= 1);
    let failed = run(CHECKS, "us-east-1").await;
    assert_eq!(failed.outcome, DrillOutcome::Failed);
    assert!(failed.error.expect("says why").contains(&pack));
    assert!(!scene.records().await[0].drilled.clone().expect("is noted").passed);
    scene.world.vaults[1].rot(&pack, |bytes| bytes[700] ^= 1);

    // A region that is down, a key that may not be used, a server that does not come up: the backup may be as good as ever.
    scene.world.faults.break_service("sandbox", ErrorKind::Unavailable);
    assert_eq!(run(CHECKS, "us-east-1").await.outcome, DrillOutcome::Broken);
    scene.world.faults.heal();
    scene.world.keys[1].set_state(KeyState::Disabled);
    assert_eq!(run(CHECKS, "us-east-1").await.outcome, DrillOutcome::Broken);
    scene.world.keys[1].set_state(KeyState::Enabled);
    assert!(!scene.records().await[0].drilled.clone().expect("is noted").passed, "what broke leaves what was known");

    // What the owner knows better.
    for (check, why) in [
        (
            r#"{"checks":[{"name":"two","query":"select 1","expected":[["2"]]}]}"#,
            "1 of 1 checks did not pass; the first: two",
        ),
        (r#"{"checks":[{"name":"odd","query":"select odd","expected":[]}]}"#, "the first: odd"),
    ] {
        let failed = run(check, "us-east-1").await;
        assert_eq!((failed.outcome, failed.rows), (DrillOutcome::Failed, 98));
        assert!(failed.error.expect("says why").contains(why));
    }
    assert_eq!(run(CHECKS, "eu-west-1").await.outcome, DrillOutcome::Passed);
    assert_eq!(Streak::of(&drills(&scene.world).await).passed_in_a_row, 1);
    assert_eq!(sandbox.running(), 0);
}

#[tokio::test]
async fn without_a_backup_it_fails_and_what_does_not_fit_is_a_sample() {
    let scene = Scene::new();
    let sandbox = Arc::new(MemorySandbox::new(ROOM, scene.world.faults.clone()));
    let none = drill(&scene.world, Arc::clone(&sandbox) as _, CHECKS).run(DrillRequest::default()).await;
    let none = none.expect("is recorded");
    assert_eq!(none.outcome, DrillOutcome::Failed);
    assert!(none.error.expect("says why").contains("there is no backup"));

    let (scene, _) = backed_up().await;
    let small = Arc::new(MemorySandbox::new(100, scene.world.faults.clone()));
    let done = drill(&scene.world, Arc::clone(&small) as _, CHECKS).run(DrillRequest::default()).await.expect("drills");
    assert_eq!(done.extent, Extent::Sample);
    assert!(done.checks.is_empty(), "checks are of all rows");
    assert!(!scene.records().await[0].drilled.clone().is_some_and(|d| d.whole));
}

#[tokio::test]
async fn a_drill_survives_the_failure_of_every_call_and_leaves_no_server_behind() {
    let (clean, sandbox) = backed_up().await;
    let before = clean.world.faults.steps();
    let done =
        drill(&clean.world, Arc::clone(&sandbox) as _, CHECKS).run(DrillRequest::default()).await.expect("drills");
    assert_eq!(done.outcome, DrillOutcome::Passed);
    let steps = clean.world.faults.steps() - before;
    assert!(steps > 20, "the loop covers something: {steps} calls");
    for step in 1..=steps {
        for when in When::ALL {
            let what = format!("seed {SEED}, call {step} of {steps}, {when:?}");
            let (scene, sandbox) = backed_up().await;
            scene.world.faults.arm(before + step, when, ErrorKind::Unavailable);
            let first = drill(&scene.world, Arc::clone(&sandbox) as _, CHECKS).run(DrillRequest::default()).await;
            scene.world.faults.heal();
            if let Ok(first) = first {
                assert!(matches!(first.outcome, DrillOutcome::Passed | DrillOutcome::Broken), "{what}: {first:?}");
            }
            assert_eq!(sandbox.running(), 0, "{what}");
            scene.world.clock.advance(Duration::from_secs(DRILL_LEASE_S as u64 + 1));
            let again = drill(&scene.world, Arc::clone(&sandbox) as _, CHECKS).run(DrillRequest::default()).await;
            let again = again.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(again.outcome, DrillOutcome::Passed, "{what}: {:?}", again.error);
        }
    }
}

#[tokio::test]
async fn a_drill_that_is_killed_at_any_call_says_nothing_and_the_next_passes() {
    let (clean, sandbox) = backed_up().await;
    let before = clean.world.faults.steps();
    drill(&clean.world, sandbox as _, CHECKS).run(DrillRequest::default()).await.expect("drills");
    let steps = clean.world.faults.steps() - before;
    for step in 1..=steps {
        let what = format!("seed {SEED}, killed at call {step} of {steps}");
        let (scene, sandbox) = backed_up().await;
        let killed = drill(&scene.world, Arc::clone(&sandbox) as _, CHECKS);
        let done = scene.killed_at(before + step, Box::pin(killed.run(DrillRequest::default())).as_mut()).await;
        let noted = scene.records().await[0].drilled.clone();
        assert!(noted.is_none_or(|d| d.passed), "{what}");
        let ended = done.is_none_or(|done| done.is_ok_and(|d| d.outcome == DrillOutcome::Passed));
        assert!(ended, "{what}");
        scene.world.clock.advance(Duration::from_secs(DRILL_LEASE_S as u64 + 1));
        let again = drill(&scene.world, sandbox as _, CHECKS).run(DrillRequest::default()).await;
        let again = again.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(again.outcome, DrillOutcome::Passed, "{what}: {:?}", again.error);
        let drilled = scene.records().await[0].drilled.clone();
        assert!(drilled.is_some_and(|d| d.passed && d.whole), "{what}");
    }
}

#[tokio::test]
async fn out_of_time_it_says_so_and_random_choice_stays_in_its_window() {
    let (scene, sandbox) = backed_up().await;
    let deadline = Some(scene.world.clock.now().plus_s(1));
    let request = DrillRequest { deadline, ..DrillRequest::default() };
    let late = drill(&scene.world, Arc::clone(&sandbox) as _, CHECKS).run(request).await.expect("is recorded");
    assert!(matches!(late.outcome, DrillOutcome::Broken | DrillOutcome::Passed), "{late:?}");

    let old = scene.records().await[0].id;
    scene.world.clock.advance(10 * DAY);
    let mut chosen = BTreeSet::new();
    for n in 0..3 {
        scene.source.write("small", n, "changed");
        scene.back_up().await.expect("backs up");
        scene.deliver_events().await;
    }
    for _ in 0..30 {
        let drill = Drill { choice: Choice::Random(5), ..drill(&scene.world, Arc::clone(&sandbox) as _, CHECKS) };
        let done = drill.run(DrillRequest::default()).await.expect("drills");
        assert_eq!(done.outcome, DrillOutcome::Passed, "{:?}", done.error);
        chosen.insert(done.backup.expect("a backup"));
        scene.world.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(chosen.len(), 3, "each is chosen now and then");
    assert!(!chosen.contains(&old));
}

fn own_server(folder: &Path) -> PgSandbox {
    PgSandbox::new(own_settings(folder))
}

fn own_settings(folder: &Path) -> SandboxSettings {
    SandboxSettings {
        // The layer, as `make build` leaves it: the very files that Lambda gets.
        server: checkout("target/lambda/pg-server/pgsql").canonicalize().expect("`make build` makes it"),
        folder: folder.to_owned(),
        room_bytes: ROOM,
        clients: Clients::new(tools().join("clients")),
        sessions: 2,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_its_own_and_databases_in_a_standing_one_conform_and_leave_nothing() {
    let folder = tempfile::Builder::new().prefix("drill-tests-").tempdir().expect("a folder");
    conformance::sandbox(&own_server(folder.path())).await;
    assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 0, "nothing is left");

    let server = Postgres::start();
    let address = Address::parse(&server.url, None).expect("a URL");
    let standing = PgStandingServer::new(address, Clients::new(tools().join("clients")), 2);
    server.sql("postgres", "create database backup_drill_1");
    conformance::sandbox(&standing).await;
    assert_eq!(server.sql("postgres", r"select count(*) from pg_database where datname like 'backup\_drill\_%'"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_named_and_one_that_is_dropped_is_gone() {
    let folder = tempfile::Builder::new().prefix("drill-tests-").tempdir().expect("a folder");
    let none = PgSandbox::new(SandboxSettings {
        server: folder.path().join("nothing"),
        folder: folder.path().join("files"),
        room_bytes: ROOM,
        clients: Clients::new(tools().join("clients")),
        sessions: 2,
    });
    let e = none.start().await.err().expect("refused");
    assert_eq!(e.kind(), ErrorKind::Invalid);
    assert!(e.to_string().contains("BACKUP_PG_SERVER"), "{e}");

    let files = folder.path().join("files");
    let sandbox = own_server(&files);
    let server = sandbox.start().await.expect("starts");
    server.ask("select 1", 10).await.expect("answers");
    assert_eq!(std::fs::read_dir(&files).expect("reads").count(), 1);
    drop(server);
    assert_eq!(std::fs::read_dir(&files).expect("reads").count(), 0, "its files are gone");

    // One whose process was stopped without a word is ended and removed by the next.
    let lost = sandbox.start().await.expect("starts");
    lost.ask("select 1", 10).await.expect("answers");
    std::mem::forget(lost);
    let left = std::fs::read_dir(&files).expect("reads").next().expect("a folder").expect("an entry").path();
    let pid = std::fs::read_to_string(left.join("cluster/postmaster.pid")).expect("a server");
    let process = Path::new("/proc").join(pid.lines().next().expect("a number"));
    assert!(process.exists());
    let server = sandbox.start().await.expect("starts");
    assert!(!left.exists(), "its files are gone");
    // It is this process's child, and nobody asks for its end any more.
    let state = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "it has ended: {state}");
    server.end().await.expect("ends");
    // What is another's stays.
    let others = files.join("backup-drill-others");
    std::fs::create_dir(&others).expect("makes");
    std::fs::write(others.join("owner"), "1").expect("writes");
    sandbox.start().await.expect("starts").end().await.expect("ends");
    assert!(others.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_restored_into_a_server_of_its_own_and_examined() {
    let source = Postgres::start();
    source.create("gasrapido");
    source.load_sample("gasrapido", 50);
    let deployment = Deployment::new(90);
    let record = deployment.back_up(&source.database("gasrapido")).await.expect("backs up");
    deployment.replicate().landed(ObjectKey::Inventory(record.id)).await.expect("replicates");
    // Nothing of where it came from is needed any more.
    source.stop();
    let folder = tempfile::Builder::new().prefix("drill-tests-").tempdir().expect("a folder");
    let checks = r#"{"checks":[
        {"name":"every order has its customer","query":"select count(*) from public.orders o left join public.customers c on c.id = o.customer_id where c.id is null","expected":[["0"]]},
        {"name":"there are orders","query":"select count(*) > 1000 from public.orders","expected":[["t"]]}
    ]}"#;
    for region in ["us-east-1", "ap-southeast-1"] {
        let own = drill(&deployment.world, Arc::new(own_server(folder.path())), checks);
        let drill = Drill { sessions: 2, clock: Arc::new(SystemClock), ..own };
        let request = DrillRequest { region: Some(region.to_owned()), ..DrillRequest::default() };
        let done = drill.run(request).await.expect("drills");
        assert_eq!(done.outcome, DrillOutcome::Passed, "{:?}", done.error);
        assert_eq!(
            (done.rows, done.tables),
            (record.summary.as_ref().map_or(0, |s| s.rows), record.summary.as_ref().map_or(0, |s| s.tables))
        );
        assert!(done.constraints > 50 && done.recovery_ms.is_some_and(|ms| ms > 0), "{done:?}");
        // The sample has constraints that hold for new rows only.
        let told = done.warnings.iter().map(|w| w.code.as_str()).collect::<BTreeSet<_>>();
        assert_eq!(told, BTreeSet::from(["not_validated", "owner"]), "nothing is left out: {:?}", done.warnings);
        assert_eq!(done.checks.iter().filter(|c| c.passed).count(), 2, "{:?}", done.checks);
    }
    // Where there is no room for all of it, some tables are restored, and the record says so.
    let small = SandboxSettings { room_bytes: 30_000_000, ..own_settings(folder.path()) };
    let own = drill(&deployment.world, Arc::new(PgSandbox::new(small)), checks);
    let sample = Drill { sessions: 2, clock: Arc::new(SystemClock), ..own };
    let done = sample.run(DrillRequest::default()).await.expect("drills");
    assert_eq!((done.outcome, done.extent), (DrillOutcome::Passed, Extent::Sample), "{:?}", done.error);
    assert!(done.rows > 0 && done.bytes <= 10_000_000 && done.checks.is_empty(), "{done:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 0, "nothing is left");
}
