//! Moves what is left of packs of which this snapshot needs little into new packs, so that the old ones can go with the last snapshot that
//! needs the rest. Bytes are copied as they are sealed: nothing is opened.
//!
//! It pays where what is saved is much more than what is moved: see [`limits::REPACK_LIVE_PARTS`] and [`limits::REPACK_DEAD_BYTES_MIN`]. It
//! is never needed: where anything is in its way, the snapshot names the old packs.

use super::Backup;
use super::attempt::Attempt;
use super::progress::Counters;
use super::reading::Read;
use crate::blob::Blob;
use crate::error::{Error, Result, ResultExt};
use crate::extent::{Extent, SealedExtent};
use crate::id::AttemptId;
use crate::layout::ObjectKey;
use crate::limits::{REPACK_BYTES_MAX, REPACK_DEAD_BYTES_MIN, REPACK_LIVE_PARTS, REPACK_NUMBERS, REPACK_READ_MAX};
use crate::object::{ObjectRef, UsedPacks};
use crate::pack::PackBuilder;
use crate::stage::{Sealed, Storable};
use crate::vault::put_once;
use std::collections::{BTreeMap, HashMap};
use tokio::sync::watch;

/// What of a pack this snapshot needs, by offset.
type Live = BTreeMap<u64, Extent>;

/// Where extents are now, by the pack and the offset that they had.
type Moved = HashMap<(ObjectKey, u64), (ObjectRef, Extent)>;

impl Backup {
    /// Moves what pays. Answers how many bytes were moved.
    pub(super) async fn repack(&self, read: &mut Read, blobs: &mut [Blob], attempt: &Attempt<'_>) -> u64 {
        let (mut moved_bytes, mut read_bytes) = (0, 0);
        let (own, stop, counters) = (attempt.id, &attempt.stop, &attempt.counters);
        for (attempt, packs) in sparse(read, blobs, own) {
            let live: u64 = packs.iter().flat_map(|(_, live)| live.values()).map(|e| e.length).sum();
            let whole: u64 = packs.iter().map(|(pack, _)| pack.length).sum();
            if moved_bytes + live > REPACK_BYTES_MAX || read_bytes + whole > REPACK_READ_MAX {
                continue;
            }
            read_bytes += whole;
            match self.move_live(attempt, &packs, stop, counters).await {
                Ok(moved) => {
                    renew(read, blobs, &moved);
                    moved_bytes += live;
                    tracing::info!(%attempt, packs = packs.len(), bytes = live, "packs of which little is needed were repacked");
                }
                Err(e) => {
                    tracing::warn!(%attempt, kind = %e.kind(), error = %e, "packs could not be repacked; they stay as they are")
                }
            }
        }
        moved_bytes
    }

    /// Copies what an attempt sealed into packs of its own name with new numbers.
    async fn move_live(
        &self,
        attempt: AttemptId,
        packs: &[(ObjectRef, Live)],
        stop: &watch::Receiver<bool>,
        counters: &Counters,
    ) -> Result<Moved> {
        let vault = self.vaults.primary();
        let mut random = [0; 4];
        self.entropy.fill(&mut random)?;
        // Attempts number from 0 up, and no attempt comes this far. A name is used once also where something of that name was
        // deleted here and is locked elsewhere: then chance keeps the two apart.
        let first =
            REPACK_NUMBERS.start() + u32::from_le_bytes(random) % (REPACK_NUMBERS.end() - REPACK_NUMBERS.start());
        let mut builder = PackBuilder::numbered_from(attempt, first);
        let (mut moved, mut full, mut places) = (Moved::new(), Vec::new(), Vec::new());
        for (pack, live) in packs {
            if *stop.borrow() {
                return Err(Error::exhausted("the time is up"));
            }
            let from = || format!("read {} in the {}", pack.key, vault.place());
            let bytes = vault.get(&pack.key).await.context(from())?;
            // What is copied without being opened must be what was stored.
            let whole = Storable::fetched(bytes, pack.sha256).context(from())?;
            for extent in live.values() {
                let range = extent.offset as usize..(extent.offset + extent.length) as usize;
                let sealed =
                    whole.bytes().get(range).ok_or_else(|| Error::corrupt("an extent lies outside of its pack"))?;
                let place = builder.append(&SealedExtent { sealed: Sealed(sealed.to_vec()), bytes: extent.bytes });
                places.push((pack.key, extent.offset, place));
            }
            if builder.is_full() {
                full.extend(builder.take()?);
            }
        }
        full.extend(builder.take()?);
        for (key, body) in &full {
            put_once(&**vault, key, body).await.context("store what was repacked")?;
            Counters::add(&counters.bytes_stored, body.len() as u64);
        }
        for (pack, offset, place) in places {
            let (key, body) = &full[(place.pack - first) as usize];
            moved.insert((pack, offset), (ObjectRef::of(*key, body), place));
        }
        Ok(moved)
    }
}

/// The packs of which a snapshot needs little, of each attempt for which it pays to move that, oldest first.
fn sparse(read: &Read, blobs: &[Blob], own: AttemptId) -> BTreeMap<AttemptId, Vec<(ObjectRef, Live)>> {
    let mut live: Vec<Live> = read.packs.iter().map(|_| Live::new()).collect();
    let rows = read.tables.iter().flat_map(|t| &t.segments).flat_map(|s| &s.extents);
    let stored = blobs.iter().filter_map(|b| b.content.as_ref()).flat_map(|c| &c.extents);
    for extent in rows.chain(stored) {
        live[extent.pack as usize].insert(extent.offset, *extent);
    }
    let mut sparse: BTreeMap<AttemptId, Vec<(ObjectRef, Live)>> = BTreeMap::new();
    let bytes = |live: &Live| live.values().map(|e| e.length).sum::<u64>();
    for (pack, live) in read.packs.iter().zip(live) {
        if let ObjectKey::Pack(attempt, _) = pack.key
            && attempt != own
            && !live.is_empty()
            && bytes(&live) * REPACK_LIVE_PARTS <= pack.length
        {
            sparse.entry(attempt).or_default().push((*pack, live));
        }
    }
    sparse.retain(|_, packs| {
        packs.iter().map(|(pack, live)| pack.length - bytes(live)).sum::<u64>() >= REPACK_DEAD_BYTES_MIN
    });
    sparse
}

/// Makes a snapshot name the new packs, and no longer those that nothing of it is left in.
fn renew(read: &mut Read, blobs: &mut [Blob], moved: &Moved) {
    let before = std::mem::take(&mut read.packs);
    let mut used = UsedPacks::default();
    let rows = read.tables.iter_mut().flat_map(|t| &mut t.segments).flat_map(|s| &mut s.extents);
    let stored = blobs.iter_mut().filter_map(|b| b.content.as_mut()).flat_map(|c| &mut c.extents);
    for extent in rows.chain(stored) {
        let pack = before[extent.pack as usize];
        let (pack, place) = moved.get(&(pack.key, extent.offset)).copied().unwrap_or((pack, *extent));
        *extent = Extent { pack: used.place(pack), ..place };
    }
    read.packs = used.packs;
}
