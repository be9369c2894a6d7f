//! What a second copy session is worth, and what it could be worth at most: a second core helps only with work that the first
//! was not doing already.

use super::Bench;
use crate::Result;
use crate::measure::{Run, median, median_seconds, once, worked_s};
use crate::report::{Bound, Row};
use std::time::Duration;

const SESSION_ENDS_IN: Duration = Duration::from_secs(1);

pub(super) fn rows(bench: &Bench, notes: &mut Vec<String>) -> Result<Vec<Row>> {
    println!("\nsessions: {} runs each, by turns; medians are compared", bench.rounds);
    let (mut runs, mut work_s) = ([Vec::<Run>::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 1..=bench.rounds {
        for (at, sessions) in [1, 2].into_iter().enumerate() {
            let contender = bench.our_backup(sessions);
            let before = all_work_s(bench);
            let run = once(&bench.place, &contender)?;
            let worked = all_work_s(bench) - before;
            println!(
                "  {round}/{} {:<46} {:>8.2} s, {worked:>6.2} s of work",
                bench.rounds, contender.name, run.seconds
            );
            work_s[at].push(worked);
            runs[at].push(run);
        }
    }
    let seconds = [median_seconds(&runs[0]), median_seconds(&runs[1])];
    let cores = std::thread::available_parallelism()?.get() as f64;
    let [one, two] = work_s.map(|mut work_s| median(&mut work_s));
    notes.push(format!(
        "sessions: the server, the backup and the S3 server worked {one:.2} s in {:.2} s with one session, {two:.2} s in {:.2} s \
         with two; on {cores} cores the work of one session takes {:.2} s at least, so {:.2} times as fast is the most",
        seconds[0],
        seconds[1],
        one / cores,
        seconds[0] * cores / one
    ));
    Ok(vec![Row::beside("full backup, 1 session, s; 2 sessions", seconds[0], Some(seconds[1]), Bound::AtLeast(1.5))])
}

/// The work so far of everybody who takes part.
fn all_work_s(bench: &Bench) -> f64 {
    // The server counts a session once it has ended, a moment after its client.
    std::thread::sleep(SESSION_ENDS_IN);
    worked_s("self") + bench.server.worked_s() + bench.store.worked_s()
}
