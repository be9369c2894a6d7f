//! Time and chance, injected. Nothing else in the workspace asks the machine for either.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant: milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(into = "String", try_from = "String")]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest instant that is written with a four-digit year.
    const MILLIS_MAX: i64 = 253_402_300_799_999;

    /// An instant from milliseconds since the epoch, brought into the years 1970 to 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::MILLIS_MAX))
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant and some seconds.
    #[must_use]
    pub fn plus_s(self, seconds: i64) -> Self {
        Self::from_millis(self.0.saturating_add(seconds.saturating_mul(1_000)))
    }

    /// Milliseconds from `earlier` to this; negative when it is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).map_err(|_| fmt::Error)?;
        let (date, time) = (t.date(), t.time());
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.millisecond()
        )
    }
}

impl From<Timestamp> for String {
    fn from(t: Timestamp) -> Self {
        t.to_string()
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let t = OffsetDateTime::parse(&text, &Rfc3339)
            .map_err(|_| Error::invalid(format!("`{text}` is not an instant; write it like 2026-11-22T03:00:00Z")))?;
        i64::try_from(t.unix_timestamp_nanos() / 1_000_000)
            .map(Self::from_millis)
            .map_err(|_| Error::invalid(format!("`{text}` is out of range")))
    }
}

/// The time of day, and waiting.
#[async_trait::async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Comes back after a while.
    async fn sleep(&self, duration: Duration);
}

/// Random bytes fit for keys and ids.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_survives_its_text() {
        for millis in [0, 1, 999, 1_795_302_000_123, Timestamp::MILLIS_MAX] {
            let t = Timestamp::from_millis(millis);
            assert_eq!(Timestamp::try_from(t.to_string()).expect("parses"), t);
        }
        assert_eq!(Timestamp::from_millis(1_795_302_000_123).to_string(), "2026-11-21T23:00:00.123Z");
    }

    #[test]
    fn a_text_that_is_no_instant_is_refused_with_an_example() {
        let e = Timestamp::try_from("yesterday".to_owned()).expect_err("refused");
        assert!(e.to_string().contains("2026-11-22T03:00:00Z"), "{e}");
    }
}
