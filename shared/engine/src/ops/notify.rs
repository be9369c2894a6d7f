//! Tells others what happened, by what changed in the catalog. So no operation has to remember to tell, and what it recorded and could
//! not tell any more, because it was killed, is told all the same.
//!
//! Always holds: in the order of the changes of one record, and at least once. A listener that does not take it keeps no other listener
//! from being told.

mod changes;
mod notification;

pub use changes::{Change, TOLD_OF, of_change};
pub use notification::{Kind, Notification, Severity};

use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;

/// The port on somebody who is told.
#[async_trait::async_trait]
pub trait Listener: Send + Sync {
    /// Who it is, for messages.
    fn name(&self) -> &str;

    /// Tells. What was told already may be told again.
    ///
    /// # Errors
    /// `Unavailable` when it should be tried again, `Denied`, `NotFound`, `Invalid` when it never takes this.
    async fn tell(&self, notifications: &[Notification]) -> Result<()>;
}

/// The operation and its ports.
pub struct Notify {
    /// Who is told.
    pub listeners: Vec<Arc<dyn Listener>>,
}

/// What was told.
#[derive(Debug, Default)]
pub struct Told {
    /// In the order of the changes.
    pub notifications: Vec<Notification>,
    /// Why a listener never takes this: it is not told again.
    pub refused: Vec<Error>,
}

impl Notify {
    /// Tells of some changes.
    ///
    /// # Errors
    /// `Unavailable` when a listener should be told again; all others were told. A change that cannot be read is logged, and passed over.
    pub async fn run(&self, changes: &[Change]) -> Result<Told> {
        let mut told = Told::default();
        for change in changes {
            match of_change(change) {
                Ok(notifications) => told.notifications.extend(notifications),
                Err(e) => tracing::error!(error = %e, "a change of the catalog cannot be read; nobody is told of it"),
            }
        }
        if told.notifications.is_empty() {
            return Ok(told);
        }
        let tells = self.listeners.iter().map(|listener| async {
            let done = listener.tell(&told.notifications).await;
            done.map_err(|e| e.context(format!("tell {}", listener.name())))
        });
        let failed: Vec<Error> = futures::future::join_all(tells).await.into_iter().filter_map(Result::err).collect();
        let (mut again, refused): (Vec<Error>, Vec<Error>) =
            failed.into_iter().partition(|e| e.kind() == ErrorKind::Unavailable);
        told.refused = refused;
        match again.pop() {
            Some(e) => Err(e),
            None => Ok(told),
        }
    }
}
