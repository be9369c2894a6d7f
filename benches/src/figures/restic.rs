//! The backup program that most people mean: `pg_dump | restic backup --stdin`, into a repository on the local disk.

use super::{Bench, SOURCE};
use crate::Result;
use crate::measure::Contender;
use crate::server::output;
use crate::store::bytes_below;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Into a new repository.
pub(super) fn contender(bench: &Bench) -> Option<Contender<'_>> {
    let restic = bench.peers.restic.as_ref()?;
    let prepare = move || {
        let repository = repository(bench);
        if repository.exists() {
            fs::remove_dir_all(&repository)?;
        }
        let mut init = owned(bench, Command::new(restic));
        output(init.args(["init", "-q"]), "make a repository for restic")?;
        bench.server.settle()
    };
    into(bench, "pg_dump | restic backup --stdin", Box::new(prepare))
}

/// Into the repository that holds what was backed up before.
pub(super) fn again(bench: &Bench) -> Option<Contender<'_>> {
    into(bench, "pg_dump | restic backup --stdin, once more", Box::new(|| bench.server.settle()))
}

/// The bytes of the repository on the disk.
pub(super) fn stored(bench: &Bench) -> Result<u64> {
    bytes_below(&repository(bench))
}

fn repository(bench: &Bench) -> PathBuf {
    bench.place.out.join("restic")
}

/// Tells a command where the repository is.
fn owned(bench: &Bench, mut command: Command) -> Command {
    command.env("RESTIC_REPOSITORY", repository(bench)).env("RESTIC_PASSWORD", "bench");
    command.env("RESTIC_CACHE_DIR", bench.place.out.join("restic-cache"));
    command
}

fn into<'a>(bench: &'a Bench, name: &str, prepare: Box<dyn Fn() -> Result<()> + 'a>) -> Option<Contender<'a>> {
    let restic = bench.peers.restic.as_ref()?;
    let command = move || -> Result<Command> {
        let (url, password) = bench.server.address(SOURCE)?;
        let mut bash = owned(bench, Command::new("bash"));
        bash.arg("-c")
            .arg(r#"set -o pipefail; "$DUMP" "$URL" | "$RESTIC" backup -q --stdin --stdin-filename dump.sql"#);
        bash.env("DUMP", bench.place.programs.join("pg_dump")).env("RESTIC", restic);
        bash.env("URL", url).env("PGPASSWORD", password);
        Ok(bash)
    };
    Some(Contender { name: name.to_owned(), prepare, command: Box::new(command), outcome: None })
}
