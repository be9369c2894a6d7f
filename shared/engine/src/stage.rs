//! What may be stored.
//!
//! A vault accepts only [`Storable`], and a `Storable` is made only of sealed messages, of an inventory (the one clear
//! object, which holds names, lengths and checksums), or of bytes that a vault gave and that were checked against their
//! checksum. So storing a row unsealed does not compile.

use crate::error::{Error, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The SHA-256 of an object. Written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(into = "String", try_from = "String")]
#[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_digest(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
    }

    fn of_digest(digest: &aws_lc_rs::digest::Digest) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Self(out)
    }

    /// From its 32 bytes.
    ///
    /// # Errors
    /// `Invalid` at another length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| Error::invalid("a SHA-256 has 32 bytes"))
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Sha256> for String {
    fn from(sha256: Sha256) -> Self {
        sha256.to_string()
    }
}

impl TryFrom<String> for Sha256 {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let bytes = hex::decode(&text).map_err(|_| Error::invalid("a SHA-256 is 64 hexadecimal digits"))?;
        Self::from_slice(&bytes)
    }
}

/// Computes the SHA-256 of a stream of bytes.
pub struct Sha256Meter(aws_lc_rs::digest::Context);

impl Default for Sha256Meter {
    fn default() -> Self {
        Self(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }
}

impl Sha256Meter {
    /// Takes some bytes.
    pub fn write(&mut self, chunk: &[u8]) {
        self.0.update(chunk);
    }

    /// Ends the stream.
    pub fn finish(self) -> Sha256 {
        Sha256::of_digest(&self.0.finish())
    }
}

/// Bytes after zstd and before sealing. Only [`crate::compress`] makes them.
pub struct Compressed(pub(crate) Vec<u8>);

/// One whole sealed message. Only this crate's sealing makes one.
pub struct Sealed(pub(crate) Vec<u8>);

impl Sealed {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true of a message that was finished.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The body of one object, with its checksum.
#[derive(Clone)]
pub struct Storable {
    bytes: Bytes,
    sha256: Sha256,
}

impl Storable {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let sha256 = Sha256::of(&bytes);
        Self { bytes: bytes.into(), sha256 }
    }

    /// One sealed message as an object of its own.
    pub fn message(sealed: Sealed) -> Self {
        Self::new(sealed.0)
    }

    /// Bytes that a vault gave, which are to be stored in another vault.
    ///
    /// # Errors
    /// `Corrupt` when their checksum is not the expected one.
    pub fn fetched(bytes: Bytes, expected: Sha256) -> Result<Self> {
        let sha256 = Sha256::of(&bytes);
        if sha256 != expected {
            return Err(Error::corrupt(format!("the object's SHA-256 is {sha256}, and must be {expected}")));
        }
        Ok(Self { bytes, sha256 })
    }

    /// The bytes to put.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Their checksum.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl fmt::Debug for Storable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storable({} bytes, {})", self.bytes.len(), self.sha256)
    }
}
