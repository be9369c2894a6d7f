//! Identities. All are UUID version 7: their order is the order in which they were made.

use crate::clock::{Clock, Entropy, Timestamp};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::{Builder, Uuid};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(into = "String", try_from = "String")]
        #[schema(value_type = String, format = "uuid", pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
        pub struct $name(Uuid);

        impl $name {
            /// A new one.
            ///
            /// # Errors
            /// When there is no randomness.
            pub fn new(clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Self> {
                let mut random = [0u8; 10];
                entropy.fill(&mut random)?;
                let millis = u64::try_from(clock.now().as_millis()).unwrap_or(0);
                Ok(Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid()))
            }

            /// When it was made, by the clock of whoever made it.
            pub fn made_at(&self) -> Timestamp {
                let (seconds, nanos) = self.0.get_timestamp().map_or((0, 0), |t| t.to_unix());
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                Timestamp::from_millis(seconds.saturating_mul(1_000).saturating_add(i64::from(nanos / 1_000_000)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.as_hyphenated().fmt(f) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.as_hyphenated().fmt(f) }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let id = Uuid::try_parse(text).ok().filter(|id| id.as_hyphenated().to_string() == text);
                id.map(Self).ok_or_else(|| Error::invalid(format!(concat!("`{}` is not a ", $what,
                    "; one looks like 019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"), text.chars().take(64).collect::<String>())))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self { id.to_string() }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> { text.parse() }
        }
    )+};
}

impl SnapshotId {
    /// The id of the same backup when it is sealed again: a millisecond later, and otherwise alike, so it takes its place in
    /// the order of all.
    #[must_use]
    pub fn next_generation(self) -> Self {
        let mut bytes = *self.0.as_bytes();
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&bytes[..6]);
        let next = u64::from_be_bytes(millis).wrapping_add(1).to_be_bytes();
        bytes[..6].copy_from_slice(&next[2..]);
        Self(Uuid::from_bytes(bytes))
    }

    /// What all generations of one backup share, and no two backups do.
    pub fn root(&self) -> [u8; 10] {
        let mut random = [0; 10];
        random.copy_from_slice(&self.0.as_bytes()[6..]);
        random
    }
}

ids! {
    /// One complete, restorable point; the API calls it a backup.
    SnapshotId, "backup id";
    /// One try at making a snapshot.
    AttemptId, "attempt id";
    /// One run of `prune`.
    PruneId, "prune run id";
    /// One run of `verify`.
    VerificationId, "verification id";
    /// One drill.
    DrillId, "drill id";
    /// One count of what the backups take.
    UsageId, "usage id";
    /// One rotation of keys.
    RotationId, "rotation id";
    /// One restore that was asked for.
    RestoreId, "restore id";
    /// One entry of the audit.
    AuditId, "audit id";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_comes_right_after_the_one_before_it() {
        let of = |text: &str| text.parse::<SnapshotId>().expect("an id");
        let first = of("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071");
        let second = first.next_generation();
        assert_eq!(second, of("019ab3c4-5d6f-7f80-9a1b-2c3d4e5f6071"));
        assert_eq!(of("019ab3c4-ffff-7f80-9a1b-2c3d4e5f6071").next_generation().to_string()[..13], *"019ab3c5-0000");
        assert!(second > first && second.made_at().since(first.made_at()) == 1);
        assert_eq!(first.root(), second.root());
        assert_ne!(first.root(), of("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072").root());
    }
}
