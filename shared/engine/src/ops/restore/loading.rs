//! The rows: read and opened in tasks of their own, a little ahead of the sessions that load them.

use super::masking::Masker;
use super::{Restore, Taken, in_sessions, tally};
use crate::error::{Error, Result, ResultExt};
use crate::limits::{BATCH_BYTES, BATCHES_AHEAD, CHUNKS_AHEAD, WHOLE_TABLE_BYTES_MAX};
use crate::manifest::TableManifest;
use crate::object::ObjectRef;
use crate::policy::Rule;
use crate::segment::{self, Segment};
use crate::source::RowStream;
use crate::target::{Batch, Loading};
use futures::{StreamExt, stream};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Adds every row that the target does not have yet.
pub(super) async fn load(
    restore: &Restore,
    loading: &Arc<dyn Loading>,
    packs: &[ObjectRef],
    taken: &[Taken],
    masker: &Arc<Masker>,
) -> Result<()> {
    let packs = Arc::new(packs.iter().map(|p| p.key).collect::<Vec<_>>());
    let work = plan(taken, loading.loaded(), restore.sessions);
    let (vault, keyring, loading) = (Arc::clone(&restore.vault), Arc::clone(&restore.keyring), Arc::clone(loading));
    let (masker, counters) = (Arc::clone(masker), Arc::clone(&restore.counters));
    in_sessions(restore.sessions * BATCHES_AHEAD, work, move |(batch, segments, rules): Work| {
        let expected: u64 = segments.iter().map(|s| s.tally.rows).sum();
        let (vault, keyring, packs) = (Arc::clone(&vault), Arc::clone(&keyring), Arc::clone(&packs));
        let read = move |s| segment::read(Arc::clone(&vault), Arc::clone(&keyring), Arc::clone(&packs), s);
        let counters = Arc::clone(&counters);
        let counted = Arc::clone(&counters).count_bytes(Box::pin(stream::iter(segments).flat_map(read)));
        let rows = masker.apply(batch.table.oid, rules, counted);
        let rows = ahead(rows);
        let loading = Arc::clone(&loading);
        async move {
            let table = batch.table.quoted();
            let added = loading.load(&batch, rows).await.context(format!("load {table}"))?;
            if added != expected {
                return Err(Error::internal(format!("{table} took {added} of {expected} rows")));
            }
            counters.add_rows(added);
            Ok(())
        }
    })
    .await
}

/// Counts the masked rows that an interrupted restore had loaded, as they were sent: the proof needs all of them.
pub(super) async fn tally_earlier(
    restore: &Restore,
    loading: &dyn Loading,
    packs: &[ObjectRef],
    taken: &[Taken],
    masker: &Arc<Masker>,
) -> Result<()> {
    let packs = Arc::new(packs.iter().map(|p| p.key).collect::<Vec<_>>());
    for Taken { table, first_segment, rules } in taken.iter().filter(|t| t.rules.is_some()) {
        for (number, segment) in (*first_segment..).zip(&table.segments) {
            if !loading.loaded().contains(&number) {
                continue;
            }
            let (vault, keyring) = (Arc::clone(&restore.vault), Arc::clone(&restore.keyring));
            let rows = segment::read(vault, keyring, Arc::clone(&packs), segment.clone());
            let mut masked = masker.apply(table.table.oid, rules.clone(), rows);
            while let Some(chunk) = masked.next().await {
                chunk?;
            }
        }
    }
    Ok(())
}

/// A batch, its segments, and what becomes of their columns.
type Work = (Batch, Vec<Segment>, Option<Arc<[Rule]>>);

/// Cuts what is to be loaded into batches. A table of which nothing is there is one batch, if it is not so large that the
/// other sessions would wait for it at the end, or that an interruption would cost much.
fn plan(taken: &[Taken], loaded: &HashSet<u64>, sessions: usize) -> VecDeque<Work> {
    let share = tally(taken).bytes / sessions.max(1) as u64;
    let mut work = VecDeque::new();
    for Taken { table, first_segment, rules } in taken {
        let numbered: Vec<(u64, &Segment)> =
            (*first_segment..).zip(&table.segments).filter(|(_, s)| s.tally.rows > 0).collect();
        let left: Vec<_> = numbered.iter().filter(|(n, _)| !loaded.contains(n)).copied().collect();
        let whole = left.len() == numbered.len() && table.tally.bytes <= WHOLE_TABLE_BYTES_MAX.min(share);
        let batches = batches(table, &left, whole).into_iter();
        work.extend(batches.map(|(batch, segments)| (batch, segments, rules.clone())));
    }
    work
}

fn batches(table: &TableManifest, left: &[(u64, &Segment)], whole: bool) -> Vec<(Batch, Vec<Segment>)> {
    let shared = Arc::new(table.table.clone());
    let mut made: Vec<(Batch, Vec<Segment>)> = Vec::new();
    let mut bytes = 0;
    for (number, segment) in left {
        match made.last_mut() {
            Some((batch, segments)) if whole || bytes + segment.tally.bytes <= BATCH_BYTES => {
                batch.segments.push(*number);
                segments.push((*segment).clone());
                bytes += segment.tally.bytes;
            }
            _ => {
                let batch = Batch { table: Arc::clone(&shared), segments: vec![*number], whole };
                made.push((batch, vec![(*segment).clone()]));
                bytes = segment.tally.bytes;
            }
        }
    }
    made
}

/// Reads a stream in a task of its own, a few chunks ahead of whoever takes them. It ends well only if the stream did.
fn ahead(mut rows: RowStream) -> RowStream {
    let (give, take) = mpsc::channel(CHUNKS_AHEAD);
    tokio::spawn(async move {
        loop {
            let next = rows.next().await;
            let last = !matches!(next, Some(Ok(_)));
            // Nobody takes them any more: there is nothing left to do.
            if give.send(next).await.is_err() || last {
                return;
            }
        }
    });
    Box::pin(stream::unfold(Some(take), |take| async move {
        let mut take = take?;
        match take.recv().await {
            Some(Some(Ok(chunk))) => Some((Ok(chunk), Some(take))),
            Some(Some(Err(e))) => Some((Err(e), None)),
            Some(None) => None,
            None => Some((Err(Error::internal("the task that reads the rows was stopped")), None)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[tokio::test]
    async fn a_stream_read_ahead_ends_as_the_stream_did() {
        let chunk = |text: &'static str| Ok(Bytes::from(text));
        let well: Vec<_> = ahead(Box::pin(stream::iter([chunk("a"), chunk("b")]))).collect().await;
        assert!(matches!(well.as_slice(), [Ok(_), Ok(_)]));
        let broken = stream::iter([chunk("a"), Err(Error::corrupt("no")), chunk("b")]);
        let badly: Vec<_> = ahead(Box::pin(broken)).collect().await;
        assert!(matches!(badly.as_slice(), [Ok(_), Err(_)]));
        let dead = stream::once(async { panic!("the reader dies") });
        let died: Vec<Result<Bytes>> = ahead(Box::pin(dead)).collect().await;
        assert!(matches!(died.as_slice(), [Err(_)]), "not a stream that ended");
    }
}
