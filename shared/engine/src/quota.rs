//! How much each person asked for lately: a limit for each, beside the limit for all that API Gateway keeps.

use crate::catalog::{self, Catalog, Collection, Record, RecordId};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::limits::AMEND_TRIES;
use crate::stage::Sha256;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How long requests are counted together.
const WINDOW_S: i64 = 60;

/// What one person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// The digest of the person.
    pub id: QuotaId,
    /// Since when requests are counted.
    pub since: Timestamp,
    /// Requests since then.
    pub requests: u32,
}

/// The digest of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuotaId(Sha256);

impl fmt::Display for QuotaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Record for Quota {
    const COLLECTION: Collection = Collection::Quotas;
    type Id = QuotaId;

    fn id(&self) -> QuotaId {
        self.id
    }
}

impl RecordId for QuotaId {
    type Record = Quota;
}

/// Counts a request of a person, of whom so many are taken a minute. Gives the seconds to wait if it is one too many.
///
/// # Errors
/// Those of the catalog.
pub async fn spend(catalog: &dyn Catalog, person: &str, a_minute: u32, now: Timestamp) -> Result<Option<i64>> {
    let id = QuotaId(Sha256::of(person.as_bytes()));
    for _ in 0..AMEND_TRIES {
        let found = catalog::get(catalog, id).await.context("look how much was asked for")?;
        let written = match found {
            None => catalog::insert(catalog, &Quota { id, since: now, requests: 1 }).await,
            Some(found) => {
                let mut quota = found.value;
                let left_ms = WINDOW_S * 1_000 - now.since(quota.since);
                // Of a clock that was ahead nothing is left either.
                if left_ms <= 0 || left_ms > WINDOW_S * 1_000 {
                    (quota.since, quota.requests) = (now, 0);
                } else if quota.requests >= a_minute {
                    return Ok(Some((left_ms + 999) / 1_000));
                }
                quota.requests += 1;
                catalog::replace(catalog, &quota, found.revision).await
            }
        };
        match written {
            Ok(()) => return Ok(None),
            Err(e) if e.kind() == ErrorKind::Conflict => {}
            Err(e) => return Err(e.context("count the request")),
        }
    }
    Err(Error::unavailable("too many requests of one person at once"))
}

/// Forgets what is counted no more.
///
/// # Errors
/// Those of the catalog.
pub async fn forget_old(catalog: &dyn Catalog, now: Timestamp) -> Result<()> {
    catalog::forget(catalog, |quota: &Quota| quota.since.plus_s(WINDOW_S) <= now).await
}
