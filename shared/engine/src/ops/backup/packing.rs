//! Fills packs with the extents of all copy sessions, and stores full ones while the next is filled.

use super::progress::Counters;
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

/// One for all copy sessions of an attempt.
pub(super) struct Packing {
    vault: Arc<dyn Vault>,
    counters: Arc<Counters>,
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
    pub(super) fn new(vault: Arc<dyn Vault>, attempt: AttemptId, counters: Arc<Counters>) -> Self {
        let state = State { builder: PackBuilder::new(attempt), packs: Vec::new(), uploads: JoinSet::new() };
        Self { vault, counters, state: Mutex::new(state) }
    }

    /// Adds an extent. Waits while as many packs are on their way as may be.
    pub(super) async fn add(&self, extent: &SealedExtent) -> Result<Extent> {
        let mut state = self.state.lock().await;
        let place = state.builder.append(extent);
        if state.builder.is_full() {
            self.send(&mut state).await?;
        }
        Ok(place)
    }

    /// Stores what was added last, and waits until all is stored.
    pub(super) async fn flush(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        self.send(&mut state).await?;
        self.wait(&mut state, 0).await
    }

    /// The packs by their numbers, each with whether it is known to be stored.
    pub(super) async fn packs(&self) -> Vec<(ObjectRef, bool)> {
        self.state.lock().await.packs.iter().map(|sent| (sent.pack, sent.stored.load(Relaxed))).collect()
    }

    async fn send(&self, state: &mut State) -> Result<()> {
        self.wait(state, UPLOADS_IN_FLIGHT - 1).await?;
        if let Some((key, body)) = state.builder.take()? {
            let sent = Sent { pack: ObjectRef::of(key, &body), stored: Arc::default() };
            let (vault, counters, stored) =
                (Arc::clone(&self.vault), Arc::clone(&self.counters), Arc::clone(&sent.stored));
            state.packs.push(sent);
            state.uploads.spawn(async move {
                put_once(&*vault, &key, &body).await.context("store a pack")?;
                stored.store(true, Relaxed);
                Counters::add(&counters.bytes_stored, body.len() as u64);
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
