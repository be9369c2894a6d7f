//! Fills packs with extents, and stores full ones while the next is filled.

use crate::error::{Error, Result, ResultExt};
use crate::extent::{Extent, SealedExtent};
use crate::id::AttemptId;
use crate::limits::UPLOADS_IN_FLIGHT;
use crate::object::ObjectRef;
use crate::pack::PackBuilder;
use crate::vault::{Vault, put_once};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Told the bytes of each pack once it is stored.
pub(crate) type OnStored = Arc<dyn Fn(u64) + Send + Sync>;

/// One for all who seal for an attempt.
pub(crate) struct Packing {
    vault: Arc<dyn Vault>,
    stored: OnStored,
    state: Mutex<State>,
}

struct State {
    builder: PackBuilder,
    /// By their numbers.
    packs: Vec<Sent>,
    uploads: JoinSet<Result<()>>,
}

struct Sent {
    pack: ObjectRef,
    stored: Arc<AtomicBool>,
}

impl Packing {
    pub(crate) fn new(vault: Arc<dyn Vault>, attempt: AttemptId, stored: OnStored) -> Self {
        let state = State { builder: PackBuilder::new(attempt), packs: Vec::new(), uploads: JoinSet::new() };
        Self { vault, stored, state: Mutex::new(state) }
    }

    /// Adds an extent. Waits while as many packs are on their way as may be.
    pub(crate) async fn add(&self, extent: &SealedExtent) -> Result<Extent> {
        let mut state = self.state.lock().await;
        let place = state.builder.append(extent);
        if state.builder.is_full() {
            self.send(&mut state).await?;
        }
        Ok(place)
    }

    /// Stores what was added last, and waits until all is stored.
    pub(crate) async fn flush(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        self.send(&mut state).await?;
        self.wait(&mut state, 0).await
    }

    /// The packs by their numbers, each with whether it is known to be stored.
    pub(crate) async fn packs(&self) -> Vec<(ObjectRef, bool)> {
        self.state.lock().await.packs.iter().map(|sent| (sent.pack, sent.stored.load(Relaxed))).collect()
    }

    async fn send(&self, state: &mut State) -> Result<()> {
        self.wait(state, UPLOADS_IN_FLIGHT - 1).await?;
        if let Some((key, body)) = state.builder.take()? {
            let sent = Sent { pack: ObjectRef::of(key, &body), stored: Arc::default() };
            let (vault, is_stored, on_stored) =
                (Arc::clone(&self.vault), Arc::clone(&sent.stored), Arc::clone(&self.stored));
            state.packs.push(sent);
            state.uploads.spawn(async move {
                put_once(&*vault, &key, &body).await.context("store a pack")?;
                is_stored.store(true, Relaxed);
                on_stored(body.len() as u64);
                Ok(())
            });
        }
        Ok(())
    }

    /// Waits until at most so many packs are on their way.
    async fn wait(&self, state: &mut State, in_flight: usize) -> Result<()> {
        while state.uploads.len() > in_flight {
            if let Some(stored) = state.uploads.join_next().await {
                stored.map_err(|e| Error::internal("the upload of a pack was stopped").with_source(e))??;
            }
        }
        Ok(())
    }
}
