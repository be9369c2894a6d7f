//! Idempotency keys: a request that is sent again, because its answer was lost or a finger was fast, is answered as the first was.
//!
//! Always holds: of one person and key there is one request; the id of what it makes is chosen once, so making it again is the
//! same; an answer that was kept is given again word for word. Nothing is kept of the key but its digest.

use crate::catalog::{self, Catalog, Collection, Record, RecordId};
use crate::clock::{Clock, Entropy, Timestamp};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::id::SnapshotId;
use crate::limits::{AMEND_TRIES, CLAIM_KEPT_S};
use crate::stage::Sha256;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// Where what was made can be followed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The digest of the person and the key.
    pub id: ClaimId,
    /// The digest of what is asked for.
    pub request: Sha256,
    /// The id of what it makes.
    pub makes: String,
    /// When it came first.
    pub at: Timestamp,
    /// What was answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answered: Option<Answered>,
}

/// The digest of a person and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimId(Sha256);

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Record for Claim {
    const COLLECTION: Collection = Collection::Claims;
    type Id = ClaimId;

    fn id(&self) -> ClaimId {
        self.id
    }
}

impl RecordId for ClaimId {
    type Record = Claim;
}

impl ClaimId {
    /// Of a person's key.
    pub fn of(person: &str, key: &str) -> Self {
        Self(Sha256::of(format!("{}\n{person}{key}", person.len()).as_bytes()))
    }
}

/// How a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is to be done, and makes what has this id: it is new, or came before and was not answered.
    Open(String),
    /// It was answered.
    Answered(Answered),
    /// The key was used for another request.
    Other,
}

/// Claims a key for a request. A new one makes what gets a new id.
///
/// # Errors
/// Those of the catalog.
pub async fn claim(
    catalog: &dyn Catalog,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    id: ClaimId,
    request: Sha256,
) -> Result<Claimed> {
    let now = clock.now();
    for _ in 0..AMEND_TRIES {
        let found = catalog::get(catalog, id).await.context("look for the idempotency key")?;
        if let Some(found) = &found
            && found.value.at.plus_s(CLAIM_KEPT_S) > now
        {
            return Ok(match &found.value {
                claim if claim.request != request => Claimed::Other,
                Claim { answered: Some(answered), .. } => Claimed::Answered(answered.clone()),
                claim => Claimed::Open(claim.makes.clone()),
            });
        }
        // All ids are made alike.
        let makes = SnapshotId::new(clock, entropy)?.to_string();
        let claim = Claim { id, request, makes, at: now, answered: None };
        let claimed = match found {
            None => catalog::insert(catalog, &claim).await,
            Some(over) => catalog::replace(catalog, &claim, over.revision).await,
        };
        match claimed {
            Ok(()) => return Ok(Claimed::Open(claim.makes)),
            // Somebody sent the same at the same time.
            Err(e) if e.kind() == ErrorKind::Conflict => {}
            Err(e) => return Err(e.context("claim the idempotency key")),
        }
    }
    Err(Error::conflict("the same request is sent over and over; send it once, and wait for the answer"))
}

/// Keeps an answer, unless one is kept already. Gives the one that is kept.
///
/// # Errors
/// `Conflict` when the key was claimed for something else since; those of the catalog.
pub async fn keep_answer(catalog: &dyn Catalog, id: ClaimId, makes: &str, answered: &Answered) -> Result<Answered> {
    let keep = |claim: &mut Claim| {
        if claim.makes != makes {
            return Err(Error::conflict("the idempotency key was claimed for something else since"));
        }
        let news = claim.answered.is_none();
        claim.answered.get_or_insert_with(|| answered.clone());
        Ok(news)
    };
    let claim = catalog::amend(catalog, id, keep).await?;
    Ok(claim.answered.unwrap_or_else(|| answered.clone()))
}
