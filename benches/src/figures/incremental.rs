//! What a backup costs when another lies before it: beside a full one, and beside restic's next backup of the same change
//! into the repository that holds the one before.
//!
//! Always holds: each incremental backup starts from a store that holds a backup of the database as it was before the change,
//! in a database that remembers that backup; restic starts from a repository that holds the same. What was stored counts
//! in full, all objects of ours and all files of restic's. One that used nothing of the backup before it is no figure but an error.

use super::{Bench, SOURCE, restic};
use crate::Result;
use crate::measure::{Contender, Run, median, median_seconds, once};
use crate::product::SESSIONS;
use crate::report::{Bound, Row};

const BYTES_PER_KB: f64 = 1e3;
const BYTES_PER_MB: f64 = 1e6;
const BYTES_PER_GB: f64 = 1e9;

/// The largest table without a hole: it is only ever added to, so rows that change together are written together.
const WITHOUT_HOLES: &str = "public.payments";
/// The largest table. The sample deletes one row in 97 of it, so there is a hole in every block, and rows that change together
/// are written all over it.
const WITH_HOLES: &str = "public.courier_positions";
/// What is changed at random places: the tables that hold nearly all rows, and one column of each.
const EVERYWHERE: [(&str, &str); 10] = [
    (WITH_HOLES, "battery = (battery + 1) % 101"),
    ("public.chat_messages", "read_at = now()"),
    ("public.orders", "total = total + 0.01"),
    ("public.order_items", "quantity = quantity % 3 + 1"),
    (WITHOUT_HOLES, "paid_at = now()"),
    ("public.audit_log", "row_id = row_id || '0'"),
    ("public.addresses", "label = 'nuevo'"),
    ("public.route_plans", "planned_for = planned_for + 1"),
    ("auth.audit_log_entries", "ip_address = '192.0.2.1'"),
    ("storage.objects", "version = version || '0'"),
];

/// Between two backups.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    /// So many rows as a hundredth of all, side by side in one table.
    OnePlace,
    /// So many, side by side in a table that has room for them everywhere.
    Scattered,
    /// One row in a hundred of each table.
    Random,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing changed",
            Self::OnePlace => "1 % in one place",
            Self::Scattered => "1 % in one place with holes",
            Self::Random => "1 % at random",
        }
    }

    /// In each round other rows.
    fn make(self, bench: &Bench, round: usize) -> Result<()> {
        let statement = match self {
            Self::Nothing => return Ok(()),
            Self::OnePlace => side_by_side(bench, round, WITHOUT_HOLES, "order_id", "paid_at = now()"),
            Self::Scattered => side_by_side(bench, round, WITH_HOLES, "id", "battery = (battery + 1) % 101"),
            Self::Random => {
                let updates = EVERYWHERE.map(|(table, set)| format!("update {table} set {set} where random() < 0.01"));
                format!("select setseed({round} / 1000.0); {}", updates.join("; "))
            }
        };
        bench.server.sql(SOURCE, &statement)?;
        // Or ours, which comes first, would write the hint bits for its peer.
        bench.server.sql(SOURCE, "vacuum (analyze)")?;
        Ok(())
    }
}

/// Changes so many rows as a hundredth of all, from another place of the table in each round; `number` counts its rows.
fn side_by_side(bench: &Bench, round: usize, table: &str, number: &str, set: &str) -> String {
    format!(
        "with counted as (
            select sum(c.reltuples)::bigint / 100 as rows
            from pg_class as c
            where c.relkind = 'r' and c.reltuples > 0 and c.relnamespace <> 'pg_catalog'::regnamespace
        ), placed as (
            select max({number}) * {round} / ({rounds} + 1) as first from {table}
        )
        update {table} set {set}
        from counted, placed
        where {number} > placed.first and {number} <= placed.first + counted.rows",
        rounds = bench.rounds
    )
}

/// The runs after changes of one kind, and the bytes that each stored.
#[derive(Default)]
struct Measured {
    runs: Vec<Run>,
    stored: Vec<f64>,
}

impl Measured {
    fn seconds(&self) -> f64 {
        median_seconds(&self.runs)
    }

    fn stored(&self) -> f64 {
        median(&mut self.stored.clone())
    }

    fn add(&mut self, bench: &Bench, contender: &Contender<'_>, stored: impl Fn() -> Result<u64>) -> Result<()> {
        let before = stored()?;
        let run = once(&bench.place, contender)?;
        let bytes = stored()?.saturating_sub(before) as f64;
        let said = run.outcome.as_ref().map_or(String::new(), |outcome| {
            format!(", {} segments read, {} used again", outcome.segments_copied, outcome.segments_reused)
        });
        println!("      {:<42} {:>8.2} s, {:>8.2} MB stored{said}", contender.name, run.seconds, bytes / BYTES_PER_MB);
        self.runs.push(run);
        self.stored.push(bytes);
        Ok(())
    }

    /// Nothing is worth measuring of a backup that was not what it was taken for.
    fn require(&self, what: &str, is_right: impl Fn(u64) -> bool) -> Result<()> {
        let outcomes = self.runs.iter().filter_map(|run| run.outcome.as_ref());
        match outcomes.clone().find(|outcome| !is_right(outcome.segments_reused)) {
            None => Ok(()),
            Some(outcome) => {
                let why = outcome.full_reason.as_deref().unwrap_or("it does not say why");
                Err(format!("{what} used {} segments again: {why}", outcome.segments_reused).into())
            }
        }
    }
}

/// Ours and restic's after changes of one kind.
#[derive(Default)]
struct Pair {
    ours: Measured,
    restic: Option<Measured>,
}

pub(super) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    println!("\nincremental: {} rounds of each change; medians are compared", bench.rounds);
    let full = bench.our_backup(SESSIONS);
    let mut fulls = Measured::default();
    if let Some(first) = restic::contender(bench) {
        println!("  not measured: restic's first backup");
        once(&bench.place, &first)?;
    }
    let (mut nothing, mut one_place) = (Pair::default(), Pair::default());
    let (mut scattered, mut random) = (Pair::default(), Pair::default());
    for round in 1..=bench.rounds {
        println!("  {round}/{} a full backup", bench.rounds);
        bench.store.empty()?;
        fulls.add(bench, &full, || bench.store.bytes())?;
        measure(bench, round, Change::Nothing, &mut nothing)?;
        measure(bench, round, Change::OnePlace, &mut one_place)?;
    }
    // Afterwards: what they leave is room for a row here and there, and rows that change in one place would be put there.
    for round in 1..=bench.rounds {
        measure(bench, round, Change::Scattered, &mut scattered)?;
        measure(bench, round, Change::Random, &mut random)?;
    }
    fulls.require("a full backup", |reused| reused == 0)?;
    for (change, pair) in [(Change::Nothing, &nothing), (Change::OnePlace, &one_place), (Change::Scattered, &scattered)]
    {
        pair.ours.require(&format!("the backup after `{}`", change.name()), |reused| reused > 0)?;
    }
    let gigabytes = bench.server.bytes(SOURCE)? as f64 / BYTES_PER_GB;
    let kilobytes = nothing.ours.stored() / BYTES_PER_KB / gigabytes;
    Ok(vec![
        beside_full(Change::OnePlace, &one_place, &fulls, Bound::AtMost(0.25)),
        seconds(Change::OnePlace, &one_place, Bound::AtMost(0.3)),
        stored(Change::OnePlace, &one_place, Bound::AtMost(1.5)),
        beside_full(Change::Nothing, &nothing, &fulls, Bound::AtMost(0.2)),
        seconds(Change::Nothing, &nothing, Bound::None),
        Row::alone("backup, nothing changed, KB stored a GB of database", Some(kilobytes), Bound::AtMost(100.0)),
        beside_full(Change::Scattered, &scattered, &fulls, Bound::None),
        seconds(Change::Scattered, &scattered, Bound::None),
        stored(Change::Scattered, &scattered, Bound::None),
        seconds(Change::Random, &random, Bound::None),
        stored(Change::Random, &random, Bound::AtMost(1.2)),
    ])
}

fn measure(bench: &Bench, round: usize, change: Change, pair: &mut Pair) -> Result<()> {
    println!("  {round}/{} {}", bench.rounds, change.name());
    change.make(bench, round)?;
    pair.ours.add(bench, &bench.our_incremental(), || bench.store.bytes())?;
    match restic::again(bench) {
        Some(again) => pair.restic.get_or_insert_default().add(bench, &again, || restic::stored(bench)),
        None => Ok(()),
    }
}

fn beside_full(change: Change, pair: &Pair, fulls: &Measured, bound: Bound) -> Row {
    Row::beside(format!("backup, {}, s; a full one", change.name()), pair.ours.seconds(), Some(fulls.seconds()), bound)
}

fn seconds(change: Change, pair: &Pair, bound: Bound) -> Row {
    let peer = pair.restic.as_ref().map(Measured::seconds);
    Row::beside(format!("backup, {}, s; restic", change.name()), pair.ours.seconds(), peer, bound)
}

fn stored(change: Change, pair: &Pair, bound: Bound) -> Row {
    let megabytes = |measured: &Measured| measured.stored() / BYTES_PER_MB;
    let peer = pair.restic.as_ref().map(megabytes);
    Row::beside(format!("backup, {}, MB stored; restic", change.name()), megabytes(&pair.ours), peer, bound)
}
