//! A full backup beside the three things that people do instead.

use super::memory::Sizes;
use super::{Bench, age, copy, restic};
use crate::Result;
use crate::measure::{by_turns, median_seconds};
use crate::product::SESSIONS;
use crate::report::{Bound, Row};

const COPY: &str = "psql copy to nowhere, 1 session";
const AGE: &str = "pg_dump -Fc | zstd | age";
const AGE_ONCE: &str = "pg_dump -Fc -Z0 | zstd | age";
const RESTIC: &str = "pg_dump | restic backup --stdin";

pub(super) fn rows(bench: &Bench, seen: &mut Sizes) -> Result<Vec<Row>> {
    println!("\nbackup: {} runs each, by turns; medians are compared", bench.rounds);
    let peers = [
        Some(copy::contender(bench)?),
        age::contender(bench, AGE, "")?,
        age::contender(bench, AGE_ONCE, "-Z0")?,
        restic::contender(bench),
    ];
    let mut contenders = vec![bench.our_backup(SESSIONS)];
    contenders.extend(peers.into_iter().flatten());
    let runs = by_turns(&bench.place, bench.rounds, &contenders)?;
    seen.remember(bench, "backup", bench.mb, &runs[0])?;
    if let Some(outcome) = runs[0].last().and_then(|run| run.outcome.as_ref()) {
        let (bytes, stored) = (outcome.bytes as f64 / 1e6, outcome.stored as f64 / 1e6);
        println!("  {} rows, {bytes:.0} MB as text, {stored:.0} MB stored", outcome.rows);
    }
    let ours = median_seconds(&runs[0]);
    let row = |name: &str, bound: Bound| {
        let at = contenders.iter().position(|contender| contender.name == name);
        let peer = at.map(|at| median_seconds(&runs[at]));
        Row::beside(format!("full backup, s; {name}"), ours, peer, bound)
    };
    Ok(vec![
        row(COPY, Bound::AtMost(1.0)),
        row(AGE, Bound::AtMost(0.6)),
        row(AGE_ONCE, Bound::None),
        row(RESTIC, Bound::AtMost(0.4)),
    ])
}
