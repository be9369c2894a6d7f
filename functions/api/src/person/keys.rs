//! The keys of the issuer, kept for a while. A key that was withdrawn is believed no longer than that.

use crate::problem::Problem;
use bytes::Bytes;
use engine::clock::{Clock, Timestamp};
use engine::error::Result;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Keys are fetched again after so long.
const FRESH_S: i64 = 10 * 60;
/// While the issuer does not answer, keys are believed for so long after that.
const STALE_S: i64 = 60 * 60;
/// A key that is not known, or an issuer that does not answer, is asked for again after so long.
const PAUSE_S: i64 = 30;
/// But sooner while there are none at all: nobody is let in meanwhile.
const PAUSE_WITHOUT_S: i64 = 2;
/// More keys than any issuer has.
const KEYS_MAX: usize = 64;

/// Where the keys come from.
#[async_trait::async_trait]
pub(crate) trait KeySource: Send + Sync {
    /// The set of keys, as JSON.
    async fn fetch(&self) -> Result<Bytes>;
}

#[async_trait::async_trait]
impl KeySource for aws::issuer_keys::IssuerKeys {
    async fn fetch(&self) -> Result<Bytes> {
        Self::fetch(self).await
    }
}

/// The keys.
pub(crate) struct Keys {
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    keys: Vec<(String, Algorithm, DecodingKey)>,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
}

impl Keys {
    pub(crate) fn new(source: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, kept: Mutex::default() }
    }

    /// The key of an id, and the one algorithm that it is for; none where the issuer has no such key.
    pub(crate) async fn find(&self, id: &str) -> std::result::Result<Option<(Algorithm, DecodingKey)>, Problem> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        let since = |at: Option<Timestamp>| at.map_or(i64::MAX, |at| now.since(at).max(0) / 1_000);
        let is_fresh = since(kept.fetched_at) < FRESH_S;
        let is_usable = since(kept.fetched_at) < FRESH_S + STALE_S;
        let pause_s = if is_usable { PAUSE_S } else { PAUSE_WITHOUT_S };
        if (!is_fresh || kept.find(id).is_none()) && since(kept.tried_at) >= pause_s {
            kept.tried_at = Some(now);
            match self.source.fetch().await {
                Ok(document) => match parse(&document) {
                    Some(keys) => (kept.keys, kept.fetched_at) = (keys, Some(now)),
                    None => tracing::error!("what the issuer gave is no set of keys"),
                },
                Err(e) => tracing::error!(kind = %e.kind(), error = %e, "could not fetch the issuer's keys"),
            }
        }
        if since(kept.fetched_at) >= FRESH_S + STALE_S {
            return Err(Problem::unavailable("whoever signs the tokens does not answer; try again in a moment"));
        }
        Ok(kept.find(id))
    }
}

impl Kept {
    fn find(&self, id: &str) -> Option<(Algorithm, DecodingKey)> {
        self.keys.iter().find(|(name, _, _)| name == id).map(|(_, algorithm, key)| (*algorithm, key.clone()))
    }
}

/// The keys of a set that sign by ES256 or RS256; the others are passed over.
fn parse(document: &[u8]) -> Option<Vec<(String, Algorithm, DecodingKey)>> {
    let set: JwkSet = serde_json::from_slice(document).ok()?;
    let key = |jwk: &Jwk| {
        let common = &jwk.common;
        if common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
            return None;
        }
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            _ => return None,
        };
        let stated = match common.key_algorithm {
            None => algorithm,
            Some(KeyAlgorithm::ES256) => Algorithm::ES256,
            Some(KeyAlgorithm::RS256) => Algorithm::RS256,
            Some(_) => return None,
        };
        let id = common.key_id.clone()?;
        (stated == algorithm).then(|| Some((id, algorithm, DecodingKey::from_jwk(jwk).ok()?))).flatten()
    };
    Some(set.keys.iter().take(KEYS_MAX).filter_map(key).collect())
}
