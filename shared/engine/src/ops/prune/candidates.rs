//! How each snapshot stands, as far as its fate depends on it. Pure.

use crate::catalog::{ReplicaState, SnapshotRecord, Status};
use crate::clock::Timestamp;
use crate::id::SnapshotId;
use crate::inventory::last_generations;
use crate::retention::{Candidate, Standing};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The snapshots that the policy decides on: of those that there are, with their sources and instants, the ones that did not expire.
pub(super) fn candidates<'a>(
    held: impl Iterator<Item = (SnapshotId, &'a str, Timestamp)>,
    records: &BTreeMap<SnapshotId, SnapshotRecord>,
    restoring: &BTreeSet<SnapshotId>,
) -> Vec<Candidate> {
    let is_expired = |id: &SnapshotId| records.get(id).is_some_and(|r| r.expired_at.is_some());
    let live: Vec<_> = held.filter(|(id, _, _)| !is_expired(id)).collect();
    let standing = |id: &SnapshotId| {
        let is_damaged = |r: &SnapshotRecord| r.replicas.iter().all(|r| r.state == ReplicaState::Damaged);
        match records.get(id) {
            Some(r) if r.status == Status::Completed && is_damaged(r) => Standing::Damaged,
            Some(r) if r.status == Status::Completed => Standing::Good,
            Some(r) if r.status == Status::Failed => Standing::GivenUp,
            _ => Standing::Unsettled,
        }
    };
    let good = live.iter().map(|(id, _, _)| *id).filter(|id| standing(id) == Standing::Good);
    let last: BTreeMap<[u8; 10], SnapshotId> = last_generations(good).into_iter().map(|id| (id.root(), id)).collect();
    // A pin is of a backup, whichever generation it was set on.
    let pinned: HashSet<[u8; 10]> = records.values().filter(|r| r.pin.is_some()).map(|r| r.id.root()).collect();
    // What is to be restored may have been sealed again since: then that is read.
    let restored: HashSet<[u8; 10]> = restoring.iter().map(SnapshotId::root).collect();
    let candidate = |(id, source, taken_at): &(SnapshotId, &str, Timestamp)| {
        let record = records.get(id);
        let is_superseded = last.get(&id.root()).is_some_and(|last| last > id);
        Candidate {
            id: *id,
            source: (*source).to_owned(),
            taken_at: *taken_at,
            standing: if is_superseded { Standing::Superseded } else { standing(id) },
            pinned: match is_superseded {
                true => record.is_some_and(|r| r.pin.is_some()),
                false => pinned.contains(&id.root()),
            },
            held: restoring.contains(id) || (!is_superseded && restored.contains(&id.root())),
        }
    };
    live.iter().map(candidate).collect()
}
