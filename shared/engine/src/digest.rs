//! Digests that do not depend on the order of rows.
//!
//! A row's hash is the 128-bit XXH3 of its text without the line feed. The digest of a segment or of a table is the sum
//! of its rows' hashes modulo 2^128: segments add up to tables, and a restored table can be compared in any order. It
//! tells accidents, not attackers: those meet the authenticated encryption first.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

/// The sum of row hashes. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RowDigest(u128);

impl RowDigest {
    /// The digest of these rows and those.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl fmt::Display for RowDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RowDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<RowDigest> for String {
    fn from(digest: RowDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for RowDigest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = if digits { u128::from_str_radix(&text, 16).ok() } else { None };
        value.map(Self).ok_or_else(|| Error::invalid("a row digest is 32 hexadecimal digits"))
    }
}

/// Rows, their bytes and their digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowTally {
    /// Rows.
    pub rows: u64,
    /// Bytes of their text, line feeds included.
    pub bytes: u64,
    /// Their digest.
    pub digest: RowDigest,
}

impl RowTally {
    /// The tally of these rows and those.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, bytes: self.bytes + other.bytes, digest: self.digest.plus(other.digest) }
    }
}

/// Tallies a stream of `copy` text, whose chunks may end anywhere. In that text a line feed only ever ends a row.
#[derive(Default)]
pub struct RowMeter {
    tally: RowTally,
    /// The row that the last chunk broke off in.
    broken: Option<Box<Xxh3Default>>,
}

impl RowMeter {
    /// Takes a chunk.
    pub fn write(&mut self, chunk: &[u8]) {
        self.tally.bytes += chunk.len() as u64;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let row = &chunk[start..end];
            let hash = match self.broken.take() {
                Some(mut hasher) => {
                    hasher.update(row);
                    hasher.digest128()
                }
                None => xxh3_128(row),
            };
            self.tally.rows += 1;
            self.tally.digest.0 = self.tally.digest.0.wrapping_add(hash);
            start = end + 1;
        }
        if start < chunk.len() {
            self.broken.get_or_insert_with(|| Box::new(Xxh3Default::new())).update(&chunk[start..]);
        }
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// `Corrupt` when it ends within a row.
    pub fn finish(self) -> Result<RowTally> {
        if self.broken.is_some() {
            return Err(Error::corrupt("the rows end within a row"));
        }
        Ok(self.tally)
    }
}

/// What the set of `(ctid, xmin)` pairs of a run hashes to: equal exactly when no row version came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Rows.
    pub rows: u64,
    /// The exclusive or of `hashtidextended(ctid, xmin)`.
    pub hash: i64,
    /// The exclusive or of `hashtidextended(ctid, ~xmin)`.
    pub hash_inverse: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(text: &[u8], chunk: usize) -> RowTally {
        let mut meter = RowMeter::default();
        text.chunks(chunk.max(1)).for_each(|c| meter.write(c));
        meter.finish().expect("ends with a row")
    }

    proptest! {
        #[test]
        fn a_tally_depends_neither_on_chunks_nor_on_order(rows in prop::collection::vec("[a-z\\\\t]{0,300}", 0..20), a in 1usize..50, b in 1usize..5_000) {
            let forward: String = rows.iter().flat_map(|r| [r.as_str(), "\n"]).collect();
            let backward: String = rows.iter().rev().flat_map(|r| [r.as_str(), "\n"]).collect();
            prop_assert_eq!(tally(forward.as_bytes(), a), tally(backward.as_bytes(), b));
        }
    }

    #[test]
    fn a_row_twice_is_not_a_row_once_nor_none() {
        let (none, one, two) = (tally(b"", 1), tally(b"x\n", 1), tally(b"x\nx\n", 1));
        assert!(one.digest != none.digest && two.digest != one.digest && two.digest != none.digest);
        assert_eq!(two, one.plus(one));
    }

    #[test]
    fn rows_that_end_within_a_row_are_corrupt() {
        let mut meter = RowMeter::default();
        meter.write(b"a\nb");
        assert!(meter.finish().is_err());
    }
}
