//! Does not take it for granted that what was not read is unchanged and there: the packs are looked at, and a sample of the
//! segments is read all the same.

use super::Backup;
use super::reading::Reading;
use crate::digest::RowMeter;
use crate::error::{Result, ResultExt};
use crate::limits::{LOOKS_IN_FLIGHT, SAMPLE_BYTES, SAMPLE_SEGMENTS};
use crate::object::ObjectRef;
use crate::segment::Segment;
use futures::StreamExt;
use futures::stream::{self, TryStreamExt};

impl Backup {
    /// Reads a few of the segments that were not read, by all sessions, and compares. Gives what is wrong, if anything is.
    pub(super) async fn sample(&self, reading: &Reading) -> Result<Option<String>> {
        let chosen = self.choose(reading.reused())?;
        let reads = stream::iter(chosen).map(|(table, segment)| read_again(reading, table, segment));
        // All of them to the end, whatever the first shows: a session that stops in the middle of its rows is lost.
        let wrong: Vec<Option<String>> = reads.buffered(self.settings.sessions).try_collect().await?;
        Ok(wrong.into_iter().flatten().next())
    }

    /// A few at random; the last one may go beyond the bytes.
    fn choose(&self, mut from: Vec<(usize, Segment)>) -> Result<Vec<(usize, Segment)>> {
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        while chosen.len() < SAMPLE_SEGMENTS && bytes < SAMPLE_BYTES && !from.is_empty() {
            let mut random = [0; 8];
            self.entropy.fill(&mut random)?;
            let place = u64::from_le_bytes(random) % from.len() as u64;
            let (table, segment) = from.swap_remove(place as usize);
            bytes += segment.tally.bytes;
            chosen.push((table, segment));
        }
        Ok(chosen)
    }

    /// Looks whether the packs of earlier attempts are there. Gives what is wrong, if anything is.
    pub(super) async fn look(&self, packs: &[ObjectRef], own: &[ObjectRef]) -> Result<Option<String>> {
        let vault = self.vaults.primary();
        let own: std::collections::HashSet<_> = own.iter().map(|pack| pack.key).collect();
        let others: Vec<ObjectRef> = packs.iter().filter(|p| !own.contains(&p.key)).copied().collect();
        let looks = stream::iter(others).map(|pack| async move {
            let found =
                vault.head(&pack.key).await.context(format!("look at {} in the {}", pack.key, vault.place()))?;
            let right = found.is_some_and(|m| m.length == pack.length && m.sha256 == Some(pack.sha256));
            Ok((!right).then(|| format!("{} in the {} is gone or is not what was stored", pack.key, vault.place())))
        });
        let wrong: Vec<Option<String>> = looks.buffer_unordered(LOOKS_IN_FLIGHT).try_collect().await?;
        Ok(wrong.into_iter().flatten().next())
    }
}

/// Reads a segment that was not read, and compares it with what is stored of it.
async fn read_again(reading: &Reading, table: usize, segment: Segment) -> Result<Option<String>> {
    let table = &reading.capture.description().tables[table];
    let mut rows = reading.capture.copy(table, segment.run).await?;
    let mut meter = RowMeter::default();
    while let Some(chunk) = rows.next().await {
        meter.write(&chunk?);
    }
    let found = meter.finish()?;
    reading.counters.sampled.add(found);
    let block = segment.run.map_or(0, |run| run.first_block);
    Ok((found != segment.tally).then(|| {
        format!(
            "the rows of {} from block {block} on were believed unchanged and are not: {} rows with digest {} are stored, \
             {} rows with digest {} were read",
            table.quoted(),
            segment.tally.rows,
            segment.tally.digest,
            found.rows,
            found.digest
        )
    }))
}
