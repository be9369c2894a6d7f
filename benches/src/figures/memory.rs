//! The most memory that a backup and a restore hold: the process itself, and with it the `pg_dump` or `pg_restore` that it
//! starts, because Lambda counts both. Each at its own peak, so the sum is an upper bound.

use super::{Bench, SOURCE, TARGET};
use crate::Result;
use crate::measure::{Run, once};
use crate::report::{Bound, Row};

const BYTES_PER_MB: f64 = 1e6;
const MB_MAX: f64 = 200.0;

/// A peak, and of what.
pub(super) struct Peak {
    verb: &'static str,
    /// The size of the database; 0 for the one that everything is measured on.
    pub(super) mb: u32,
    own_bytes: u64,
    children_bytes: u64,
}

/// Keeps the highest of some runs.
pub(super) fn remember(verb: &'static str, mb: u32, runs: &[Run], peaks: &mut Vec<Peak>) {
    let own = runs.iter().filter_map(|run| run.outcome.as_ref()).map(|outcome| outcome.peak_bytes).max();
    let children = runs.iter().map(|run| run.children_peak_bytes).max();
    peaks.push(Peak { verb, mb, own_bytes: own.unwrap_or(0), children_bytes: children.unwrap_or(0) });
}

/// One backup and one restore of a database of another size.
pub(super) fn measure(bench: &Bench, mb: u32, peaks: &mut Vec<Peak>) -> Result<()> {
    println!("\nmemory: loading {mb} MB");
    bench.server.load(SOURCE, mb)?;
    for (verb, contender) in [("backup", bench.our_backup()), ("restore", bench.our_restore())] {
        let run = once(&bench.place, &contender)?;
        println!("  {:<46} {:>8.2} s", contender.name, run.seconds);
        remember(verb, mb, &[run], peaks);
    }
    bench.server.drop(TARGET)
}

pub(super) fn rows(peaks: &[Peak]) -> Vec<Row> {
    let mut sorted: Vec<&Peak> = peaks.iter().collect();
    sorted.sort_by_key(|peak| (peak.verb, peak.mb));
    let own = |peak: &&Peak| {
        let name = format!("peak memory of {}, {} MB database, MB", peak.verb, peak.mb);
        Row::alone(name, Some(peak.own_bytes as f64 / BYTES_PER_MB), Bound::AtMost(MB_MAX))
    };
    let both = |peak: &&Peak| {
        let name = format!("  the same with its child processes, {} MB database, MB", peak.mb);
        // Each starts at least one; none seen is not none there.
        let bytes = (peak.children_bytes > 0).then_some(peak.own_bytes + peak.children_bytes);
        Row::alone(name, bytes.map(|bytes| bytes as f64 / BYTES_PER_MB), Bound::AtMost(MB_MAX))
    };
    sorted.iter().flat_map(|peak| [own(peak), both(peak)]).collect()
}
