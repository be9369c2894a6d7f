//! Seals again what a former key sealed: what one does after a compromise, once the deployment has a new key.
//!
//! What is to be done is not asked for: it is seen. As long as any backup that is kept has a manifest or a pack under another key
//! than the one that seals now, it is sealed again, newest first: its rows into new packs, its schema and manifest anew, and an
//! inventory last. That makes another generation of the same backup; the one before it goes when the new one is whole in all
//! vaults, by `prune`. So a run that is stopped at any point is gone on with by the next, backups may go on meanwhile, and what
//! they reuse of what is not sealed again yet comes later.
//!
//! Always holds: rows are never decompressed; the rows' digests stay those that the attempt that read them wrote down. Never:
//! deletes anything.

mod generation;
mod moving;
mod record;
mod survey;

pub use record::{NotSealed, RotationRecord, RotationState};
pub(crate) use record::{is_of_rotation, rotating_since};

use crate::catalog::{self, Catalog, SnapshotRecord, Status};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::envelope::SealKey;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::{AttemptId, RotationId, SnapshotId};
use crate::inventory::{self, Inventory};
use crate::keyring::{Keyring, Purpose, context};
use crate::layout::{ObjectKey, SNAPSHOTS};
use crate::limits::{
    DEADLINE_MARGIN_MAX_S, LOOKS_IN_FLIGHT, MANIFEST_LEVEL, NOT_SEALED_KEPT, PROGRESS_MS, ROTATE_LEASE_S,
};
use crate::manifest::Manifest;
use crate::message;
use crate::object::ObjectRef;
use crate::ops::rebuild;
use crate::stage::{Sha256, Storable};
use crate::vault::{ObjectMeta, Vaults, list_all, put_once};
use futures::stream::{self, StreamExt, TryStreamExt};
use generation::{moved, needed};
use moving::Moves;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use survey::Survey;
use tracing::Instrument;

/// The name of the lease.
const LEASE: &str = "rotate";

/// The operation and its ports.
pub struct Rotate {
    /// The three vaults. Only the primary is read and written; the others are listed.
    pub vaults: Vaults,
    /// The keys of the primary's region, former ones included.
    pub keyring: Arc<Keyring>,
    /// The records.
    pub catalog: Arc<dyn Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Of backups that nobody let go.
type Records = BTreeMap<SnapshotId, SnapshotRecord>;

/// One run.
struct Run {
    /// Its own id, for its lists.
    id: AttemptId,
    rotation: RotationRecord,
    deadline: Option<Timestamp>,
    moves: Moves,
    lists: u32,
    list_key: Option<SealKey>,
    /// Bytes sealed again in this run.
    bytes: u64,
    /// What of it was told, and when.
    told: (u64, Timestamp),
}

impl Rotate {
    /// Goes on with the rotation that is under way, or begins one where there is something to do. Answers how far it is; nothing
    /// where there is nothing to do.
    ///
    /// # Errors
    /// `Conflict` when another run is under way; those of the primary vault and of the catalog. What is wrong with one backup
    /// is in the record, and does not keep the others back.
    pub async fn run(&self, deadline: Option<Timestamp>) -> Result<Option<RotationRecord>> {
        let id = AttemptId::new(&*self.clock, &*self.entropy)?;
        let now = self.clock.now();
        let until = deadline.unwrap_or_else(|| now.plus_s(ROTATE_LEASE_S));
        let lease = self.catalog.acquire(LEASE, &id.to_string(), now, until).await;
        let lease = lease.context("take the lease to rotate")?;
        let result = self.run_leased(id, deadline).await;
        if let Err(e) = self.catalog.renew(&lease, Timestamp::from_millis(0)).await {
            tracing::warn!(error = %e, "could not give the lease back; it expires by itself");
        }
        result
    }

    async fn run_leased(&self, id: AttemptId, deadline: Option<Timestamp>) -> Result<Option<RotationRecord>> {
        let last = record::last(&*self.catalog).await?;
        let open = last.clone().filter(|r| r.state == RotationState::Running);
        if open.is_none() && !self.keyring.has_former() {
            return Ok(None);
        }
        let records = self.records().await?;
        if open.is_none() && self.is_settled(last.as_ref(), &records).await? {
            return Ok(None);
        }
        let ids = inventory::list(&**self.vaults.primary()).await?;
        let records = self.put_back(records, &ids).await?;
        self.supersede(&records).await?;
        let survey = self.survey(&records, &ids).await?;
        let rotation = match open {
            Some(open) => open,
            None if survey.is_empty() && unsettled(&records) == 0 => return Ok(None),
            None => self.begin().await?,
        };
        let moves = self.earlier_moves(rotation.started_at).await?;
        let told = (0, self.clock.now());
        let mut run = Run { id, rotation, deadline, moves, lists: 0, list_key: None, bytes: 0, told };
        run.rotation.of = Some(all_of(&records));
        self.seal_all(&mut run, survey).await.map(Some)
    }

    /// Whether nothing can have come since the last rotation: no other backup, and no other key. Then not everything is looked at.
    async fn is_settled(&self, last: Option<&RotationRecord>, records: &Records) -> Result<bool> {
        if unsettled(records) > 0 {
            return Ok(false);
        }
        let newest = records.values().rev().find(|r| r.status == Status::Completed);
        let (Some(last), Some(newest)) = (last, newest) else { return Ok(newest.is_none()) };
        if last.of != Some(all_of(records)) {
            return Ok(false);
        }
        let (primary, key) = (self.vaults.primary(), ObjectKey::Manifest(newest.id));
        match primary.head(&key).await.context(format!("look at {key} in the {}", primary.place()))? {
            Some(ObjectMeta { length, .. }) => self.is_current(key, length).await,
            None => Ok(false),
        }
    }

    /// Those of backups that nobody let go.
    async fn records(&self) -> Result<Records> {
        let records = catalog::all::<SnapshotRecord>(&*self.catalog).await?;
        Ok(records.into_iter().filter(|r| r.expired_at.is_none()).map(|r| (r.id, r)).collect())
    }

    /// A generation whose run was stopped right after its inventory has no record yet: it gets one, with those that are kept.
    async fn put_back(&self, records: Records, ids: &[SnapshotId]) -> Result<Records> {
        let primary = self.vaults.primary();
        let known: HashSet<[u8; 10]> = records.keys().map(SnapshotId::root).collect();
        let mut news = false;
        for id in ids.iter().copied() {
            if known.contains(&id.root())
                && !records.contains_key(&id)
                && catalog::get(&*self.catalog, id).await?.is_none()
            {
                rebuild::put_back(&*self.catalog, &self.vaults, primary, id, &*self.clock).await?;
                news = true;
            }
        }
        if news { self.records().await } else { Ok(records) }
    }

    async fn begin(&self) -> Result<RotationRecord> {
        let id = RotationId::new(&*self.clock, &*self.entropy)?;
        let rotation = RotationRecord::begun(id, self.clock.now());
        catalog::insert(&*self.catalog, &rotation).await.context("record that a rotation of keys began")?;
        Ok(rotation)
    }

    async fn seal_all(&self, run: &mut Run, survey: Survey) -> Result<RotationRecord> {
        let mut generations = self.generations().await?;
        run.rotation.backups_left = survey.stale.len() as u64;
        run.rotation.bytes_left = run.moves.left(&survey.stale_packs);
        run.rotation.not_sealed = survey.unreadable;
        let mut in_time = true;
        for id in survey.stale {
            let before = generations.get(&id.root()).copied().unwrap_or(id);
            // Names are used once: what an earlier run wrote under one, and did not finish, is nobody's.
            let next = before.max(id).next_generation();
            let span = tracing::info_span!("rotate", backup = %id);
            match self.seal_snapshot(run, id, next, &survey.stale_attempts).instrument(span).await {
                Ok(true) => {
                    run.rotation.backups += 1;
                    run.rotation.backups_left -= 1;
                    rebuild::put_back(&*self.catalog, &self.vaults, self.vaults.primary(), next, &*self.clock).await?;
                    self.supersede_one(id, next).await?;
                    tracing::info!(backup = %id, sealed_again_as = %next, "sealed again");
                }
                Ok(false) => {
                    in_time = false;
                    break;
                }
                Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Internal) => return Err(e),
                Err(e) => {
                    generations.insert(id.root(), next);
                    run.rotation.not_sealed.push(NotSealed { id, error: e.to_string() });
                }
            }
        }
        let rotation = &mut run.rotation;
        let records = self.records().await?;
        rotation.replicating = unsettled(&records);
        // A backup that came to its end meanwhile, or has not yet, may name packs that were there when it began.
        let is_done = in_time && rotation.backups_left == 0 && rotation.not_sealed.is_empty();
        if is_done && rotation.replicating == 0 && rotation.of == Some(all_of(&records)) {
            (rotation.state, rotation.bytes_left) = (RotationState::Done, 0);
            rotation.completed_at = Some(self.clock.now());
        }
        rotation.not_sealed.truncate(NOT_SEALED_KEPT);
        self.write(run).await?;
        Ok(run.rotation.clone())
    }

    /// The last generation of each backup of which there is any object in any vault: what a run wrote that did not come to its end
    /// may be gone from one of them already, and still be locked in another.
    async fn generations(&self) -> Result<HashMap<[u8; 10], SnapshotId>> {
        let mut keys = Vec::new();
        for vault in self.vaults.all() {
            keys.extend(list_all(&**vault, SNAPSHOTS).await?);
        }
        let ids = keys.iter().filter_map(|key| match key.parse() {
            Ok(ObjectKey::Schema(id) | ObjectKey::Manifest(id) | ObjectKey::Inventory(id)) => Some(id),
            _ => None,
        });
        Ok(inventory::last_generations(ids).into_iter().map(|id| (id.root(), id)).collect())
    }

    /// Seals a snapshot again. False when the time was up before.
    async fn seal_snapshot(
        &self,
        run: &mut Run,
        id: SnapshotId,
        next: SnapshotId,
        stale: &HashMap<AttemptId, bool>,
    ) -> Result<bool> {
        let primary = self.vaults.primary();
        let (inventory, _) = inventory::read(&**primary, id).await?;
        // Once more where packs are not there any more that an earlier run stored.
        for _ in 0..2 {
            if self.is_out_of_time(run.deadline) {
                return Ok(false);
            }
            let mut manifest = self.manifest(&inventory).await?;
            let needed = needed(&mut manifest, stale, &run.moves)?;
            if !self.move_all(run, needed).await? {
                return Ok(false);
            }
            let own = AttemptId::new(&*self.clock, &*self.entropy)?;
            let mut manifest = moved(manifest, own, next, stale, &run.moves)?;
            let missing = self.missing(&manifest.packs).await?;
            if missing.is_empty() {
                self.commit(&inventory, &mut manifest).await?;
                return Ok(true);
            }
            run.moves.forget(&missing);
        }
        Err(Error::corrupt(format!("packs of backup {id} are not in the {}", primary.place())))
    }

    async fn manifest(&self, inventory: &Inventory) -> Result<Manifest> {
        let sealed = self.sealed(&inventory.manifest).await?;
        let manifest = Manifest::open(&self.keyring, inventory.attempt, sealed.bytes()).await;
        let manifest = manifest.context(format!("open {}", inventory.manifest.key))?;
        if manifest.snapshot != inventory.snapshot || manifest.packs != inventory.packs {
            return Err(Error::corrupt(format!("{} and the inventory do not agree", inventory.manifest.key)));
        }
        Ok(manifest)
    }

    /// An object as the primary vault has it, and as it should be.
    async fn sealed(&self, object: &ObjectRef) -> Result<Storable> {
        let primary = self.vaults.primary();
        let from = || format!("read {} in the {}", object.key, primary.place());
        let bytes = primary.get(&object.key).await.context(from())?;
        Storable::fetched(bytes, object.sha256).context(from())
    }

    /// Packs that the primary vault does not have as they should be.
    async fn missing(&self, packs: &[ObjectRef]) -> Result<Vec<ObjectKey>> {
        let primary = self.vaults.primary();
        let looks = stream::iter(packs).map(|pack| async move {
            let found = primary.head(&pack.key).await;
            let found = found.context(format!("look at {} in the {}", pack.key, primary.place()))?;
            let right = found.is_some_and(|m| m.sha256 == Some(pack.sha256) && m.length == pack.length);
            Ok::<_, Error>((!right).then_some(pack.key))
        });
        let looks = looks.buffer_unordered(LOOKS_IN_FLIGHT);
        looks.try_filter_map(|missing| async move { Ok(missing) }).try_collect().await
    }

    /// Writes the schema, the manifest, and the inventory last.
    async fn commit(&self, before: &Inventory, manifest: &mut Manifest) -> Result<()> {
        let primary = &**self.vaults.primary();
        let schema = self.sealed(&before.schema).await?;
        let from = context(Purpose::Schema, before.attempt)?;
        let key = self.keyring.seal_key(Purpose::Schema, manifest.attempt).await?;
        let schema = message::seal_again(&self.keyring, &from, schema.bytes(), &key).await;
        let schema = Storable::message(schema.context(format!("seal {} again", before.schema.key))?);
        manifest.schema = ObjectRef::of(ObjectKey::Schema(manifest.snapshot), &schema);
        manifest.check().context("check what was sealed again")?;
        put_once(primary, &manifest.schema.key, &schema).await?;

        let key = self.keyring.seal_key(Purpose::Manifest, manifest.attempt).await?;
        let sealed = manifest.seal(&self.keyring, &key, MANIFEST_LEVEL)?;
        let reference = ObjectRef::of(ObjectKey::Manifest(manifest.snapshot), &sealed);
        put_once(primary, &reference.key, &sealed).await?;

        let inventory = Inventory::new(manifest, reference, before.started_at);
        put_once(primary, &inventory.key(), &inventory.encode()?).await?;
        Ok(())
    }

    /// Each generation that has a later one says so, and what a person wished of it passes on.
    async fn supersede(&self, records: &Records) -> Result<()> {
        let last = last_of(records);
        for record in records.values() {
            let last = last[&record.id.root()];
            if last != record.id && (record.superseded_by != Some(last) || record.pin.is_some()) {
                self.supersede_one(record.id, last).await?;
            }
        }
        Ok(())
    }

    async fn supersede_one(&self, before: SnapshotId, last: SnapshotId) -> Result<()> {
        let Some(before) = catalog::get(&*self.catalog, before).await? else { return Ok(()) };
        let before = before.value;
        catalog::amend(&*self.catalog, last, |record| {
            record.continue_from(&before);
            Ok(true)
        })
        .await?;
        catalog::amend(&*self.catalog, before.id, |record| {
            record.superseded_by = Some(last);
            // One that was set since is passed on by the next run.
            if record.pin == before.pin {
                record.pin = None;
            }
            Ok(true)
        })
        .await?;
        Ok(())
    }

    /// Tells how far it is, now and then.
    async fn tell(&self, run: &mut Run) -> Result<()> {
        if self.clock.now().since(run.told.1) < PROGRESS_MS as i64 {
            return Ok(());
        }
        self.write(run).await
    }

    async fn write(&self, run: &mut Run) -> Result<()> {
        let now = self.clock.now();
        let news = run.bytes - run.told.0;
        run.told = (run.bytes, now);
        let rotation = &mut run.rotation;
        rotation.bytes += news;
        rotation.bytes_left = rotation.bytes_left.saturating_sub(news);
        rotation.heartbeat_at = rotation.heartbeat_at.max(now);
        rotation.measure();
        let told = catalog::amend(&*self.catalog, rotation.id, |record| {
            record.clone_from(rotation);
            Ok(true)
        });
        told.await.context("tell how far the rotation of keys is").map(|_| ())
    }

    /// Whether there is no time left.
    fn is_out_of_time(&self, deadline: Option<Timestamp>) -> bool {
        deadline.is_some_and(|d| d.since(self.clock.now()) <= DEADLINE_MARGIN_MAX_S * 1_000)
    }
}

/// Which backups there are: the SHA-256 of their ids.
fn all_of(records: &Records) -> Sha256 {
    let completed = records.values().filter(|r| r.status == Status::Completed);
    Sha256::of(completed.map(|r| r.id.to_string()).collect::<String>().as_bytes())
}

/// The last generation of each backup.
fn last_of(records: &Records) -> HashMap<[u8; 10], SnapshotId> {
    inventory::last_generations(records.keys().copied()).into_iter().map(|id| (id.root(), id)).collect()
}

/// How many backups are being made, or are not whole in all vaults yet, those included that were sealed again.
fn unsettled(records: &Records) -> u64 {
    records.values().filter(|r| !r.is_settled()).count() as u64
}
