//! Tells others what happened, by what changed in the catalog. So no operation has to remember to tell, and what it recorded and could
//! not tell any more, because it was killed, is told all the same.
//!
//! Always holds: in the order of the changes of one record, and at least once. A listener that does not take it keeps no other listener
//! from being told.

mod changes;
mod notification;

pub use changes::{Change, TOLD_OF, of_change};
pub use notification::{Kind, Notification, Severity};

use crate::error::{Error, Result};
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

impl Notify {
    /// Tells of some changes. Gives what was told.
    ///
    /// # Errors
    /// The first of the listeners that could not be told; all others were. A change that cannot be read is logged, and passed over.
    pub async fn run(&self, changes: &[Change]) -> Result<Vec<Notification>> {
        let mut notifications = Vec::new();
        for change in changes {
            match of_change(change) {
                Ok(told) => notifications.extend(told),
                Err(e) => tracing::error!(error = %e, "a change of the catalog cannot be read; nobody is told of it"),
            }
        }
        if notifications.is_empty() {
            return Ok(notifications);
        }
        let tells = self.listeners.iter().map(|listener| async {
            let told = listener.tell(&notifications).await;
            told.map_err(|e| e.context(format!("tell {}", listener.name())))
        });
        let results: Vec<Result<()>> = futures::future::join_all(tells).await;
        let failed: Option<Error> = results.into_iter().filter_map(Result::err).reduce(|first, other| {
            tracing::error!(kind = %other.kind(), error = %other, "another listener could not be told");
            first
        });
        failed.map_or(Ok(notifications), Err)
    }
}
