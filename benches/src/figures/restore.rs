//! A restore with its proof beside `pg_restore -j2`, which proves nothing. Both into an empty database of one server.

use super::memory::Sizes;
use super::{Bench, SOURCE, TARGET};
use crate::Result;
use crate::measure::{Contender, by_turns, median_seconds, once};
use crate::product::SESSIONS;
use crate::report::{Bound, Row};
use crate::server::output;

const PEER: &str = "pg_restore -j2 of a pg_dump -Fd";

pub(super) fn rows(bench: &Bench, seen: &mut Sizes) -> Result<Vec<Row>> {
    println!("\nrestore: {} runs each, by turns; medians are compared", bench.rounds);
    // Not timed: what both read from.
    once(&bench.place, &bench.our_backup(SESSIONS))?;
    let dump = bench.place.out.join("dump");
    if dump.exists() {
        std::fs::remove_dir_all(&dump)?;
    }
    let mut dumping = bench.server.program("pg_dump", SOURCE)?;
    output(dumping.args(["--format=directory", "--jobs=2", "--file"]).arg(&dump), "dump for pg_restore")?;
    let command = || {
        let mut restore = bench.server.program("pg_restore", TARGET)?;
        restore.arg("--jobs=2").arg(&dump);
        Ok(restore)
    };
    let peer = Contender {
        name: PEER.to_owned(),
        prepare: Box::new(|| bench.empty_target()),
        command: Box::new(command),
        outcome: None,
    };
    let runs = by_turns(&bench.place, bench.rounds, &[bench.our_restore(), peer])?;
    seen.remember(bench, "restore", bench.mb, &runs[0])?;
    bench.server.drop(TARGET)?;
    let (ours, peer) = (median_seconds(&runs[0]), median_seconds(&runs[1]));
    Ok(vec![Row::beside(format!("restore and proof, s; {PEER}"), ours, Some(peer), Bound::AtMost(1.0))])
}
