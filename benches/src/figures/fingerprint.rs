//! What it costs the server to say whether a table has changed, beside what it costs to read the table: the fingerprints of
//! its runs of blocks, as a backup asks for them, and `copy … to stdout` to nowhere. Both by one session that is open
//! already.

use super::{Bench, SOURCE};
use crate::Result;
use crate::measure::median;
use crate::product::fingerprint_seconds;
use crate::report::{Bound, Row};
use crate::server::output;

/// A table whose rows lie in the heap: the longest of the sample, with some 90 bytes a row.
const HEAP: &str = r#""public"."courier_positions""#;
/// A table whose rows lie in TOAST: documents of 20 KB, which neither the server compresses nor `copy` has to encode.
const TOAST: &str = r#""public"."documents""#;
const TOAST_DATABASE: &str = "bench_toast";
const TOAST_ROWS: u32 = 11_000;

pub(super) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    println!("\nfingerprint: {} runs each, by turns; medians are compared", bench.rounds);
    bench.server.empty(TOAST_DATABASE)?;
    bench.server.sql(
        TOAST_DATABASE,
        &format!(
            "create table {TOAST} (id integer primary key, body text storage external not null);
            insert into {TOAST}
            select i, substr(noise.noise, 1 + i * 37 % 40000, 20000)
            from generate_series(1, {TOAST_ROWS}) as i,
                (select string_agg(md5(j::text), '') from generate_series(1, 2000) as j) as noise (noise)"
        ),
    )?;
    // A statement of its own, outside of a transaction.
    bench.server.sql(TOAST_DATABASE, "vacuum (analyze)")?;
    let rows = vec![
        row(bench, "heap", SOURCE, HEAP, Bound::AtMost(0.2))?,
        row(bench, "TOAST", TOAST_DATABASE, TOAST, Bound::AtMost(0.02))?,
    ];
    bench.server.drop(TOAST_DATABASE)?;
    Ok(rows)
}

fn row(bench: &Bench, kind: &str, database: &str, table: &str, bound: Bound) -> Result<Row> {
    let size = format!("select pg_size_pretty(pg_table_size('{table}')) || ', ' || count(*) || ' rows' from {table}");
    println!("  {kind}: {table}, {}", bench.server.sql(database, &size)?);
    bench.server.settle()?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    // The first of each is not counted: it finds the table's blocks on the disk.
    for round in 0..=bench.rounds {
        let (fingerprint, copy) = (fingerprints(bench, database, table)?, copied(bench, database, table)?);
        if round > 0 {
            println!("  {round}/{} fingerprints {:>8.3} s, copy {copy:>8.3} s", bench.rounds, fingerprint);
            ours.push(fingerprint);
            peer.push(copy);
        }
    }
    let name = format!("fingerprints of a table in {kind}, s; psql copy to nowhere");
    Ok(Row::beside(name, median(&mut ours), Some(median(&mut peer)), bound))
}

fn fingerprints(bench: &Bench, database: &str, table: &str) -> Result<f64> {
    let handle = tokio::runtime::Handle::current();
    handle.block_on(fingerprint_seconds(&bench.server.url(database), &bench.place.clients, table))
}

/// The seconds of one `copy`, as psql tells them.
fn copied(bench: &Bench, database: &str, table: &str) -> Result<f64> {
    let mut psql = bench.server.program("psql", database)?;
    psql.args(["-Xq", "--set=ON_ERROR_STOP=1", "--command", r"\o /dev/null", "--command", r"\timing on"]);
    psql.args(["--command", &format!("copy {table} to stdout")]);
    let said = output(&mut psql, "copy a table")?;
    let ms = said.lines().find_map(|line| line.strip_prefix("Time: ")?.split(' ').next()?.parse::<f64>().ok());
    Ok(ms.ok_or("psql did not tell the time of a copy")? / 1e3)
}
