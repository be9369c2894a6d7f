//! The backup program that most people mean: `pg_dump | restic backup --stdin`, into a new repository on the local disk.

use super::{Bench, SOURCE};
use crate::Result;
use crate::measure::Contender;
use crate::server::output;
use std::fs;
use std::path::Path;
use std::process::Command;

pub(super) fn contender(bench: &Bench) -> Option<Contender<'_>> {
    let restic = bench.peers.restic.as_ref()?;
    let (repository, cache) = (bench.place.out.join("restic"), bench.place.out.join("restic-cache"));
    let own = move |command: &mut Command, repository: &Path| {
        command.env("RESTIC_REPOSITORY", repository).env("RESTIC_PASSWORD", "bench").env("RESTIC_CACHE_DIR", &cache);
    };
    let (own_too, repository_too) = (own.clone(), repository.clone());
    let prepare = move || {
        if repository.exists() {
            fs::remove_dir_all(&repository)?;
        }
        let mut init = Command::new(restic);
        own(&mut init, &repository);
        output(init.args(["init", "-q"]), "make a repository for restic")?;
        bench.server.settle()
    };
    let command = move || -> Result<Command> {
        let (url, password) = bench.server.address(SOURCE)?;
        let mut bash = Command::new("bash");
        bash.arg("-c")
            .arg(r#"set -o pipefail; "$DUMP" "$URL" | "$RESTIC" backup -q --stdin --stdin-filename dump.sql"#);
        own_too(&mut bash, &repository_too);
        bash.env("DUMP", bench.place.programs.join("pg_dump")).env("RESTIC", restic);
        bash.env("URL", url).env("PGPASSWORD", password);
        Ok(bash)
    };
    Some(Contender {
        name: "pg_dump | restic backup --stdin".to_owned(),
        prepare: Box::new(prepare),
        command: Box::new(command),
        outcome: None,
    })
}
