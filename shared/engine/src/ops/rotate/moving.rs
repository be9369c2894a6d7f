//! Seals extents again, pack by pack, and remembers where they are.

use super::record::is_of_rotation;
use super::{Rotate, Run};
use crate::clock::Timestamp;
use crate::envelope::{Context, SealKey};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::extent::{Extent, SealedExtent};
use crate::id::AttemptId;
use crate::keyring::{Purpose, context};
use crate::layout::{MOVES, ObjectKey};
use crate::limits::{CHECKPOINT_S, LOOKS_IN_FLIGHT, PACKS_AHEAD};
use crate::message;
use crate::moves::{Move, MoveList};
use crate::object::ObjectRef;
use crate::packing::Packing;
use crate::vault::{list_all, put_once};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Where everything is that was moved.
#[derive(Default)]
pub(super) struct Moves {
    packs: Vec<ObjectRef>,
    /// By the pack and the offset that an extent had.
    places: HashMap<(ObjectKey, u64), Extent>,
}

impl Moves {
    /// Where an extent is now: its pack, and its place there.
    pub(super) fn find(&self, pack: ObjectKey, offset: u64) -> Option<(ObjectRef, Extent)> {
        let extent = self.places.get(&(pack, offset))?;
        Some((self.packs[extent.pack as usize], *extent))
    }

    fn add(&mut self, list: &MoveList) {
        let first = self.packs.len() as u32;
        self.packs.extend(&list.to);
        for Move { from, from_offset, extent } in &list.moves {
            let place = Extent { pack: extent.pack + first, ..*extent };
            self.places.insert((list.from[*from as usize], *from_offset), place);
        }
    }

    /// Bytes of packs of which nothing was moved yet.
    pub(super) fn left(&self, packs: &HashMap<ObjectKey, u64>) -> u64 {
        let begun: HashSet<ObjectKey> = self.places.keys().map(|(pack, _)| *pack).collect();
        packs.iter().filter(|(key, _)| !begun.contains(key)).map(|(_, bytes)| bytes).sum()
    }

    /// Forgets what lies in packs that are not there any more.
    pub(super) fn forget(&mut self, gone: &[ObjectKey]) {
        let Self { packs, places } = self;
        places.retain(|_, extent| !gone.contains(&packs[extent.pack as usize].key));
    }
}

/// What a snapshot needs moved: by the attempt that sealed it, the pack, and the offset.
pub(super) type Needed = BTreeMap<AttemptId, BTreeMap<u32, (ObjectRef, BTreeMap<u64, Extent>)>>;

/// One pack's extents, sealed as they were.
struct Fetched {
    pack: ObjectKey,
    extents: Vec<(Extent, Bytes)>,
}

/// Extents of one attempt on their way into packs of another.
struct Again {
    from: Context,
    key: SealKey,
    packing: Packing,
    list: MoveList,
    /// Packs of the new attempt that are in lists already.
    listed: usize,
}

impl Rotate {
    /// What earlier runs of this rotation moved, under the key that seals now.
    pub(super) async fn earlier_moves(&self, since: Timestamp) -> Result<Moves> {
        let primary = self.vaults.primary();
        let mut moves = Moves::default();
        for key in list_all(&**primary, MOVES).await? {
            let Ok(key @ ObjectKey::Moves(run, _)) = key.parse() else { continue };
            if !is_of_rotation(run, since) {
                continue;
            }
            let list = async {
                let sealed = primary.get(&key).await?;
                match message::header(&sealed)? {
                    header if self.keyring.is_current(&header) => {
                        MoveList::open(&self.keyring, run, &sealed).await.map(Some)
                    }
                    _ => Ok(None),
                }
            };
            match list.await {
                Ok(list) => list.iter().for_each(|list| moves.add(list)),
                Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e),
                // What it lists is sealed again once more.
                Err(e) => tracing::warn!(object = %key, error = %e, "a list of moves cannot be used"),
            }
        }
        Ok(moves)
    }

    /// Seals extents again. False when the time was up before; what was done until then is listed.
    pub(super) async fn move_all(&self, run: &mut Run, needed: Needed) -> Result<bool> {
        for (attempt, packs) in needed {
            if !self.move_attempt(run, attempt, packs).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn move_attempt(
        &self,
        run: &mut Run,
        attempt: AttemptId,
        packs: BTreeMap<u32, (ObjectRef, BTreeMap<u64, Extent>)>,
    ) -> Result<bool> {
        let new = AttemptId::new(&*self.clock, &*self.entropy)?;
        let (from, key) = (context(Purpose::Rows, attempt)?, self.keyring.seal_key(Purpose::Rows, new).await?);
        let packing = Packing::new(Arc::clone(self.vaults.primary()), new, Arc::new(|_| {}));
        let mut again = Again { from, key, packing, list: MoveList::new(), listed: 0 };
        let fetches = stream::iter(packs.into_values()).map(|(pack, extents)| self.fetch(pack, extents));
        let mut fetches = fetches.buffered(PACKS_AHEAD);
        let mut begun = self.clock.now();
        loop {
            let is_last = match fetches.try_next().await {
                Ok(Some(fetched)) => self.seal_pack(run, &mut again, fetched).await.map(|()| false),
                Ok(None) => Ok(true),
                Err(e) => Err(e),
            };
            let in_time = !self.is_out_of_time(run.deadline);
            let is_due = self.clock.now().since(begun) >= CHECKPOINT_S * 1_000;
            let listed = if is_due || !in_time || !matches!(is_last, Ok(false)) {
                begun = self.clock.now();
                self.list(run, &mut again).await
            } else {
                Ok(())
            };
            // What comes before a damaged pack is listed, or every run would seal it anew.
            let is_last = is_last?;
            listed?;
            self.tell(run).await?;
            if is_last || !in_time {
                return Ok(is_last);
            }
        }
    }

    async fn seal_pack(&self, run: &mut Run, again: &mut Again, fetched: Fetched) -> Result<()> {
        let from = again.list.from.len() as u32;
        again.list.from.push(fetched.pack);
        for (extent, sealed) in fetched.extents {
            let sealed = message::seal_again(&self.keyring, &again.from, &sealed, &again.key).await;
            let sealed = sealed.context(format!("seal {} again", fetched.pack))?;
            let place = again.packing.add(&SealedExtent { sealed, bytes: extent.bytes }).await?;
            again.list.moves.push(Move { from, from_offset: extent.offset, extent: place });
            run.bytes += extent.length;
        }
        Ok(())
    }

    /// Stores what was moved since the last time, and writes down where it is.
    async fn list(&self, run: &mut Run, again: &mut Again) -> Result<()> {
        if again.list.moves.is_empty() {
            return Ok(());
        }
        again.packing.flush().await?;
        let mut full = std::mem::take(&mut again.list);
        let packs = again.packing.packs().await;
        // After a pack that could not be stored, those behind it may be.
        if packs.iter().any(|(_, is_stored)| !is_stored) {
            return Err(Error::internal("what was sealed again is not all stored"));
        }
        full.to = packs[again.listed..].iter().map(|(pack, _)| *pack).collect();
        // The builder numbers the packs of an attempt; the list numbers its own.
        full.moves.iter_mut().for_each(|m| m.extent.pack -= again.listed as u32);
        again.listed = packs.len();
        let key = ObjectKey::Moves(run.id, run.lists);
        if key.to_string().parse::<ObjectKey>().is_err() {
            return Err(Error::exhausted("one run of rotate stores at most 10,000 lists"));
        }
        run.lists += 1;
        let list_key = match &run.list_key {
            Some(key) => key,
            None => run.list_key.insert(self.keyring.seal_key(Purpose::Checkpoint, run.id).await?),
        };
        put_once(&**self.vaults.primary(), &key, &full.seal(&self.keyring, list_key)?).await?;
        run.moves.add(&full);
        Ok(())
    }

    async fn fetch(&self, pack: ObjectRef, extents: BTreeMap<u64, Extent>) -> Result<Fetched> {
        let vault = self.vaults.primary();
        let from = || format!("read {} in the {}", pack.key, vault.place());
        let wanted: u64 = extents.values().map(|e| e.length).sum();
        // Requests cost more than bytes.
        let whole = match wanted * 4 >= pack.length {
            true => Some(vault.get(&pack.key).await.context(from())?),
            false => None,
        };
        let fetch = |extent: Extent| {
            let whole = whole.clone();
            async move {
                let bytes = match &whole {
                    Some(whole) => slice(whole, extent).context(from())?,
                    None => vault.get_range(&pack.key, extent.offset, extent.length).await.context(from())?,
                };
                Ok::<_, Error>((extent, bytes))
            }
        };
        let extents = stream::iter(extents.into_values()).map(fetch).buffered(LOOKS_IN_FLIGHT).try_collect().await?;
        Ok(Fetched { pack: pack.key, extents })
    }
}

fn slice(whole: &Bytes, extent: Extent) -> Result<Bytes> {
    let place = usize::try_from(extent.offset).ok().zip(usize::try_from(extent.length).ok());
    let range = place.and_then(|(offset, length)| Some(offset..offset.checked_add(length)?));
    let range = range.filter(|range| range.end <= whole.len());
    range.map(|range| whole.slice(range)).ok_or_else(|| Error::corrupt("the pack is shorter than what lies in it"))
}
