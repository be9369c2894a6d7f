//! The proof: every table of the target, read back, has the digest that the manifest says; one that was masked has that of the
//! rows that were sent.

use super::masking::Masker;
use super::{Taken, in_sessions};
use crate::digest::{RowMeter, RowTally};
use crate::error::{Error, Result, ResultExt};
use crate::source::{Run, Table};
use crate::target::Loading;
use futures::StreamExt;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads every table of the target back and compares it with the manifest.
pub(super) async fn prove(loading: &Arc<dyn Loading>, taken: &[Taken], masker: &Masker, sessions: usize) -> Result<()> {
    let mut work = VecDeque::new();
    for (index, Taken { table, .. }) in taken.iter().enumerate() {
        let shared = Arc::new(table.table.clone());
        let runs = loading.runs(&table.table).await.context(format!("look at {}", table.table.quoted()))?;
        work.extend(runs.into_iter().map(|run| (index, Arc::clone(&shared), run)));
    }
    let tallies = Arc::new(Mutex::new(vec![RowTally::default(); taken.len()]));
    let (sum, reader) = (Arc::clone(&tallies), Arc::clone(loading));
    in_sessions(sessions, work, move |(index, table, run): (usize, Arc<Table>, Option<Run>)| {
        let (sum, reader) = (Arc::clone(&sum), Arc::clone(&reader));
        async move {
            let tally = read_back(&*reader, &table, run).await.context(format!("read {} back", table.quoted()))?;
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum[index] = sum[index].plus(tally);
            Ok(())
        }
    })
    .await?;
    let tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
    taken.iter().zip(tallies.iter()).try_for_each(|(taken, found)| {
        let table = &taken.table;
        let (wanted, from) = match &taken.rules {
            Some(_) => (masker.sent(table.table.oid), "masked, the snapshot has"),
            None => (table.tally, "the snapshot has"),
        };
        require_equal(&table.table, found, &wanted, from)?;
        // Masking changes columns, never the number of rows.
        if found.rows == table.tally.rows {
            return Ok(());
        }
        Err(Error::internal(format!("{} was masked into another number of rows", table.table.quoted())))
    })
}

fn require_equal(table: &Table, found: &RowTally, wanted: &RowTally, from: &str) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "{} was restored as {} rows with digest {}; {from} {} rows with digest {}: do not use this target",
        table.quoted(),
        found.rows,
        found.digest,
        wanted.rows,
        wanted.digest
    )))
}

async fn read_back(loading: &dyn Loading, table: &Table, run: Option<Run>) -> Result<RowTally> {
    let (mut rows, mut meter) = (loading.read_back(table, run).await?, RowMeter::default());
    while let Some(chunk) = rows.next().await {
        meter.write(&chunk?);
    }
    meter.finish()
}
