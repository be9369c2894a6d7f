//! The port on a database server that exists for one drill: empty when it starts, and gone with all that it held when it ends.

use crate::error::Result;
use crate::target::Target;
use std::sync::Arc;

/// The rows that a query gave, as texts; a null is none.
pub type Answer = Vec<Vec<Option<String>>>;

/// Where such servers are started.
#[async_trait::async_trait]
pub trait Sandbox: Send + Sync {
    /// What it is, for people.
    fn kind(&self) -> &'static str;

    /// Bytes of a database for which there is room.
    fn room_bytes(&self) -> u64;

    /// Starts one. What an earlier one left, which was stopped without a word, is removed.
    ///
    /// # Errors
    /// `Invalid` when its programs are missing, `Exhausted` when there is no room, `Unavailable` when it does not come up.
    async fn start(&self) -> Result<Box<dyn SandboxServer>>;
}

/// What its constraints are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Those that hold for every row.
    pub validated: u64,
    /// Those that are there for new rows only.
    pub not_validated: Vec<String>,
}

/// A server that runs. Dropped without [`SandboxServer::end`] it ends too, as far as that can be done.
#[async_trait::async_trait]
pub trait SandboxServer: Send + Sync {
    /// Its empty database, as what is restored into.
    fn target(&self) -> Arc<dyn Target>;

    /// Runs one query of the owner in a transaction that changes nothing and ends after `seconds`.
    ///
    /// # Errors
    /// `Invalid` when the server refuses it, `Unavailable`.
    async fn ask(&self, query: &str, seconds: u32) -> Result<Answer>;

    /// The constraints of all tables.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn constraints(&self) -> Result<Constraints>;

    /// Ends it, and removes what it held.
    ///
    /// # Errors
    /// When something of it is left.
    async fn end(self: Box<Self>) -> Result<()>;
}
