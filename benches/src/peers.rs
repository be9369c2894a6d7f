//! The programs that ours is compared with: where they are, and of which version.

use crate::options::Place;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs that are not PostgreSQL's own. One that is missing leaves its rows without a peer.
pub(crate) struct Peers {
    pub(crate) age: Option<PathBuf>,
    pub(crate) age_keygen: Option<PathBuf>,
    pub(crate) restic: Option<PathBuf>,
    pub(crate) zstd: Option<PathBuf>,
}

impl Peers {
    /// Those in `.tools/peers` first, then those that are installed.
    pub(crate) fn find(place: &Place) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = place.root.join(".tools/peers/usr/bin");
        let find = |name: &str| {
            let folders = std::iter::once(own.clone()).chain(std::env::split_paths(&path));
            folders.map(|folder| folder.join(name)).find(|program| said_of(program, "--version").is_some())
        };
        // restic has a command where others have an option; it exists when it tells its version.
        let restic = std::iter::once(own.clone()).chain(std::env::split_paths(&path)).map(|f| f.join("restic"));
        Self {
            age: find("age"),
            age_keygen: find("age-keygen"),
            restic: restic.into_iter().find(|program| said_of(program, "version").is_some()),
            zstd: find("zstd"),
        }
    }

    /// What is not there, as a sentence for the table.
    pub(crate) fn missing(&self) -> Vec<String> {
        let all =
            [("age", &self.age), ("age-keygen", &self.age_keygen), ("restic", &self.restic), ("zstd", &self.zstd)];
        let missing = all.into_iter().filter(|(_, path)| path.is_none());
        missing.map(|(name, _)| format!("peer missing: {name} (benches/peers fetches it with apt-get)")).collect()
    }
}

/// The machine and the versions, as lines.
pub(crate) fn machine(place: &Place, peers: &Peers) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kilobytes: f64 =
        field(&read("/proc/meminfo"), "MemTotal").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    let version = |program: &Option<PathBuf>, argument: &str| {
        program.as_deref().and_then(|p| said_of(p, argument)).unwrap_or_else(|| "missing".to_owned())
    };
    let postgres = Some(place.programs.join("postgres"));
    let lines = [
        ("processor", format!("{cores} cores, {}", field(&read("/proc/cpuinfo"), "model name"))),
        ("memory", format!("{:.1} GiB", kilobytes / 1024.0 / 1024.0)),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("load", read("/proc/loadavg").split(' ').next().unwrap_or("?").to_owned()),
        ("postgres", version(&postgres, "--version")),
        ("age", version(&peers.age, "--version")),
        ("restic", version(&peers.restic, "version")),
        ("zstd", version(&peers.zstd, "--version")),
        ("s3", "s3s-fs 0.14.1, one more process on the same cores".to_owned()),
    ];
    lines.into_iter().map(|(name, value)| format!("{name:<10} {value}")).collect()
}

/// The first line that a program prints; `None` when it cannot be run.
fn said_of(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned();
    output.status.success().then_some(said)
}
