//! Extents: sealed messages that hold a stream of bytes, one zstd frame each.
//!
//! A stream that grows beyond [`limits::EXTENT_BYTES`] goes on in another message: the bytes are the extents' contents one after
//! the other. So memory is bounded whatever a stream's length.

use crate::compress::{Compressor, Decompressor};
use crate::envelope::{Opener, SealKey, Sealer};
use crate::error::{Error, Result, ResultExt};
use crate::keyring::{Keyring, Purpose, context};
use crate::layout::ObjectKey;
use crate::limits::{self, EXTENT_BYTES, FRAME_BYTES};
use crate::message;
use crate::object::ObjectRef;
use crate::stage::Sealed;
use crate::vault::Vault;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a sealed message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The pack: an index into the manifest's list.
    pub pack: u32,
    /// Its first byte in the pack.
    pub offset: u64,
    /// Its bytes in the pack.
    pub length: u64,
    /// Bytes in it, before compression.
    pub bytes: u64,
}

impl Extent {
    /// Requires that it lies in one of these packs.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn check(&self, packs: &[ObjectRef]) -> Result<()> {
        let pack = usize::try_from(self.pack).ok().and_then(|n| packs.get(n));
        let end = self.offset.checked_add(self.length);
        match (pack, end) {
            (Some(pack), Some(end)) if end <= pack.length => Ok(()),
            _ => Err(Error::corrupt("an extent lies outside of its pack")),
        }
    }
}

/// A sealed message, and how many bytes are in it.
pub struct SealedExtent {
    /// The message.
    pub sealed: Sealed,
    /// Bytes in it, before compression.
    pub bytes: u64,
}

/// Makes extents of a stream of bytes.
pub struct ExtentWriter<'a> {
    keyring: &'a Keyring,
    key: &'a SealKey,
    compressor: Compressor,
    open: Option<(Sealer, u64)>,
}

impl<'a> ExtentWriter<'a> {
    /// Sealed under `key`, compressed at `level`.
    ///
    /// # Errors
    /// `Invalid` for a level that zstd refuses.
    pub fn new(keyring: &'a Keyring, key: &'a SealKey, level: i32) -> Result<Self> {
        Ok(Self { keyring, key, compressor: Compressor::new(level)?, open: None })
    }

    /// Takes some bytes. Gives an extent when one is full.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn write(&mut self, chunk: &[u8]) -> Result<Option<SealedExtent>> {
        if chunk.is_empty() {
            return Ok(None);
        }
        let (sealer, bytes) = match &mut self.open {
            Some(open) => open,
            None => {
                let sealer = Sealer::new(self.key, self.keyring.message_id()?, FRAME_BYTES, Vec::new())?;
                self.open.insert((sealer, 0))
            }
        };
        self.compressor.write(chunk, |compressed| sealer.write(compressed))?;
        *bytes += chunk.len() as u64;
        if sealer.sealed_len() < EXTENT_BYTES {
            return Ok(None);
        }
        self.close()
    }

    /// Ends the stream. Gives the last extent, if any.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish(mut self) -> Result<Option<SealedExtent>> {
        self.close()
    }

    fn close(&mut self) -> Result<Option<SealedExtent>> {
        let Some((mut sealer, bytes)) = self.open.take() else { return Ok(None) };
        self.compressor.finish(|compressed| sealer.write(compressed))?;
        Ok(Some(SealedExtent { sealed: Sealed(sealer.finish()?), bytes }))
    }
}

/// Reads a stream back from its extents. Every byte that it gives was authenticated; whether all came, the end says.
pub(crate) struct ExtentReader {
    vault: Arc<dyn Vault>,
    keyring: Arc<Keyring>,
    packs: Arc<Vec<ObjectKey>>,
    extents: Vec<Extent>,
    next: usize,
    current: Option<OpenExtent>,
}

struct OpenExtent {
    sealed: Bytes,
    opener: Opener,
    decompressor: Decompressor,
    /// Opened, and decompressed up to `at`.
    opened: Vec<u8>,
    at: usize,
}

impl ExtentReader {
    pub(crate) fn new(
        vault: Arc<dyn Vault>,
        keyring: Arc<Keyring>,
        packs: Arc<Vec<ObjectKey>>,
        extents: Vec<Extent>,
    ) -> Self {
        Self { vault, keyring, packs, extents, next: 0, current: None }
    }

    /// Some bytes, at most [`limits::CHUNK_BYTES`]; `None` once all were given.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(extent) = &mut self.current {
                if let Some(bytes) = extent.next()? {
                    return Ok(Some(bytes));
                }
                if let Some(extent) = self.current.take() {
                    extent.finish()?;
                }
            }
            if !self.begin_extent().await? {
                return Ok(None);
            }
        }
    }

    async fn begin_extent(&mut self) -> Result<bool> {
        let Some(extent) = self.extents.get(self.next) else { return Ok(false) };
        self.next += 1;
        let key = usize::try_from(extent.pack).ok().and_then(|n| self.packs.get(n));
        let key = key.ok_or_else(|| Error::corrupt("the manifest names a pack that it does not list"))?;
        let place = || {
            format!(
                "read bytes {}..{} of {key} in the {}",
                extent.offset,
                extent.offset + extent.length,
                self.vault.place()
            )
        };
        let sealed = self.vault.get_range(key, extent.offset, extent.length).await.context(place())?;
        // A pack holds only what the attempt in its key sealed.
        let ObjectKey::Pack(attempt, _) = key else {
            return Err(Error::corrupt(format!("the manifest says that bytes lie in {key}, which is no pack")));
        };
        let context = context(Purpose::Rows, *attempt)?;
        let (opener, consumed) = message::opener(&self.keyring, &context, &sealed).await.context(place())?;
        self.current = Some(OpenExtent {
            sealed: sealed.slice(consumed..),
            opener,
            decompressor: Decompressor::exactly(extent.bytes)?,
            opened: Vec::new(),
            at: 0,
        });
        Ok(true)
    }
}

impl OpenExtent {
    /// Some bytes, at most [`limits::CHUNK_BYTES`] however well they were compressed; `None` once all were given.
    fn next(&mut self) -> Result<Option<Bytes>> {
        let mut bytes = Vec::with_capacity(limits::CHUNK_BYTES);
        loop {
            self.decompressor.fill(&self.opened, &mut self.at, &mut bytes)?;
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
            if self.sealed.is_empty() {
                return Ok(None);
            }
            let piece = self.sealed.split_to(self.sealed.len().min(limits::CHUNK_BYTES));
            self.opened.clear();
            self.at = 0;
            self.opener.write(&piece, &mut self.opened)?;
        }
    }

    fn finish(self) -> Result<()> {
        self.opener.finish()?;
        self.decompressor.finish()
    }
}
