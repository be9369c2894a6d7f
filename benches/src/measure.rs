//! Runs commands by turns, and measures their time, their work and their memory.

use crate::Result;
use crate::options::Place;
use crate::product::Outcome;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Often enough for a `pg_dump` of a schema. A look costs a fraction of a millisecond, for ours as for the peers.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Who runs, and how.
pub(crate) struct Contender<'a> {
    pub(crate) name: String,
    /// What has to be so before a run. Not timed.
    pub(crate) prepare: Box<dyn Fn() -> Result<()> + 'a>,
    /// The run.
    pub(crate) command: Box<dyn Fn() -> Result<Command> + 'a>,
    /// Where a process of ours writes what it says of itself.
    pub(crate) outcome: Option<PathBuf>,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// From the start of the process to its end.
    pub(crate) seconds: f64,
    /// The most memory of all its child processes together: their own peaks, added up where they ran at the same time.
    pub(crate) children_peak_bytes: u64,
    /// What a process of ours said of itself.
    pub(crate) outcome: Option<Outcome>,
}

/// Lets each contender run so many times, by turns. Gives each one's runs.
pub(crate) fn by_turns(place: &Place, rounds: usize, contenders: &[Contender<'_>]) -> Result<Vec<Vec<Run>>> {
    let mut runs = vec![Vec::new(); contenders.len()];
    for round in 1..=rounds {
        for (contender, runs) in contenders.iter().zip(&mut runs) {
            let run = once(place, contender)?;
            println!("  {round}/{rounds} {:<46} {:>8.2} s", contender.name, run.seconds);
            runs.push(run);
        }
    }
    Ok(runs)
}

/// One run of a contender.
pub(crate) fn once(place: &Place, contender: &Contender<'_>) -> Result<Run> {
    (contender.prepare)()?;
    let mut command = (contender.command)()?;
    let log = place.out.join("complaints.log");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
    if let Some(outcome) = &contender.outcome {
        command.stdout(File::create(outcome.with_extension("log"))?);
    }
    let begun = Instant::now();
    let mut child = command.spawn().map_err(|e| format!("start {}: {e}", contender.name))?;
    let (parent, done, peak) = (child.id(), AtomicBool::new(false), AtomicU64::new(0));
    let (status, seconds) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(descendants_bytes(parent), Ordering::Relaxed);
                std::thread::park_timeout(LOOK_EVERY);
            }
        });
        let status = child.wait();
        let seconds = begun.elapsed().as_secs_f64();
        done.store(true, Ordering::Relaxed);
        (status, seconds)
    });
    let status = status?;
    if !status.success() {
        let complaints = fs::read_to_string(&log).unwrap_or_default();
        return Err(format!("{}: {status}\n{complaints}", contender.name).into());
    }
    let outcome = contender.outcome.as_deref().map(Outcome::read).transpose()?;
    Ok(Run { seconds, children_peak_bytes: peak.into_inner(), outcome })
}

/// The median of the runs' seconds.
pub(crate) fn median_seconds(runs: &[Run]) -> f64 {
    median(&mut runs.iter().map(|run| run.seconds).collect::<Vec<_>>())
}

/// The value in the middle; of an even number, the mean of the two.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

/// The value that a share of the others does not exceed.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Seconds of work, on any core, of a process and of those of its children that have ended.
pub(crate) fn worked_s(process: &str) -> f64 {
    // After `pid (name) `, the 12th to the 15th field, in hundredths of a second (proc(5), USER_HZ).
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The most memory that this process ever held.
pub(crate) fn own_peak_bytes() -> Result<u64> {
    peak_bytes("self").ok_or_else(|| "this machine does not tell a process's peak memory".into())
}

fn peak_bytes(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The peaks of all processes below one, added up. A process that began as a copy of its parent tells its parent's peak
/// until it runs its own program: such a copy, of the same name, is left out. Only ids above the parent's are looked at:
/// ids are given in their order, and there are four million of them.
fn descendants_bytes(parent: u32) -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let mut processes = HashMap::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if pid < parent {
            continue;
        }
        // `pid (name) state ppid …`: the name may hold anything.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((start, fields)) = stat.rsplit_once(") ") else { continue };
        let Some(ppid) = fields.split(' ').nth(1).and_then(|ppid| ppid.parse::<u32>().ok()) else { continue };
        let name = start.split_once('(').map(|(_, name)| name.to_owned()).unwrap_or_default();
        processes.insert(pid, (ppid, name));
    }
    let is_below = |mut pid: u32| {
        for _ in 0..processes.len() {
            match processes.get(&pid) {
                Some((ppid, _)) if *ppid == parent => return true,
                Some((ppid, _)) => pid = *ppid,
                None => return false,
            }
        }
        false
    };
    let own_name = processes.get(&parent).map(|(_, name)| name.as_str()).unwrap_or_default();
    let below = processes.iter().filter(|(pid, (_, name))| name != own_name && is_below(**pid));
    below.filter_map(|(pid, _)| peak_bytes(&pid.to_string())).sum()
}
