//! Fills packs with the extents of all copy sessions, and stores full ones while the next is filled.

use super::progress::Counters;
use crate::error::{Error, Result, ResultExt};
use crate::id::AttemptId;
use crate::layout::ObjectKey;
use crate::limits::UPLOADS_IN_FLIGHT;
use crate::pack::{ObjectRef, PackBuilder};
use crate::segment::{Extent, SealedExtent};
use crate::stage::Storable;
use crate::vault::{Vault, put_once};
use std::sync::Arc;
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
    packs: Vec<ObjectRef>,
    uploads: JoinSet<Result<u64>>,
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

    /// Stores the last pack and waits for all. Gives the packs in the order of their numbers.
    pub(super) async fn finish(&self) -> Result<Vec<ObjectRef>> {
        let mut state = self.state.lock().await;
        self.send(&mut state).await?;
        self.wait(&mut state, 0).await?;
        Ok(std::mem::take(&mut state.packs))
    }

    async fn send(&self, state: &mut State) -> Result<()> {
        self.wait(state, UPLOADS_IN_FLIGHT - 1).await?;
        if let Some((key, body)) = state.builder.take()? {
            state.packs.push(ObjectRef::of(key, &body));
            state.uploads.spawn(store(Arc::clone(&self.vault), key, body));
        }
        Ok(())
    }

    /// Waits until at most so many packs are on their way.
    async fn wait(&self, state: &mut State, in_flight: usize) -> Result<()> {
        while state.uploads.len() > in_flight {
            if let Some(stored) = state.uploads.join_next().await {
                let bytes =
                    stored.map_err(|e| Error::internal("the upload of a pack was stopped").with_source(e))??;
                Counters::add(&self.counters.bytes_stored, bytes);
            }
        }
        Ok(())
    }
}

async fn store(vault: Arc<dyn Vault>, key: ObjectKey, body: Storable) -> Result<u64> {
    put_once(&*vault, &key, &body).await.context("store a pack")?;
    Ok(body.len() as u64)
}
