//! The floor of every logical backup: one session that copies the same rows to nowhere.

use super::{Bench, SOURCE};
use crate::Result;
use crate::measure::Contender;

pub(super) fn contender(bench: &Bench) -> Result<Contender<'_>> {
    let handle = tokio::runtime::Handle::current();
    let statements =
        handle.block_on(crate::product::copy_statements(&bench.server.url(SOURCE), &bench.place.clients))?;
    let file = bench.place.out.join("copy.sql");
    std::fs::write(&file, statements.join("\n"))?;
    let command = move || {
        let mut psql = bench.server.program("psql", SOURCE)?;
        psql.args(["-Xq", "--set=ON_ERROR_STOP=1", "--file"]).arg(&file);
        Ok(psql)
    };
    Ok(Contender {
        name: "psql copy to nowhere, 1 session".to_owned(),
        prepare: Box::new(|| bench.server.settle()),
        command: Box::new(command),
        outcome: None,
    })
}
