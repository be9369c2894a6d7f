//! The figures, in the order of the table.

mod age;
mod backup;
mod copy;
mod envelope;
mod fingerprint;
mod incremental;
mod memory;
mod restic;
mod restore;
mod sessions;
mod start;
mod zips;

use crate::Result;
use crate::measure::Contender;
use crate::options::{Options, Place};
use crate::peers::{self, Peers};
use crate::product::SESSIONS;
use crate::report::{self, Row};
use crate::server::Server;
use crate::store::Store;
use memory::Sizes;
use std::path::PathBuf;

/// The database that is backed up, and the one that is restored into.
const SOURCE: &str = "bench_source";
const TARGET: &str = "bench_target";

/// What the figures of the database share.
struct Bench {
    place: Place,
    /// The size of the database that everything is measured on.
    mb: u32,
    rounds: usize,
    peers: Peers,
    // The order in which they end.
    store: Store,
    server: Server,
}

impl Bench {
    /// A process of ours on a database.
    fn ours<'a>(
        &'a self,
        name: String,
        verb: &'static str,
        sessions: usize,
        prepare: Box<dyn Fn() -> Result<()> + 'a>,
    ) -> Contender<'a> {
        let outcome: PathBuf = self.place.out.join(format!("{verb}.json"));
        let database = self.server.url(if verb == "backup" { SOURCE } else { TARGET });
        let result = outcome.clone();
        let command = move || {
            crate::product::command(verb, &database, &self.store.endpoint, &self.place.clients, &result, sessions)
        };
        Contender { name, prepare, command: Box::new(command), outcome: Some(outcome) }
    }

    /// A full backup: the store is empty.
    fn our_backup(&self, sessions: usize) -> Contender<'_> {
        let prepare = || self.store.empty().and_then(|()| self.server.settle());
        let plural = if sessions == 1 { "" } else { "s" };
        self.ours(format!("ours: backup, {sessions} session{plural}"), "backup", sessions, Box::new(prepare))
    }

    /// A backup over those that the store holds.
    fn our_incremental(&self) -> Contender<'_> {
        self.ours("ours: backup, once more".to_owned(), "backup", SESSIONS, Box::new(|| self.server.settle()))
    }

    fn our_restore(&self) -> Contender<'_> {
        self.ours("ours: restore".to_owned(), "restore", SESSIONS, Box::new(|| self.empty_target()))
    }

    fn empty_target(&self) -> Result<()> {
        self.server.empty(TARGET)?;
        self.server.settle()
    }
}

/// Measures what was asked for.
pub(crate) fn all(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.place.out)?;
    let peers = Peers::find(&options.place);
    let mut notes = peers.missing();
    peers::machine(&options.place, &peers).iter().for_each(|line| println!("{line}"));

    // First what needs a quiet machine and no server.
    let envelope = if options.wants("envelope") { envelope::rows()? } else { Vec::new() };
    let start = if options.wants("start") { start::rows(&options.place, &mut notes)? } else { Vec::new() };
    let zips = if options.wants("start") { zips::rows(&options.place)? } else { Vec::new() };
    let mut rows = Vec::new();
    let on_a_database = ["backup", "sessions", "fingerprint", "restore", "incremental", "memory"];
    if on_a_database.iter().any(|figure| options.wants(figure)) {
        rows.extend(database(options, peers, &mut notes)?);
    }
    rows.extend(envelope.into_iter().chain(start).chain(zips));
    if options.mb < crate::options::MB {
        notes.push(format!("the bounds are for 1 GB and more; this database has {} MB", options.mb));
    }
    report::write(&options.place, &rows, &notes)
}

fn database(options: &Options, peers: Peers, notes: &mut Vec<String>) -> Result<Vec<Row>> {
    println!("\ndatabase: starting PostgreSQL and loading {} MB", options.mb);
    let place = options.place.clone();
    let (server, store) = (Server::start(&place)?, Store::start(&place)?);
    let bench = Bench { place, mb: options.mb, rounds: options.rounds, peers, store, server };
    bench.server.load(SOURCE, options.mb)?;
    let sizes = "select format('%s with its indexes, %s without', pg_size_pretty(pg_database_size(current_database())),
        pg_size_pretty(sum(pg_table_size(oid))))
        from pg_class where relkind in ('r', 'm') and relnamespace <> 'pg_catalog'::regnamespace";
    println!("database: {}", bench.server.sql(SOURCE, sizes)?);

    let (mut rows, mut seen) = (Vec::new(), Sizes::default());
    if options.wants("backup") {
        rows.extend(backup::rows(&bench, &mut seen)?);
    }
    if options.wants("sessions") {
        rows.extend(sessions::rows(&bench, notes)?);
    }
    if options.wants("fingerprint") {
        rows.extend(fingerprint::rows(&bench)?);
    }
    if options.wants("restore") {
        rows.extend(restore::rows(&bench, &mut seen)?);
    }
    // Last of what is measured on this database: it changes it.
    if options.wants("incremental") {
        rows.extend(incremental::rows(&bench)?);
    }
    if options.wants("memory") {
        let mut sizes = options.other_mb.clone();
        if !(options.wants("backup") && options.wants("restore")) {
            sizes.insert(0, options.mb);
        }
        for mb in sizes {
            memory::measure(&bench, mb, &mut seen, notes)?;
        }
    }
    rows.extend(seen.rows());
    Ok(rows)
}
