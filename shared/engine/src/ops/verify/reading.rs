//! Whether what is there opens, and to what was backed up: manifests, schema archives, segments and objects of Storage, by the
//! format's reader alone.

use super::record::VerificationRecord;
use super::rotation::Rotation;
use super::subject::Subject;
use super::{Level, Verify};
use crate::blob;
use crate::catalog::{FindingCode, SnapshotRecord};
use crate::clock::Timestamp;
use crate::compress::decompress;
use crate::contents::{self, Contents};
use crate::envelope::{Decoded, Header};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::extent::Extent;
use crate::id::{AttemptId, SnapshotId};
use crate::inventory::Inventory;
use crate::keyring::{Purpose, context};
use crate::layout::ObjectKey;
use crate::limits::{READS_IN_FLIGHT, SCHEMA_BYTES_MAX};
use crate::manifest::Manifest;
use crate::message;
use crate::object::ObjectRef;
use crate::segment::{self, Segment};
use crate::stage::Sha256;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What is opened.
#[derive(Clone)]
enum What {
    Schema(ObjectRef, AttemptId),
    Segment(Segment),
    Blob(blob::BlobContent),
}

/// The order in which things are read: the hour whose share it is, the vault, the object and the place in it.
type Place = (i64, usize, ObjectKey, u64);

/// One read, and the subjects that it is about.
struct Item {
    what: What,
    packs: Arc<Vec<ObjectRef>>,
    subjects: Vec<usize>,
}

/// What one read showed.
enum Shown {
    Sound(u64),
    Wrong(FindingCode, ObjectKey, String),
}

/// What came of reading.
pub(super) struct Read {
    pub(super) reread: Reread,
    /// Whether the time sufficed.
    pub(super) in_time: bool,
    /// What did not answer.
    pub(super) failed: Option<Error>,
}

/// What was read again of what had been found wrong.
pub(super) type Reread = HashSet<(usize, ObjectKey)>;

impl Verify {
    /// Reads what is due. A vault or a key service that does not answer keeps the others from nothing.
    pub(super) async fn read(
        &self,
        subjects: &mut [Subject],
        records: &BTreeMap<SnapshotId, SnapshotRecord>,
        rotation: Rotation,
        level: Level,
        record: &mut VerificationRecord,
        deadline: Option<Timestamp>,
    ) -> Result<Read> {
        let wrong_before = self.wrong_before(records);
        let mut failed: [Option<Error>; 3] = [const { None }; 3];
        let mut reread = Reread::new();
        let mut items: BTreeMap<Place, Item> = BTreeMap::new();
        let snapshots: BTreeSet<SnapshotId> = subjects.iter().map(|s| s.snapshot).collect();
        for id in snapshots {
            let of: Vec<usize> = (0..subjects.len()).filter(|n| subjects[*n].snapshot == id).collect();
            let mut opened = None;
            for n in self.in_order(&of, subjects, rotation) {
                let vault = subjects[n].vault;
                let again = [ObjectKey::Manifest(id), ObjectKey::Inventory(id)].map(|key| (vault, key));
                let again: Vec<_> = again.into_iter().filter(|place| wrong_before.contains(place)).collect();
                let is_wanted = level == Level::Everything || !again.is_empty() || subjects[n].unlike_catalog.is_some();
                if failed[vault].is_some() || (opened.is_some() && !is_wanted) {
                    continue;
                }
                let manifest = match self.open_manifest(&mut subjects[n]).await {
                    Ok(manifest) => manifest,
                    Err(e) => {
                        failed[vault] = Some(e);
                        continue;
                    }
                };
                if let Some((manifest, bytes)) = manifest {
                    record.vaults[vault].read += 1;
                    record.vaults[vault].read_bytes += bytes;
                    opened.get_or_insert(manifest);
                    subjects[n].corrects_catalog = subjects[n].unlike_catalog.take();
                } else if subjects[n].unlike_catalog.is_some() && subjects[n].is_sound(ObjectKey::Inventory(id)) {
                    let why = "the inventory is not the one that the catalog knows";
                    subjects[n].note(FindingCode::Altered, ObjectKey::Inventory(id), why);
                }
                reread.extend(again);
            }
            if let Some(manifest) = opened {
                self.plan(&manifest, &of, subjects, &wrong_before, rotation, level, &mut items);
            }
        }
        let mut items = items.into_iter().peekable();
        while let Some(((hour, ..), _)) = items.peek() {
            let hour = *hour;
            if self.is_out_of_time(deadline) {
                return Ok(Read { reread, in_time: false, failed: failed.into_iter().flatten().next() });
            }
            let share: Vec<(Place, Item)> = std::iter::from_fn(|| items.next_if(|((h, ..), _)| *h == hour)).collect();
            let again: Vec<(usize, ObjectKey)> = share.iter().map(|((_, vault, key, _), _)| (*vault, *key)).collect();
            self.read_share(share, subjects, record, &mut failed).await;
            // Everything of what was wrong before comes first, as a share of its own.
            reread.extend(again.into_iter().filter(|(vault, _)| hour < rotation.first && failed[*vault].is_none()));
            if level == Level::Due {
                record.read_to_hour = record.read_to_hour.max(hour + 1);
            }
        }
        record.read_to_hour = record.read_to_hour.max(rotation.end);
        Ok(Read { reread, in_time: true, failed: failed.into_iter().flatten().next() })
    }

    /// Where reading found something wrong before.
    fn wrong_before(&self, records: &BTreeMap<SnapshotId, SnapshotRecord>) -> Reread {
        let of_vault = |vault: usize| {
            let role = self.vaults.all()[vault].place().role;
            let replicas = records.values().flat_map(move |r| r.replicas.iter().filter(move |p| p.place.role == role));
            let findings = replicas.flat_map(|replica| replica.findings.iter().filter(|f| f.takes_reading()));
            findings.map(move |f| (vault, f.object))
        };
        (0..self.vaults.all().len()).flat_map(of_vault).collect()
    }

    /// The subjects of one snapshot whose manifest may be opened, the vault whose turn it is first.
    fn in_order(&self, of: &[usize], subjects: &[Subject], rotation: Rotation) -> Vec<usize> {
        let vaults = self.vaults.all().len();
        let first = rotation.manifest_vault(vaults);
        let mut order: Vec<usize> = of.iter().copied().filter(|n| subjects[*n].inventory.is_some()).collect();
        order.sort_by_key(|n| (subjects[*n].vault + vaults - first) % vaults);
        order
    }

    /// The manifest of a subject and its stored length; none where it cannot be had, and the subject says why then.
    async fn open_manifest(&self, subject: &mut Subject) -> Result<Option<(Manifest, u64)>> {
        let Some(inventory) = subject.inventory.clone() else { return Ok(None) };
        let object = inventory.manifest;
        if !subject.is_sound(object.key) {
            return Ok(None);
        }
        let vault = subject.vault;
        let sealed = match self.whole(vault, &object).await? {
            Ok(sealed) => sealed,
            Err((code, why)) => {
                subject.note(code, object.key, why);
                return Ok(None);
            }
        };
        match Manifest::open(&self.keyrings[vault], inventory.attempt, &sealed).await {
            Ok(manifest) => {
                // The manifest is sealed, the inventory is not.
                if let Some(why) = difference(&manifest, &inventory) {
                    subject.note(FindingCode::ListsDiffer, inventory.key(), why);
                    return Ok(None);
                }
                contents::keep(&*self.catalog, &Contents::of(&manifest)).await?;
                Ok(Some((manifest, object.length)))
            }
            Err(e) => {
                let code = self.why_closed(vault, Purpose::Manifest, inventory.attempt, &sealed, &e).await?;
                subject.note(code, object.key, e);
                Ok(None)
            }
        }
    }

    /// Adds what is due of a snapshot.
    #[allow(clippy::too_many_arguments, reason = "the parts of one run, each borrowed differently")]
    fn plan(
        &self,
        manifest: &Manifest,
        of: &[usize],
        subjects: &[Subject],
        wrong_before: &Reread,
        rotation: Rotation,
        level: Level,
        items: &mut BTreeMap<Place, Item>,
    ) {
        let packs = Arc::new(manifest.packs.clone());
        let schema = (What::Schema(manifest.schema, manifest.attempt), manifest.schema.key, 0);
        let pack = |extent: &Extent| manifest.packs.get(extent.pack as usize).map(|p| p.key);
        let segments = manifest.tables.iter().flat_map(|t| &t.segments).filter_map(|s| {
            let first = s.extents.first()?;
            Some((What::Segment(s.clone()), pack(first)?, first.offset))
        });
        let contents = manifest.blobs.iter().filter_map(|b| b.content.as_ref());
        let blobs = contents.filter_map(|content| {
            let first = content.extents.first()?;
            Some((What::Blob(content.clone()), pack(first)?, first.offset))
        });
        for (what, key, offset) in std::iter::once(schema).chain(segments).chain(blobs) {
            let turn = rotation.turn(&key, offset, self.vaults.all().len());
            for n in of {
                let (subject, vault) = (&subjects[*n], subjects[*n].vault);
                let hour = match turn {
                    _ if objects(&what, &packs).any(|o| wrong_before.contains(&(vault, o.key))) => rotation.first - 1,
                    Some(turn) if turn.vault == vault || level == Level::Everything => turn.hour,
                    _ => continue,
                };
                if subject.inventory.is_none() || objects(&what, &packs).any(|o| !subject.is_sound(o.key)) {
                    continue;
                }
                let item = || Item { what: what.clone(), packs: Arc::clone(&packs), subjects: Vec::new() };
                items.entry((hour, vault, key, offset)).or_insert_with(item).subjects.push(*n);
            }
        }
    }

    async fn read_share(
        &self,
        share: Vec<(Place, Item)>,
        subjects: &mut [Subject],
        record: &mut VerificationRecord,
        failed: &mut [Option<Error>; 3],
    ) {
        let skipped = [0, 1, 2].map(|vault| failed[vault].is_some());
        let share = share.into_iter().filter(|((_, vault, ..), _)| !skipped[*vault]);
        let reads = stream::iter(share).map(|((_, vault, ..), item)| async move {
            let shown = self.read_item(vault, &item).await;
            (vault, item.subjects, shown)
        });
        let mut reads = reads.buffer_unordered(READS_IN_FLIGHT);
        while let Some(read) = reads.next().await {
            let (vault, of, shown) = read;
            match shown {
                Err(e) => failed[vault] = Some(e),
                Ok(Shown::Sound(bytes)) => {
                    record.vaults[vault].read += 1;
                    record.vaults[vault].read_bytes += bytes;
                }
                Ok(Shown::Wrong(code, key, why)) => of.iter().for_each(|n| subjects[*n].note(code, key, &why)),
            }
        }
    }

    async fn read_item(&self, vault: usize, item: &Item) -> Result<Shown> {
        let (store, keyring) = (Arc::clone(&self.vaults.all()[vault]), Arc::clone(&self.keyrings[vault]));
        let keys = || Arc::new(item.packs.iter().map(|p| p.key).collect::<Vec<_>>());
        let stored = objects(&item.what, &item.packs);
        let read = match &item.what {
            What::Schema(object, attempt) => return self.read_schema(vault, object, *attempt).await,
            What::Segment(segment) => drain(segment::read(store, keyring, keys(), segment.clone())).await,
            What::Blob(content) => drain(blob::read(store, keyring, keys(), content.clone())).await,
        };
        let extents = extents(&item.what);
        let error = match read {
            Ok(()) => return Ok(Shown::Sound(extents.iter().map(|e| e.length).sum())),
            Err(e) => e,
        };
        // Which of its objects it is, and whether the bytes are still those that were stored.
        for object in stored {
            let bytes = match self.whole(vault, &object).await? {
                Ok(bytes) => bytes,
                Err((code, why)) => return Ok(Shown::Wrong(code, object.key, why)),
            };
            let ObjectKey::Pack(attempt, _) = object.key else { continue };
            for extent in extents.iter().filter(|e| item.packs.get(e.pack as usize) == Some(&object)) {
                let range =
                    usize::try_from(extent.offset).ok().zip(usize::try_from(extent.offset + extent.length).ok());
                let sealed = range.and_then(|(from, to)| bytes.get(from..to)).unwrap_or_default();
                let code = self.why_closed(vault, Purpose::Rows, attempt, sealed, &error).await?;
                if code != FindingCode::Unreadable {
                    return Ok(Shown::Wrong(code, object.key, error.to_string()));
                }
            }
        }
        let first = extents.first().and_then(|e| item.packs.get(e.pack as usize)).map(|p| p.key);
        let first = first.ok_or_else(|| Error::internal("a segment without a pack"))?;
        Ok(Shown::Wrong(FindingCode::Unreadable, first, error.to_string()))
    }

    async fn read_schema(&self, vault: usize, object: &ObjectRef, attempt: AttemptId) -> Result<Shown> {
        let sealed = match self.whole(vault, object).await? {
            Ok(sealed) => sealed,
            Err((code, why)) => return Ok(Shown::Wrong(code, object.key, why)),
        };
        let opened = message::open(&self.keyrings[vault], &context(Purpose::Schema, attempt)?, &sealed).await;
        match opened.and_then(|compressed| decompress(&compressed, SCHEMA_BYTES_MAX)) {
            Ok(_) => Ok(Shown::Sound(object.length)),
            Err(e) => {
                let code = self.why_closed(vault, Purpose::Schema, attempt, &sealed, &e).await?;
                Ok(Shown::Wrong(code, object.key, e.to_string()))
            }
        }
    }

    /// The bytes of an object, or what is wrong with them. An error is only what says nothing of the object.
    async fn whole(
        &self,
        vault: usize,
        object: &ObjectRef,
    ) -> Result<std::result::Result<Bytes, (FindingCode, String)>> {
        let store = &self.vaults.all()[vault];
        match store.get(&object.key).await {
            Ok(bytes) if Sha256::of(&bytes) == object.sha256 => Ok(Ok(bytes)),
            Ok(_) => {
                Ok(Err((FindingCode::Altered, "the store holds another object than the manifest names".to_owned())))
            }
            Err(e) if e.kind() == ErrorKind::Corrupt => Ok(Err((FindingCode::Rotten, e.to_string()))),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                Ok(Err((FindingCode::Missing, "the object is not there any more".to_owned())))
            }
            Err(e) => Err(e.context(format!("read {} in the {}", object.key, store.place()))),
        }
    }

    /// Why bytes that are what was stored do not open. An error is only what says nothing of them.
    async fn why_closed(
        &self,
        vault: usize,
        purpose: Purpose,
        attempt: AttemptId,
        sealed: &[u8],
        error: &Error,
    ) -> Result<FindingCode> {
        if error.kind() == ErrorKind::Unsupported {
            return Ok(FindingCode::NewerFormat);
        }
        let unexplained = || match error.kind() {
            ErrorKind::Corrupt => Ok(FindingCode::Unreadable),
            kind => Err(Error::new(kind, error.to_string())),
        };
        let Ok(Decoded::Header(header, _)) = Header::decode(sealed) else { return unexplained() };
        let expected = context(purpose, attempt)?;
        if header.context != expected {
            return unexplained();
        }
        match self.keyrings[vault].data_key(&header, &expected).await {
            Ok(_) => unexplained(),
            Err(e) => match e.kind() {
                ErrorKind::Denied | ErrorKind::NotFound => Ok(FindingCode::KeyRefused),
                ErrorKind::Corrupt => Ok(FindingCode::OtherKey),
                _ => Err(e).context(format!("unwrap a data key for the {}", self.vaults.all()[vault].place())),
            },
        }
    }
}

/// In what the manifest and the inventory differ, if they do.
fn difference(manifest: &Manifest, inventory: &Inventory) -> Option<String> {
    let tally = manifest.tally();
    let agree = [
        ("the snapshot", manifest.snapshot == inventory.snapshot),
        ("the attempt", manifest.attempt == inventory.attempt),
        ("the source", manifest.source == inventory.source),
        ("the time", manifest.taken_at == inventory.taken_at),
        ("the schema archive", manifest.schema == inventory.schema),
        ("the packs", manifest.packs == inventory.packs),
        ("the number of tables", manifest.tables.len() as u64 == inventory.tables),
        ("the number of rows", (tally.rows, tally.bytes) == (inventory.rows, inventory.bytes)),
    ];
    let differ: Vec<&str> = agree.into_iter().filter(|(_, same)| !same).map(|(what, _)| what).collect();
    (!differ.is_empty()).then(|| format!("the manifest and the inventory differ in {}", differ.join(", ")))
}

fn extents(what: &What) -> &[Extent] {
    match what {
        What::Schema(..) => &[],
        What::Segment(segment) => &segment.extents,
        What::Blob(content) => &content.extents,
    }
}

/// The objects that something lies in.
fn objects(what: &What, packs: &[ObjectRef]) -> impl Iterator<Item = ObjectRef> {
    let schema = if let What::Schema(object, _) = what { Some(*object) } else { None };
    let mut of: Vec<u32> = extents(what).iter().map(|e| e.pack).collect();
    of.sort_unstable();
    of.dedup();
    let packs: Vec<ObjectRef> = of.into_iter().filter_map(|n| packs.get(n as usize).copied()).collect();
    schema.into_iter().chain(packs)
}

async fn drain(mut chunks: futures::stream::BoxStream<'static, Result<Bytes>>) -> Result<()> {
    while let Some(chunk) = chunks.next().await {
        chunk?;
    }
    Ok(())
}
