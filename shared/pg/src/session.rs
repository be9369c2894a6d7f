//! Sessions: pinned, counted, and given back only when they are in step.

use crate::address::Address;
use crate::wire::{Row, Wire};
use bytes::Bytes;
use engine::error::{Error, Result, ResultExt};
use engine::source::RowStream;
use futures::stream;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How we are seen in `pg_stat_activity`.
pub(crate) const APPLICATION: &str = "backup";

/// What every session says first, so that a row has one text whatever the server's, the database's or the role's settings.
pub(crate) const PINNED: &str = "
    set search_path = '';
    set row_security = off;
    set datestyle = 'ISO, YMD';
    set intervalstyle = 'postgres';
    set timezone = 'UTC';
    set extra_float_digits = 1;
    set bytea_output = 'hex';
    set lc_monetary = 'C';
    set xmloption = 'content';
    set client_min_messages = 'warning';
    set statement_timeout = 0;
    set idle_in_transaction_session_timeout = 0;
    set synchronize_seqscans = off;
    set jit = off";

/// Connects a pinned session.
pub(crate) async fn connect(address: &Address) -> Result<Wire> {
    let mut wire = Wire::connect(address, &[("application_name", APPLICATION), ("client_encoding", "UTF8")]).await?;
    wire.query(PINNED).await.context("pin the session's settings")?;
    Ok(wire)
}

/// Refuses a pooler that gives each transaction another server session. Two clients set the same setting in turn: if the
/// first then reads what the second wrote, they share a session.
pub(crate) async fn require_own_session(first: &mut Wire, second: &mut Wire) -> Result<()> {
    first.query("set backup.probe = 'first'").await.context("probe for a pooler")?;
    second.query("set backup.probe = 'second'").await.context("probe for a pooler")?;
    let rows = first.query("select current_setting('backup.probe', true)").await.context("probe for a pooler")?;
    if rows.first().and_then(|r| r.first()).and_then(|v| v.as_deref()) != Some("first") {
        return Err(Error::unsupported(
            "the database is reached through a pooler in transaction mode, which cannot hold a transaction snapshot; use the \
             direct connection or the session mode (on Supabase port 5432, not 6543)",
        ));
    }
    Ok(())
}

/// Sessions that are alike: each is given out to one at a time.
pub(crate) struct Pool {
    idle: Mutex<VecDeque<Wire>>,
    permits: Arc<Semaphore>,
}

/// A session that was given out. Dropped while the server still answers, it is closed, and the pool with it.
pub(crate) struct Lent {
    wire: Option<Wire>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(sessions: Vec<Wire>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(sessions.len()));
        Arc::new(Self { idle: Mutex::new(sessions.into()), permits })
    }

    pub(crate) async fn lend(self: &Arc<Self>) -> Result<Lent> {
        let gone = || Error::unavailable("a session to the server was lost");
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| gone())?;
        let wire = self.idle().pop_front().ok_or_else(gone)?;
        Ok(Lent { wire: Some(wire), pool: Arc::clone(self), _permit: permit })
    }

    /// Takes the sessions that are idle out of the pool, to end them.
    pub(crate) fn drain(&self) -> Vec<Wire> {
        self.permits.close();
        self.idle().drain(..).collect()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<Wire>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    pub(crate) fn wire(&mut self) -> Result<&mut Wire> {
        self.wire.as_mut().ok_or_else(|| Error::internal("a session was used after it was given back"))
    }

    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.wire()?.query(sql).await
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        match self.wire.take() {
            Some(wire) if wire.in_step => self.pool.idle().push_back(wire),
            // Whoever waits for a session would wait for this one.
            _ => self.pool.permits.close(),
        }
    }
}

/// The rows of a `copy … to stdout`, read through a lent session, which goes back when they are all read.
pub(crate) async fn copy_out(mut lent: Lent, sql: &str) -> Result<RowStream> {
    let copy = lent.wire()?.copy_out(sql).await?;
    let rows = stream::try_unfold((lent, copy), |(mut lent, mut copy)| async move {
        let chunk: Option<Bytes> = lent.wire()?.copied(&mut copy).await?;
        Ok(chunk.map(|chunk| (chunk, (lent, copy))))
    });
    Ok(Box::pin(rows))
}
