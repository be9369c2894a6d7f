//! What grows with the database, and what must not. The most memory that a backup and a restore hold: the process itself,
//! and with it the `pg_dump` that it starts, because Lambda counts both; each at its own peak, so the sum is an upper bound.
//! And the time of a full backup for each GB.

use super::{Bench, SOURCE, TARGET};
use crate::Result;
use crate::measure::{Run, median_seconds, once};
use crate::product::SESSIONS;
use crate::report::{Bound, Row};
use crate::server::output;
use std::path::Path;
use std::process::Command;

const BYTES_PER_MB: f64 = 1e6;
const BYTES_PER_GB: f64 = 1e9;
const MB_MAX: f64 = 200.0;
/// The database, what is restored from it, its backup, and the server's log: so many times its size.
const ROOM: u64 = 4;

/// What was seen at the sizes that were measured.
#[derive(Default)]
pub(super) struct Sizes(Vec<Seen>);

/// Some runs at one size.
struct Seen {
    verb: &'static str,
    mb: u32,
    own_bytes: u64,
    children_bytes: u64,
    seconds_a_gb: f64,
}

impl Sizes {
    /// Keeps the highest peaks of some runs, and their median time.
    pub(super) fn remember(&mut self, bench: &Bench, verb: &'static str, mb: u32, runs: &[Run]) -> Result<()> {
        let own = runs.iter().filter_map(|run| run.outcome.as_ref()).map(|outcome| outcome.peak_bytes).max();
        let children = runs.iter().map(|run| run.children_peak_bytes).max();
        self.0.push(Seen {
            verb,
            mb,
            own_bytes: own.unwrap_or(0),
            children_bytes: children.unwrap_or(0),
            seconds_a_gb: median_seconds(runs) / (bench.server.bytes(SOURCE)? as f64 / BYTES_PER_GB),
        });
        Ok(())
    }

    pub(super) fn rows(mut self) -> Vec<Row> {
        self.0.sort_by_key(|seen| (seen.verb, seen.mb));
        let own = |seen: &Seen| {
            let name = format!("peak memory of {}, {} MB database, MB", seen.verb, seen.mb);
            Row::alone(name, Some(seen.own_bytes as f64 / BYTES_PER_MB), Bound::AtMost(MB_MAX))
        };
        let both = |seen: &Seen| {
            let name = format!("  the same with its child processes, {} MB database, MB", seen.mb);
            // Each starts at least one; none seen is not none there.
            let bytes = (seen.children_bytes > 0).then_some(seen.own_bytes + seen.children_bytes);
            Row::alone(name, bytes.map(|bytes| bytes as f64 / BYTES_PER_MB), Bound::AtMost(MB_MAX))
        };
        let mut rows: Vec<Row> = self.0.iter().flat_map(|seen| [own(seen), both(seen)]).collect();
        rows.extend(self.growth());
        rows
    }

    /// A backup whose time grows as its database does takes as long for each GB of a large one as of a small one.
    fn growth(&self) -> Vec<Row> {
        let backups: Vec<&Seen> = self.0.iter().filter(|seen| seen.verb == "backup").collect();
        let [smallest, .., largest] = backups.as_slice() else { return Vec::new() };
        let at = |seen: &&Seen| {
            Row::alone(format!("full backup, {} MB database, s a GB", seen.mb), Some(seen.seconds_a_gb), Bound::None)
        };
        let mut rows: Vec<Row> = backups.iter().map(at).collect();
        let name = format!("  the same, {} MB; {} MB", largest.mb, smallest.mb);
        rows.push(Row::beside(name, largest.seconds_a_gb, Some(smallest.seconds_a_gb), Bound::None));
        rows
    }
}

/// One backup and one restore of a database of another size.
pub(super) fn measure(bench: &Bench, mb: u32, seen: &mut Sizes, notes: &mut Vec<String>) -> Result<()> {
    // Two large ones need not lie beside each other.
    bench.server.drop(SOURCE)?;
    bench.store.empty()?;
    let (free, needed) = (free_bytes(&bench.place.out)?, u64::from(mb) * 1024 * 1024 * ROOM);
    if free < needed {
        let gb = |bytes: u64| bytes as f64 / BYTES_PER_GB;
        notes.push(format!("not measured at {mb} MB: {:.0} GB are free and {:.0} needed", gb(free), gb(needed)));
        return Ok(());
    }
    println!("\nmemory: loading {mb} MB");
    bench.server.load(SOURCE, mb)?;
    for (verb, contender) in [("backup", bench.our_backup(SESSIONS)), ("restore", bench.our_restore())] {
        let run = once(&bench.place, &contender)?;
        println!("  {:<46} {:>8.2} s", contender.name, run.seconds);
        seen.remember(bench, verb, mb, &[run])?;
    }
    bench.server.drop(TARGET)
}

/// What the disk of a folder has room for.
fn free_bytes(folder: &Path) -> Result<u64> {
    let said = output(Command::new("df").args(["--output=avail", "--block-size=1"]).arg(folder), "look at the disk")?;
    Ok(said.lines().last().unwrap_or_default().trim().parse()?)
}
