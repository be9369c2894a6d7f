//! What people write in a shell: `pg_dump -Fc | zstd | age` to a file.

use super::{Bench, SOURCE};
use crate::Result;
use crate::measure::Contender;
use crate::server::output;
use std::fs;
use std::process::Command;

/// `pg_dump -Fc` compresses by itself, and so zstd compresses once more; `more` may switch that off.
pub(super) fn contender<'a>(bench: &'a Bench, name: &str, more: &'static str) -> Result<Option<Contender<'a>>> {
    let peers = &bench.peers;
    let (Some(age), Some(keygen), Some(zstd)) = (&peers.age, &peers.age_keygen, &peers.zstd) else { return Ok(None) };
    let (key, file) = (bench.place.out.join("age.key"), bench.place.out.join("dump.age"));
    if !key.exists() {
        output(Command::new(keygen).arg("-o").arg(&key), "make a key for age")?;
    }
    let recipient = output(Command::new(keygen).arg("-y").arg(&key), "read the key for age")?;
    let (dump, written) = (bench.place.programs.join("pg_dump"), file.clone());
    let command = move || {
        let (url, password) = bench.server.address(SOURCE)?;
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(format!(
            r#"set -o pipefail; "$DUMP" -Fc {more} "$URL" | "$ZSTD" -q | "$AGE" -r "$RECIPIENT" > "$FILE""#
        ));
        bash.env("DUMP", &dump).env("ZSTD", zstd).env("AGE", age).env("FILE", &file);
        bash.env("RECIPIENT", recipient.trim()).env("URL", url).env("PGPASSWORD", password);
        Ok(bash)
    };
    let prepare = move || {
        if written.exists() {
            fs::remove_file(&written)?;
        }
        bench.server.settle()
    };
    Ok(Some(Contender { name: name.to_owned(), prepare: Box::new(prepare), command: Box::new(command), outcome: None }))
}
