//! What earlier attempts stored of a source, and when it may be used again.
//!
//! A row version is immutable: what lies at `(ctid, xmin)` does not change in place. So a segment is unchanged if its set of
//! `(ctid, xmin)` pairs is. That holds only within one history of one database file, and while no pair can have come to mean
//! another row; each condition of [`Reusable::find`] and [`Reusable::new`] closes one way in which it could.

use crate::checkpoint::Checkpoint;
use crate::clock::Timestamp;
use crate::digest::Fingerprint;
use crate::id::AttemptId;
use crate::layout::ObjectKey;
use crate::manifest::{Manifest, Origin, TableManifest};
use crate::object::ObjectRef;
use crate::segment::Segment;
use crate::source::{Description, Lineage, RunPrint, Server, Table};
use std::collections::{BTreeSet, HashMap};

/// Ids of transactions are compared modulo 2^32, so two are told apart only while they are less than half of that apart.
const TRANSACTIONS_MAX: u64 = 1 << 31;

/// What one manifest or checkpoint lists.
#[derive(Clone, Debug)]
pub struct Stored {
    server: Server,
    origins: Vec<Origin>,
    packs: Vec<ObjectRef>,
    tables: Vec<TableManifest>,
    /// The instant that it shows, if it is a whole snapshot.
    taken_at: Option<Timestamp>,
}

impl From<Manifest> for Stored {
    fn from(manifest: Manifest) -> Self {
        let Manifest { server, origins, packs, tables, taken_at, .. } = manifest;
        Self { server, origins, packs, tables, taken_at: Some(taken_at) }
    }
}

impl From<Checkpoint> for Stored {
    fn from(checkpoint: Checkpoint) -> Self {
        let Checkpoint { server, origin, packs, tables, .. } = checkpoint;
        Self { server, origins: vec![origin], packs, tables, taken_at: None }
    }
}

impl Stored {
    /// The attempts whose segments these are.
    pub fn attempts(&self) -> impl Iterator<Item = AttemptId> {
        self.origins.iter().map(Origin::read_by)
    }
}

/// A segment that may be used again.
#[derive(Clone, Debug)]
struct Candidate {
    segment: Segment,
    origin: Origin,
}

/// All segments of a table, as the last snapshot has them.
#[derive(Clone, Debug)]
pub struct Kept {
    /// They refer to [`Reusable::packs`].
    pub segments: Vec<Segment>,
    /// The attempts that copied them.
    pub origins: Vec<Origin>,
    /// The instant that they show.
    pub taken_at: Timestamp,
}

/// Tables are told apart by what decides where and how their rows are written.
type TableKey = (u32, u32, String);

/// The segments that may be used again in one transaction snapshot.
#[derive(Debug, Default)]
pub struct Reusable {
    /// Segments refer to these.
    packs: Vec<ObjectRef>,
    candidates: HashMap<TableKey, HashMap<(u32, Fingerprint), Candidate>>,
    /// Whole tables, by their object id and definition.
    kept: HashMap<(u32, String), Kept>,
    origins: BTreeSet<AttemptId>,
    /// The first transaction that has not begun.
    transaction_id: u64,
}

impl Reusable {
    /// Of what is stored, that which may be used in this transaction snapshot. An error is no failure: it says why everything
    /// has to be read. Segments that were read before `not_before` are read again.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn new(stored: Vec<Stored>, now: &Description, not_before: Timestamp) -> Result<Self, String> {
        let known = match &now.lineage {
            Lineage::Known(known) => known,
            Lineage::Unknown(why) => return Err(why.clone()),
        };
        if stored.is_empty() {
            return Err("there is no earlier backup of this source".to_owned());
        }
        let (mut reusable, mut why) = (Self::default(), None);
        reusable.transaction_id = now.server.transaction_id;
        for part in stored {
            if let Err(difference) = same_history(&part.server, &now.server) {
                why = Some(difference);
                continue;
            }
            let origins: HashMap<AttemptId, Origin> = part.origins.iter().map(|o| (o.attempt, *o)).collect();
            let usable = |origin: &Origin| -> Result<(), String> {
                if !known.contains(&origin.read_by()) {
                    return Err(
                        "the database does not remember the attempt that copied the last backup: it was restored, \
                                rewound or forked since, or the backup could not write to backup_lineage.attempt"
                            .to_owned(),
                    );
                }
                if now.server.transaction_id.wrapping_sub(origin.oldest_transaction_id) >= TRANSACTIONS_MAX {
                    return Err("2^31 transactions or more have passed since the last backup".to_owned());
                }
                if origin.taken_at < not_before {
                    return Err(format!(
                        "the last full read was on {}, and BACKUP_FULL_EVERY_DAYS says it is time for the next",
                        origin.taken_at
                    ));
                }
                Ok(())
            };
            let verdicts: HashMap<AttemptId, Result<(), String>> =
                origins.values().map(|o| (o.attempt, usable(o))).collect();
            why = verdicts.values().find_map(|v| v.as_ref().err().cloned()).or(why);
            let good = |attempt: &AttemptId| verdicts.get(attempt).is_some_and(Result::is_ok);
            let origin = |attempt: &AttemptId| origins.get(attempt).filter(|_| good(attempt)).copied();
            reusable.add(part.packs, part.tables, part.taken_at, origin);
        }
        if reusable.candidates.is_empty() && reusable.kept.is_empty() {
            return Err(why.unwrap_or_else(|| "the last backup holds no rows that could be used again".to_owned()));
        }
        Ok(reusable)
    }

    fn add(
        &mut self,
        packs: Vec<ObjectRef>,
        tables: Vec<TableManifest>,
        taken_at: Option<Timestamp>,
        origin: impl Fn(&AttemptId) -> Option<Origin>,
    ) {
        let first = self.packs.len();
        // The attempt that sealed the extents, if it was one.
        let attempt = |segment: &Segment| {
            let mut attempts = segment.extents.iter().map(|e| match packs.get(e.pack as usize).map(|p| p.key) {
                Some(ObjectKey::Pack(attempt, _)) => Some(attempt),
                _ => None,
            });
            let one = attempts.next().flatten()?;
            attempts.all(|a| a == Some(one)).then_some(one)
        };
        for TableManifest { table, segments, taken_at: older, excluded, .. } in tables {
            let filled = || segments.iter().filter(|s| !s.extents.is_empty());
            let origins: Vec<Origin> = filled().filter_map(|s| attempt(s).and_then(|a| origin(&a))).collect();
            let whole = excluded.is_none() && !origins.is_empty() && origins.len() == filled().count();
            if let Some(taken_at) = older.or(taken_at).filter(|_| whole) {
                let mut segments = segments.clone();
                segments.iter_mut().flat_map(|s| &mut s.extents).for_each(|e| e.pack += first as u32);
                self.origins.extend(origins.iter().map(Origin::read_by));
                self.kept.insert((table.oid, table.definition.clone()), Kept { segments, origins, taken_at });
            }
            if table.unplaced.is_some() || table.unsteady.is_some() {
                continue;
            }
            let mut usable = Vec::new();
            for mut segment in segments {
                let (Some(run), Some(print)) = (segment.run, segment.fingerprint) else { continue };
                let Some(origin) = attempt(&segment).and_then(|a| origin(&a)) else { continue };
                for extent in &mut segment.extents {
                    extent.pack += first as u32;
                }
                self.origins.insert(origin.read_by());
                usable.push(((run.first_block, print), Candidate { segment, origin }));
            }
            if !usable.is_empty() {
                let key = (table.oid, table.relfilenode, table.definition);
                self.candidates.entry(key).or_default().extend(usable);
            }
        }
        self.packs.extend(packs);
    }

    /// The stored segment of a run whose rows have not changed since.
    pub fn find(&self, table: &Table, print: &RunPrint) -> Option<(&Segment, &Origin)> {
        if table.unplaced.is_some() || table.unsteady.is_some() {
            return None;
        }
        let key = (table.oid, table.relfilenode, table.definition.clone());
        let found = self.candidates.get(&key)?.get(&(print.run.first_block, print.fingerprint))?;
        // A frozen row keeps the id of the transaction that wrote it, and that id comes again after 2^32 transactions. So a row
        // that seems to be newer than the copy is not believed to be an old one.
        (print.newest_transaction_id < found.origin.oldest_transaction_id).then_some((&found.segment, &found.origin))
    }

    /// All that the last snapshot has of a table, whether or not it has changed since.
    pub fn kept(&self, table: &Table) -> Option<&Kept> {
        self.kept.get(&(table.oid, table.definition.clone()))
    }

    /// The packs that segments refer to.
    pub fn packs(&self) -> &[ObjectRef] {
        &self.packs
    }

    /// The attempts whose segments may be used.
    pub fn attempts(&self) -> &BTreeSet<AttemptId> {
        &self.origins
    }
}

/// Requires that two servers are one, and print rows alike.
fn same_history(then: &Server, now: &Server) -> Result<(), String> {
    let different = |what: &str, then: &dyn std::fmt::Display, now: &dyn std::fmt::Display| {
        Err(format!("the {what} was {then} at the last backup and is {now}"))
    };
    if then.system_identifier != now.system_identifier {
        return different("database cluster's system identifier", &then.system_identifier, &now.system_identifier);
    }
    if then.timeline != now.timeline {
        return different("timeline", &then.timeline, &now.timeline);
    }
    if then.version_num != now.version_num {
        return different("server's version", &then.version, &now.version);
    }
    if then.database_oid != now.database_oid {
        return different("database's object id", &then.database_oid, &now.database_oid);
    }
    if then.block_bytes != now.block_bytes {
        return different("block size", &then.block_bytes, &now.block_bytes);
    }
    if then.encoding != now.encoding {
        return different("database's encoding", &then.encoding, &now.encoding);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
