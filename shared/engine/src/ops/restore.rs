//! Restores one snapshot from one vault into an empty target, and proves it by reading the target back. What a target in use holds
//! is replaced if the request says so in the right words; of a production there is a safety snapshot before.
//!
//! It needs nothing but the vault and its region's key: no catalog, no other vault. Always holds: everything that the
//! snapshot needs is found to be there before the target is touched; rows are kept only after their segment was opened
//! to its end; `Restored` is given only after every table's digest in the target equals the manifest's.

mod blobs;
mod hold;
mod loading;
mod masking;
mod ordered;
mod progress;
mod proof;
mod record;
mod replace;
mod request;
mod safety;
mod selection;

pub use blobs::RestoredBlobs;
pub use hold::{Hold, HoldId};
pub use ordered::{Ordered, RestoreOutcome};
pub use progress::{RestoreCounters, RestorePhase, RestoreProgress};
pub use record::{Approval, RestoreRecord};
pub use replace::{Replace, confirmation};
pub use request::{RestorePlan, RestoreWish, Wanted, approve, cancel, give_up_lost, plan, record, request};
pub use safety::Orders;
pub use selection::{Selection, select};

use crate::catalog::{Catalog, Warning};
use crate::clock::{Clock, Timestamp};
use crate::compress::decompress;
use crate::digest::RowTally;
use crate::error::{Error, Result, ResultExt};
use crate::id::SnapshotId;
use crate::inventory::Inventory;
use crate::keyring::{Keyring, Purpose, context};
use crate::limits::{DEADLINE_MARGIN_MAX_S, DEADLINE_MARGIN_MIN_S, SAFETY_WAIT_MAX_S, SCHEMA_BYTES_MAX};
use crate::manifest::{Manifest, TableManifest};
use crate::mask::Masking;
use crate::message;
use crate::object::ObjectRef;
use crate::policy::{Policies, Rule};
use crate::scope::{RelationName, Scope};
use crate::source::Table;
use crate::stage::Sha256;
use crate::storage::Storage;
use crate::target::{Loading, Outline, Rows, Target};
use crate::vault::Vault;
use blobs::Others;
use bytes::Bytes;
use futures::StreamExt;
use masking::Masker;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::Instrument;
use utoipa::ToSchema;

/// What is to be restored.
#[derive(Clone, Debug)]
pub struct RestoreRequest {
    /// Which snapshot.
    pub selection: Selection,
    /// What of it; everything without one.
    pub scope: Option<Scope>,
    /// Of what of that the rows are left out: the tables are made, and stay empty.
    pub exclude: Option<Scope>,
    /// Whether it is for people who may not see everything: the policies say what they see.
    pub masked: bool,
    /// Whether what the target holds is replaced; without it a target in use is refused.
    pub replace: Option<Replace>,
    /// Only of these tables the rows are restored, and of all others the structure; all rows without it.
    pub rows_of: Option<BTreeSet<RelationName>>,
    /// When the function will be stopped, if that is known.
    pub deadline: Option<Timestamp>,
}

impl From<Selection> for RestoreRequest {
    fn from(selection: Selection) -> Self {
        Self { selection, scope: None, exclude: None, masked: false, replace: None, rows_of: None, deadline: None }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// The region it was read from.
    pub region: String,
    /// Tables whose digest equals the manifest's, or that of the rows as they were masked.
    pub tables: u64,
    /// Those of them that were masked.
    pub masked_tables: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
    /// Objects of Storage.
    #[serde(flatten)]
    pub blobs: RestoredBlobs,
    /// What could not be made, and why.
    pub warnings: Vec<Warning>,
}

/// Where a restore notes that all is proven, before it shows it: whoever goes on with one that was stopped in between then knows why
/// the target is not empty any more.
#[async_trait::async_trait]
pub trait Journal: Send + Sync {
    /// What an earlier run noted.
    fn noted(&self) -> Option<&Restored>;

    /// Notes it.
    ///
    /// # Errors
    /// Those of the catalog.
    async fn note(&self, restored: &Restored) -> Result<()>;
}

/// The operation and its ports.
pub struct Restore {
    /// The vault it reads.
    pub vault: Arc<dyn Vault>,
    /// The keys of that vault's region.
    pub keyring: Arc<Keyring>,
    /// What it restores into.
    pub target: Arc<dyn Target>,
    /// Where the objects of Storage are put back, if that is set up.
    pub storage: Option<Arc<dyn Storage>>,
    /// Sessions that load at once.
    pub sessions: usize,
    /// What the owner says of each kind of data.
    pub policies: Arc<Policies>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The records, if they can be had: nothing is restored from them.
    pub catalog: Option<Arc<dyn Catalog>>,
    /// What orders a safety snapshot; without it there must be a fresh one.
    pub orders: Option<Orders>,
    /// How far it is, for whoever tells that.
    pub counters: Arc<RestoreCounters>,
    /// Where it notes that all is proven, if anybody wants to know.
    pub journal: Option<Arc<dyn Journal>>,
}

impl RestoreRequest {
    fn check_exclude(&self) -> Result<()> {
        let Some(exclude) = &self.exclude else { return Ok(()) };
        if self.replace.is_some() {
            return Err(Error::invalid(
                "`exclude` leaves tables empty, so it cannot be given where what a database holds is replaced; nothing was changed",
            ));
        }
        if exclude.has_no_rows() || !exclude.buckets.is_empty() || exclude.leave_out_references {
            return Err(Error::invalid(
                "`exclude` names schemas, tables or classes whose rows are left out, such as {\"tables\":[\"public.logs\"]}; nothing else",
            ));
        }
        Ok(())
    }
}

impl Restore {
    /// Restores. Interrupted and run again with the same snapshot, it ends in the same database.
    ///
    /// # Errors
    /// `NotFound` when there is no such snapshot; `Corrupt` when anything stored is not what was stored; those of the
    /// target.
    pub async fn run(&self, request: impl Into<RestoreRequest>) -> Result<Restored> {
        let asked_at = self.clock.now();
        let request = request.into();
        if let Some(scope) = &request.scope {
            scope.check()?;
        }
        request.check_exclude()?;
        let inventory = select(&*self.vault, request.selection).await?;
        // Every line that follows says which backup it is about.
        let span = tracing::info_span!("restore", backup = %inventory.snapshot);
        Box::pin(self.run_selected(inventory, request, asked_at)).instrument(span).await
    }

    async fn run_selected(
        &self,
        inventory: Inventory,
        request: RestoreRequest,
        asked_at: Timestamp,
    ) -> Result<Restored> {
        let RestoreRequest { mut scope, exclude, masked, replace, rows_of, deadline, .. } = request;
        tracing::info!(backup = %inventory.snapshot, vault = %self.vault.place(), rows = inventory.rows, "restore begins");
        self.hold(inventory.snapshot).await;
        let (manifest, masking) = self.manifest(&inventory).await?;
        if let Some(scope) = &mut scope {
            masking::resolve_classes(scope, &self.policies, &manifest)?;
            blobs::require_buckets(scope, &manifest)?;
        }
        if let Some(replace) = &replace {
            replace.check(inventory.snapshot, scope.as_ref())?;
        }
        self.require_objects(&inventory).await?;
        if scope.as_ref().is_some_and(Scope::has_no_rows) {
            let (blobs, warnings) = self.put_back(&manifest, scope.as_ref(), masked, Others::Keep).await?;
            return Ok(self.restored(&manifest, &[], blobs, warnings));
        }
        let masker = Arc::new(Masker::new(masked.then(|| Arc::clone(&self.policies)), masking));
        let mut outline = self.outline(&manifest, &masker, scope, masked, replace.is_some()).await?;
        if let Some(rows_of) = rows_of {
            let name = |t: &Table| RelationName { schema: t.schema.clone(), name: t.name.clone() };
            for table in outline.tables.iter_mut().filter(|t| !rows_of.contains(&name(&t.table))) {
                table.rows = Rows::LeftOut("only a sample of the tables is restored".to_owned());
            }
        }
        masking::exclude(&mut outline.tables, exclude, &self.policies, &manifest)?;
        let Some(replace) = replace else {
            return self.fill(outline, &manifest, &masker, Others::Overwrite, Vec::new()).await;
        };
        let standing = self.target.inspect(&outline).await.context("look at the target")?;
        if let Some(replaced) = standing.replaced {
            // Whoever noted that all was proven, and was stopped, had come to its end.
            let noted = self.journal.as_ref().and_then(|journal| journal.noted());
            return noted.cloned().ok_or_else(|| Error::conflict(replaced).context("look at the target"));
        }
        let mut warnings = Vec::new();
        if standing.in_use && replace.needs_safety_snapshot {
            self.counters.enter(RestorePhase::SafetyBackup);
            let looked_at = self.clock.now();
            let id = safety::require(self, &standing, asked_at, deadline).await?;
            // What is left of this invocation may not be enough for what follows, and another has all of its time.
            if self.journal.is_some()
                && deadline.is_some()
                && self.clock.now().since(looked_at) > SAFETY_WAIT_MAX_S * 1_000
            {
                return Err(Error::unavailable(format!(
                    "the safety snapshot {id} is there now; another invocation goes on"
                )));
            }
            let message =
                format!("{} was backed up before it was replaced: the safety snapshot is {id}", replace.environment);
            warnings.push(Warning { code: "safety_snapshot".to_owned(), message });
        }
        let others = if standing.in_use { Others::Keep } else { Others::Overwrite };
        let fill = self.fill(outline, &manifest, &masker, others, warnings);
        match deadline.filter(|_| standing.in_use) {
            // It begins anew when it is interrupted: so it ends in time to say so.
            Some(deadline) => self.in_time(fill, asked_at, deadline).await,
            None => fill.await,
        }
    }

    /// Fills the target, and proves it.
    async fn fill(
        &self,
        outline: Outline,
        manifest: &Manifest,
        masker: &Arc<Masker>,
        others: Others,
        mut warnings: Vec<Warning>,
    ) -> Result<Restored> {
        warnings.extend(masking::warnings(manifest, &outline.tables));
        let (scope, masked) = (outline.scope.clone(), outline.masked);
        let noted = self.journal.as_ref().and_then(|journal| journal.noted());
        let outline_again = noted.is_some().then(|| outline.clone());
        let loading: Arc<dyn Loading> = match self.target.begin(outline).await {
            Ok(loading) => loading.into(),
            Err(e) => {
                if let (Some(noted), Some(outline)) = (noted, outline_again)
                    && let Ok(standing) = self.target.inspect(&outline).await
                    && (standing.replaced.is_some() || (standing.in_use && !outline.replace))
                {
                    // All was proven into an empty target, and nothing of an interrupted restore is in it any more.
                    tracing::info!(backup = %manifest.snapshot, why = %e, "an earlier run had come to its end");
                    return Ok(noted.clone());
                }
                return Err(e.context("begin to write the target"));
            }
        };
        let taken = taken(manifest, &*loading, masker);
        self.counters.begin(&taken, loading.loaded());
        if !loading.is_proven() {
            loading::load(self, &loading, &manifest.packs, &taken, masker).await?;
            tracing::info!(backup = %manifest.snapshot, "rows are loaded");
            self.counters.enter(RestorePhase::Completing);
            warnings.extend(loading.complete().await.context("make indexes, constraints and triggers")?);
            tracing::info!(backup = %manifest.snapshot, "indexes, constraints and triggers are made");
            self.counters.enter(RestorePhase::Proving);
            loading::tally_earlier(self, &*loading, &manifest.packs, &taken, masker).await?;
            proof::prove(&loading, &taken, masker, self.sessions).await?;
            // A project writes to its own list of objects when one is put: it is compared before, and never again.
            loading.note_proven().await.context("note that the rows are proven")?;
        }
        self.counters.enter(RestorePhase::Objects);
        let (blobs, told) = self.put_back(manifest, scope.as_ref(), masked, others).await?;
        warnings.extend(told);
        let mut restored = self.restored(manifest, &taken, blobs, warnings);
        if let Some(journal) = &self.journal {
            journal.note(&restored).await.context("note that the restore is proven")?;
        }
        // From here on nobody stops it: what is dropped while it is put in its place may be in its place all the same.
        self.counters.enter(RestorePhase::Finishing);
        restored.warnings.extend(loading.finish().await.context("end the restore")?);
        tracing::info!(backup = %manifest.snapshot, rows = restored.rows, blobs = blobs.blobs, "restore is proven");
        Ok(restored)
    }

    async fn outline(
        &self,
        manifest: &Manifest,
        masker: &Masker,
        scope: Option<Scope>,
        masked: bool,
        replace: bool,
    ) -> Result<Outline> {
        Ok(Outline {
            snapshot: manifest.snapshot,
            server: manifest.server.clone(),
            schema: self.schema(manifest).await?,
            roles: manifest.roles.clone(),
            large_objects: if masked { Vec::new() } else { manifest.large_objects.clone() },
            sequences: manifest.sequences.clone(),
            materialized_views: manifest.materialized_views.clone(),
            tables: masker.outlines(manifest),
            scope,
            masked,
            replace,
        })
    }

    fn restored(&self, manifest: &Manifest, taken: &[Taken], blobs: RestoredBlobs, warnings: Vec<Warning>) -> Restored {
        let tally = tally(taken);
        Restored {
            snapshot: manifest.snapshot,
            taken_at: manifest.taken_at,
            region: self.vault.place().region.clone(),
            tables: taken.len() as u64,
            masked_tables: taken.iter().filter(|t| t.rules.is_some()).count() as u64,
            rows: tally.rows,
            bytes: tally.bytes,
            blobs,
            warnings,
        }
    }

    /// Gives up shortly before the deadline.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T>>,
        asked_at: Timestamp,
        deadline: Timestamp,
    ) -> Result<T> {
        let left_ms = deadline.since(self.clock.now()) - deadline_margin_s(deadline, asked_at) * 1_000;
        tokio::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = self.clock.sleep(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))) => {}
        }
        if self.counters.is_finishing() {
            return work.await;
        }
        Err(Error::exhausted(
            "the restore does not fit into one invocation, and a database in use is replaced in one transaction or not at all; nothing was \
             changed. Replace fewer schemas at a time, give the function more time or memory, or restore into an empty database",
        ))
    }

    /// Also gives what masks its rows: under a key that is made again from the manifest's own, whenever its restore goes on.
    async fn manifest(&self, inventory: &Inventory) -> Result<(Manifest, Masking)> {
        let sealed = self.whole(&inventory.manifest).await?;
        let manifest = Manifest::open(&self.keyring, inventory.attempt, &sealed)
            .await
            .context(format!("open {}", inventory.manifest.key))?;
        // The inventory is clear and anyone who may write the bucket could change it; the manifest is authenticated.
        let agree = manifest.snapshot == inventory.snapshot
            && manifest.attempt == inventory.attempt
            && manifest.schema == inventory.schema
            && manifest.packs == inventory.packs;
        if !agree {
            return Err(Error::corrupt(format!(
                "the manifest and the inventory of {} do not name the same objects",
                inventory.snapshot
            )));
        }
        let context = context(Purpose::Manifest, inventory.attempt)?;
        let key = message::derived_key(&self.keyring, &context, &sealed, b"masking").await?;
        Ok((manifest, Masking::new(&key)))
    }

    async fn schema(&self, manifest: &Manifest) -> Result<Bytes> {
        let sealed = self.whole(&manifest.schema).await?;
        let context = context(Purpose::Schema, manifest.attempt)?;
        let compressed =
            message::open(&self.keyring, &context, &sealed).await.context(format!("open {}", manifest.schema.key))?;
        Ok(decompress(&compressed, SCHEMA_BYTES_MAX)?.into())
    }

    /// An object that must be what the inventory says.
    async fn whole(&self, object: &ObjectRef) -> Result<Bytes> {
        let place = || format!("read {} in the {}", object.key, self.vault.place());
        let bytes = self.vault.get(&object.key).await.context(place())?;
        if Sha256::of(&bytes) != object.sha256 || bytes.len() as u64 != object.length {
            return Err(Error::corrupt("its bytes are not those that the inventory names").context(place()));
        }
        Ok(bytes)
    }

    /// Every pack is there, by length and checksum, before anything of the target is touched.
    async fn require_objects(&self, inventory: &Inventory) -> Result<()> {
        const AT_ONCE: usize = 16;
        let mut heads = futures::stream::iter(&inventory.packs)
            .map(|pack| async move { (pack, self.vault.head(&pack.key).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((pack, found)) = heads.next().await {
            let place = format!("look at {} in the {}", pack.key, self.vault.place());
            match found.context(&place)? {
                Some(meta) if meta.length == pack.length && meta.sha256 == Some(pack.sha256) => {}
                Some(_) => return Err(Error::corrupt("it is not the object that the inventory names").context(place)),
                None => return Err(Error::corrupt("it is missing, and the snapshot needs it").context(place)),
            }
        }
        Ok(())
    }
}

/// So long before its deadline an invocation stops: a tenth of its time, within limits.
fn deadline_margin_s(deadline: Timestamp, began_at: Timestamp) -> i64 {
    (deadline.since(began_at) / 10_000).clamp(DEADLINE_MARGIN_MIN_S, DEADLINE_MARGIN_MAX_S)
}

/// A table whose rows the target takes.
struct Taken {
    table: TableManifest,
    /// The number of its first segment in the manifest.
    first_segment: u64,
    /// What becomes of each column, if not all are kept as they are.
    rules: Option<Arc<[Rule]>>,
}

fn taken(manifest: &Manifest, loading: &dyn Loading, masker: &Masker) -> Vec<Taken> {
    let mut next = 0;
    let numbered = manifest.tables.iter().map(|table| {
        let first_segment = next;
        next += table.segments.len() as u64;
        Taken { table: table.clone(), first_segment, rules: masker.rules(&table.table) }
    });
    numbered.filter(|t| loading.takes(&t.table.table)).collect()
}

fn tally(taken: &[Taken]) -> RowTally {
    taken.iter().fold(RowTally::default(), |sum, t| sum.plus(t.table.tally))
}

/// Does the work in several tasks at once; the first error stops them all.
async fn in_sessions<W, F, R>(sessions: usize, work: VecDeque<W>, act: F) -> Result<()>
where
    W: Send + 'static,
    F: Fn(W) -> R + Send + Sync + 'static,
    R: Future<Output = Result<()>> + Send + 'static,
{
    let (work, act) = (Arc::new(Mutex::new(work)), Arc::new(act));
    let mut tasks = JoinSet::new();
    for _ in 0..sessions.max(1) {
        let (work, act) = (Arc::clone(&work), Arc::clone(&act));
        tasks.spawn(async move {
            loop {
                let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                match next {
                    Some(next) => act(next).await?,
                    None => return Ok(()),
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|e| Error::internal("a session was stopped").with_source(e))??;
    }
    Ok(())
}
