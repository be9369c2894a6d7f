//! The next generation of a manifest: what of it has to be moved, and what it is when that is done. Pure.

use super::moving::{Moves, Needed};
use crate::error::{Error, Result};
use crate::extent::Extent;
use crate::id::{AttemptId, SnapshotId};
use crate::layout::ObjectKey;
use crate::manifest::{Manifest, Origin};
use crate::object::{ObjectRef, UsedPacks};
use std::collections::{BTreeMap, HashMap};

/// The extents of a manifest: those of rows, and those of objects of Storage.
fn extents(manifest: &mut Manifest) -> impl Iterator<Item = &mut Extent> {
    let rows = manifest.tables.iter_mut().flat_map(|t| &mut t.segments).flat_map(|s| &mut s.extents);
    let blobs = manifest.blobs.iter_mut().filter_map(|b| b.content.as_mut()).flat_map(|c| &mut c.extents);
    rows.chain(blobs)
}

/// Whether a pack is under a former key, and the attempt that sealed it.
fn sealed_by(pack: &ObjectRef, stale: &HashMap<AttemptId, bool>) -> Result<(AttemptId, bool)> {
    match pack.key {
        ObjectKey::Pack(attempt, _) => Ok((attempt, stale.get(&attempt).copied().unwrap_or(false))),
        key => Err(Error::corrupt(format!("the manifest says that bytes lie in {key}, which is no pack"))),
    }
}

/// What of a snapshot is under a former key, and was not moved yet.
pub(super) fn needed(manifest: &mut Manifest, stale: &HashMap<AttemptId, bool>, moves: &Moves) -> Result<Needed> {
    let packs = manifest.packs.clone();
    let mut needed = Needed::new();
    for extent in extents(manifest) {
        let pack = packs[extent.pack as usize];
        let (attempt, is_stale) = sealed_by(&pack, stale)?;
        if is_stale && moves.find(pack.key, extent.offset).is_none() {
            let packs = needed.entry(attempt).or_default();
            let (_, extents) = packs.entry(extent.pack).or_insert_with(|| (pack, BTreeMap::new()));
            extents.insert(extent.offset, *extent);
        }
    }
    Ok(needed)
}

/// The next generation of a snapshot: everything is where it was moved to.
pub(super) fn moved(
    mut manifest: Manifest,
    own: AttemptId,
    next: SnapshotId,
    stale: &HashMap<AttemptId, bool>,
    moves: &Moves,
) -> Result<Manifest> {
    let (before, mut used) = (std::mem::take(&mut manifest.packs), UsedPacks::default());
    let known: HashMap<AttemptId, Origin> = manifest.origins.drain(..).map(|o| (o.attempt, o)).collect();
    let mut origins = BTreeMap::new();
    origins.extend(known.get(&manifest.attempt).map(|o| (own, o.sealed_again(own))));
    for extent in extents(&mut manifest) {
        let from = before[extent.pack as usize];
        let (attempt, is_stale) = sealed_by(&from, stale)?;
        let (pack, place) = match is_stale {
            false => (from, *extent),
            true => moves
                .find(from.key, extent.offset)
                .ok_or_else(|| Error::internal(format!("bytes of {} were to be moved and were not", from.key)))?,
        };
        let (sealer, _) = sealed_by(&pack, stale)?;
        if let Some(origin) = known.get(&attempt) {
            let again = || if is_stale { origin.sealed_again(sealer) } else { *origin };
            origins.entry(sealer).or_insert_with(again);
        }
        *extent = Extent { pack: used.place(pack), bytes: extent.bytes, ..place };
    }
    manifest.origins = origins.into_values().collect();
    (manifest.snapshot, manifest.attempt, manifest.packs) = (next, own, used.packs);
    Ok(manifest)
}
