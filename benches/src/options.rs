//! What is measured, and where everything lies.

use crate::Result;
use std::path::{Path, PathBuf};

/// The folders of the checkout.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    /// Everything that the benchmark writes.
    pub(crate) out: PathBuf,
    /// PostgreSQL's programs.
    pub(crate) programs: PathBuf,
    /// `pg_dump`, in each version that the product carries.
    pub(crate) clients: PathBuf,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) place: Place,
    /// Size of the database that everything is measured on.
    pub(crate) mb: u32,
    /// Sizes of other databases, on which only memory and growth are measured.
    pub(crate) other_mb: Vec<u32>,
    /// Runs of ours and of each peer.
    pub(crate) rounds: usize,
    /// The figures that are measured.
    pub(crate) only: Vec<String>,
}

/// The bounds are for a database of 1 GB or more; one that is loaded with 1100 has a little more than 10^9 bytes.
pub(crate) const MB: u32 = 1_100;
pub(crate) const FIGURES: [&str; 8] =
    ["backup", "sessions", "fingerprint", "restore", "incremental", "memory", "envelope", "start"];
const USAGE: &str = "usage: bench [--mb N] [--small-mb N] [--large] [--huge] [--rounds N] [--only FIGURE,...]
  --mb N        size of the database, 50 or more (default: 1100)
  --small-mb N  a smaller one, to compare memory with; 0 for none (default: 256)
  --large       measure memory at 4096 MB too
  --huge        and at 10240 MB, if the disk has room for it
  --rounds N    runs of ours and of each peer (default: 3)
  --only ...    some of backup, sessions, fingerprint, restore, incremental, memory, envelope, start (default: all)";

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let (mut mb, mut small, mut large, mut huge, mut rounds) = (MB, 256, false, false, 3);
        let mut only: Vec<String> = FIGURES.map(str::to_owned).to_vec();
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{name} needs a value\n{USAGE}"));
            match name.as_str() {
                "--mb" => mb = value()?.parse()?,
                "--small-mb" => small = value()?.parse()?,
                "--rounds" => rounds = value()?.parse()?,
                "--only" => only = value()?.split(',').map(str::to_owned).collect(),
                "--large" => large = true,
                "--huge" => huge = true,
                _ => return Err(USAGE.into()),
            }
        }
        if rounds == 0 || only.iter().any(|figure| !FIGURES.contains(&figure.as_str())) {
            return Err(USAGE.into());
        }
        let other_mb = [(small > 0).then_some(small), large.then_some(4096), huge.then_some(10_240)];
        let other_mb = other_mb.into_iter().flatten().collect();
        let programs = root.join(".tools/postgres/18/bin");
        let clients = root.join(".tools/clients");
        let place = Place { out: root.join("target/bench"), root, programs, clients };
        Ok(Self { place, mb, other_mb, rounds, only })
    }

    pub(crate) fn wants(&self, figure: &str) -> bool {
        self.only.iter().any(|only| only == figure)
    }
}
