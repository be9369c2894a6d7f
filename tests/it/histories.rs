//! Random histories of a real PostgreSQL. After every step: an incremental backup while others write, a restore of that
//! snapshot alone, and the restored rows must be those of the transaction snapshot, by digests that SQL computes.
//!
//! `BACKUP_HISTORIES` says how many, `BACKUP_HISTORY_SEED` the seed of the first; every failure prints its own. One that failed
//! runs again with `BACKUP_HISTORIES=1` and its seed.

mod steps;

use crate::deployment::Deployment;
use crate::postgres::{Postgres, Session};
use engine::error::Result;
use engine::ops::restore::Selection;
use engine::source::{Capture, Source};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use steps::{Chance, KINDS, SETUP, step};

const STEPS: u64 = 20;
/// Without a wish. CI wishes for as many as make every kind of step happen; `make soak` for thousands.
const HISTORIES: u64 = 12;
const HISTORIES_OF_EVERY_KIND: u64 = 100;
/// Few enough that most runs keep their rows, and that the sample cannot read them all.
const SEGMENT_BLOCKS: u32 = 1;

/// Each table of the schema, its rows and two sums of their hashes; and where the sequence stands.
const DIGESTS: &str = "
    select format(
        'select %L, count(*), sum(hashtextextended(t::text, 0)::numeric), sum(hashtextextended(t::text, 1)::numeric) from only %s as t',
        c.relname, c.oid::regclass
    )
    from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by c.relname \\gexec
    select last_value, is_called from seq";

#[allow(clippy::disallowed_methods, reason = "whoever runs the test says how many, or which")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// A source that tells what its transaction snapshot holds, and lets others write as soon as that is fixed.
struct Watched {
    inner: Arc<dyn Source>,
    writer: Mutex<Session>,
    begun: bool,
    writes: String,
}

#[async_trait::async_trait]
impl Source for Watched {
    async fn capture(&self) -> Result<Box<dyn Capture>> {
        let capture = self.inner.capture().await?;
        let end = if self.begun { "commit;" } else { "" };
        self.writer.lock().expect("a writer").send(&format!("{end} {}", self.writes));
        Ok(capture)
    }
}

/// What came of a history.
#[derive(Default)]
struct Told {
    /// Steps that did something, by their kind.
    done: BTreeMap<&'static str, u64>,
    copied: u64,
    reused: u64,
}

async fn history(server: &Postgres, seed: u64) -> Told {
    let name = format!("h{seed}");
    let url = server.create(&name);
    let mut session = server.session(&name);
    server.remember(&name);
    assert!(session.run(SETUP), "seed {seed}: the tables");
    let mut deployment = Deployment::new(seed);
    deployment.settings.segment_blocks = SEGMENT_BLOCKS;
    let (mut chance, mut told) = (Chance::new(seed), Told::default());
    let target = format!("{name}_restored");
    let target_url = server.create(&target);
    let mut restored_session = server.session(&target);
    for number in 0..STEPS {
        let (kind, statements) = step(&mut chance);
        let what = format!("seed {seed}, step {number}, {kind}:\n{statements}\n");
        if session.run(&statements) {
            *told.done.entry(kind).or_default() += 1;
        } else {
            session.run("rollback");
        }
        // Somebody writes meanwhile; sometimes a transaction is under way already.
        let mut writer = server.session(&name);
        let alone = number == STEPS - 1;
        let begun = !alone && chance.below(2) == 0;
        if begun {
            writer.run(&format!("begin; {}", steps::write(&mut chance)));
        }
        let expected = session.ask(DIGESTS);
        let writes = if alone { String::new() } else { steps::write(&mut chance) };
        let mut backup = deployment.backup(&url);
        let watched = Arc::new(Watched { inner: backup.source, writer: Mutex::new(writer), begun, writes });
        backup.source = Arc::clone(&watched) as _;

        let record = deployment.run(backup).await.unwrap_or_else(|e| panic!("{what}backup: {e}"));
        let warning = record.warnings.first();
        assert!(warning.is_none(), "{what}{warning:?}");
        told.copied += record.progress.segments.segments_copied;
        told.reused += record.progress.segments.segments_reused;

        if alone {
            // The last one is compared as a whole, with its schema: into a database as new.
            drop(restored_session);
            server.sql("postgres", &format!("drop database {target} with (force)"));
            server.create(&target);
            restored_session = server.session(&target);
        } else {
            restored_session.ask("drop schema public cascade; create schema public");
        }

        let restored = deployment.restore(0, &target_url).run(Selection::Snapshot(record.id)).await;
        restored.unwrap_or_else(|e| panic!("{what}restore: {e}"));

        let found = restored_session.ask(DIGESTS);
        assert_eq!(found, expected, "{what}");
        watched.writer.lock().expect("a writer").wait();
    }
    server.require_identical(&name, &target);
    drop((session, restored_session));
    for database in [name, target] {
        server.sql("postgres", &format!("drop database {database} with (force)"));
    }
    told
}

impl Told {
    fn plus(&mut self, other: Self) {
        for (kind, n) in other.done {
            *self.done.entry(kind).or_default() += n;
        }
        self.copied += other.copied;
        self.reused += other.reused;
    }
}

/// Histories until there are no seeds left.
fn work(servers: &[Postgres], seeds: &Mutex<Range<u64>>) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut told = Told::default();
    loop {
        let Some(seed) = seeds.lock().unwrap_or_else(PoisonError::into_inner).next() else { return told };
        let server = &servers[(seed % servers.len() as u64) as usize];
        told.plus(runtime.block_on(history(server, seed)));
    }
}

/// A server that loses nothing by being fast.
fn server(version: &str) -> Postgres {
    let server = Postgres::start_version(version);
    for setting in
        ["fsync = off", "full_page_writes = off", "autovacuum_naptime = '1s'", "allow_in_place_tablespaces = on"]
    {
        server.sql("postgres", &format!("alter system set {setting}"));
    }
    server.sql("postgres", "select pg_reload_conf()");
    server.sql("postgres", "create tablespace elsewhere location ''");
    if version != "15" {
        // Most of the time would go into passwords.
        let password = server.url.split(['@', ':']).nth(2).expect("a password");
        server.sql("postgres", &format!("set scram_iterations = 1; alter role postgres password '{password}'"));
    }
    // Makes the role, once for the cluster.
    server.remember("postgres");
    server
}

#[test]
fn whatever_happens_to_a_database_every_incremental_backup_of_it_is_right() {
    let servers = ["18", "17", "15"].map(server);
    let (first, count) = (asked("BACKUP_HISTORY_SEED").unwrap_or(0), asked("BACKUP_HISTORIES").unwrap_or(HISTORIES));
    println!("{count} histories of {STEPS} steps, from seed {first} on");
    let seeds = Mutex::new(first..first + count);
    let told = std::thread::scope(|scope| {
        let workers = [0, 1].map(|_| scope.spawn(|| work(&servers, &seeds)));
        let mut sum = Told::default();
        for worker in workers {
            sum.plus(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        sum
    });
    println!(
        "{count} histories of {STEPS} steps: {} segments copied, {} reused; {:?}",
        told.copied, told.reused, told.done
    );
    assert!(told.reused > told.copied, "most segments are reused, or this proves little");
    if count >= HISTORIES_OF_EVERY_KIND {
        for kind in KINDS {
            assert!(told.done.contains_key(kind), "no step of the kind {kind} ever did anything");
        }
    }
}
