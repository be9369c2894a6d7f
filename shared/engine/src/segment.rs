//! Segments: rows of one run of blocks, compressed and sealed.
//!
//! A segment is one sealed message holding one zstd frame. One that grows beyond [`limits::EXTENT_BYTES`] goes on in
//! another message: each is an extent, and the rows are the extents' contents one after the other (a row may begin in
//! one and end in the next). So memory is bounded whatever a row's size.

use crate::compress::{Compressor, Decompressor};
use crate::digest::{Fingerprint, RowMeter, RowTally};
use crate::envelope::{Opener, SealKey, Sealer};
use crate::error::{Error, Result, ResultExt};
use crate::keyring::{Keyring, Purpose, context};
use crate::layout::ObjectKey;
use crate::limits::{self, EXTENT_BYTES, FRAME_BYTES};
use crate::message;
use crate::source::{RowStream, Run};
use crate::stage::Sealed;
use crate::vault::Vault;
use bytes::Bytes;
use futures::stream;
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
    /// Bytes of rows in it, before compression.
    pub bytes: u64,
}

/// How a segment's rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowFormat {
    /// `copy … to stdout` text.
    CopyText,
}

/// A segment, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The run of blocks; none when the table was read whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<Run>,
    /// What the run's `(ctid, xmin)` pairs hash to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<Fingerprint>,
    /// Its rows.
    #[serde(flatten)]
    pub tally: RowTally,
    /// How they are written.
    pub format: RowFormat,
    /// Where they lie, in order; none when there are no rows.
    pub extents: Vec<Extent>,
}

/// A sealed message, and how many bytes of rows are in it.
pub struct SealedExtent {
    /// The message.
    pub sealed: Sealed,
    /// Bytes of rows, before compression.
    pub bytes: u64,
}

/// Makes a segment of a stream of rows.
pub struct SegmentWriter<'a> {
    keyring: &'a Keyring,
    key: &'a SealKey,
    meter: RowMeter,
    compressor: Compressor,
    open: Option<(Sealer, u64)>,
}

impl<'a> SegmentWriter<'a> {
    /// A segment sealed under `key`, compressed at `level`.
    ///
    /// # Errors
    /// `Invalid` for a level that zstd refuses.
    pub fn new(keyring: &'a Keyring, key: &'a SealKey, level: i32) -> Result<Self> {
        Ok(Self { keyring, key, meter: RowMeter::default(), compressor: Compressor::new(level)?, open: None })
    }

    /// Takes a chunk of rows. Gives an extent when one is full.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn write(&mut self, chunk: &[u8]) -> Result<Option<SealedExtent>> {
        if chunk.is_empty() {
            return Ok(None);
        }
        self.meter.write(chunk);
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

    /// Ends the rows. Gives the last extent, if any, and the tally.
    ///
    /// # Errors
    /// `Corrupt` when the rows end within a row.
    pub fn finish(mut self) -> Result<(Option<SealedExtent>, RowTally)> {
        let last = self.close()?;
        Ok((last, self.meter.finish()?))
    }

    fn close(&mut self) -> Result<Option<SealedExtent>> {
        let Some((mut sealer, bytes)) = self.open.take() else { return Ok(None) };
        self.compressor.finish(|compressed| sealer.write(compressed))?;
        Ok(Some(SealedExtent { sealed: Sealed(sealer.finish()?), bytes }))
    }
}

/// The rows of a segment, read from a vault. The stream ends in an error unless every byte is what was sealed and the
/// tally is the manifest's: who takes rows from it must not keep them before it has ended well.
pub fn read(vault: Arc<dyn Vault>, keyring: Arc<Keyring>, packs: Arc<Vec<ObjectKey>>, segment: Segment) -> RowStream {
    let reader =
        Reader { vault, keyring, packs, segment, next_extent: 0, current: None, meter: Some(RowMeter::default()) };
    Box::pin(stream::try_unfold(
        reader,
        |mut reader| async move { Ok(reader.next().await?.map(|chunk| (chunk, reader))) },
    ))
}

struct Reader {
    vault: Arc<dyn Vault>,
    keyring: Arc<Keyring>,
    packs: Arc<Vec<ObjectKey>>,
    segment: Segment,
    next_extent: usize,
    current: Option<ExtentReader>,
    meter: Option<RowMeter>,
}

struct ExtentReader {
    sealed: Bytes,
    opener: Opener,
    decompressor: Decompressor,
    /// Opened, and decompressed up to `at`.
    opened: Vec<u8>,
    at: usize,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(extent) = &mut self.current {
                if let Some(rows) = extent.next()? {
                    if let Some(meter) = &mut self.meter {
                        meter.write(&rows);
                    }
                    return Ok(Some(rows));
                }
                if let Some(extent) = self.current.take() {
                    extent.finish()?;
                }
            }
            if !self.begin_extent().await? {
                return self.end();
            }
        }
    }

    async fn begin_extent(&mut self) -> Result<bool> {
        let Some(extent) = self.segment.extents.get(self.next_extent) else { return Ok(false) };
        self.next_extent += 1;
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
            return Err(Error::corrupt(format!("the manifest says that rows lie in {key}, which is no pack")));
        };
        let context = context(Purpose::Rows, *attempt)?;
        let (opener, consumed) = message::opener(&self.keyring, &context, &sealed).await.context(place())?;
        self.current = Some(ExtentReader {
            sealed: sealed.slice(consumed..),
            opener,
            decompressor: Decompressor::exactly(extent.bytes)?,
            opened: Vec::new(),
            at: 0,
        });
        Ok(true)
    }

    fn end(&mut self) -> Result<Option<Bytes>> {
        let Some(meter) = self.meter.take() else { return Ok(None) };
        let tally = meter.finish()?;
        if tally != self.segment.tally {
            return Err(Error::corrupt(format!(
                "the segment holds {} rows with digest {}; the manifest says {} rows with digest {}",
                tally.rows, tally.digest, self.segment.tally.rows, self.segment.tally.digest
            )));
        }
        Ok(None)
    }
}

impl ExtentReader {
    /// Some rows, at most [`limits::CHUNK_BYTES`] however well they were compressed; `None` once all were given.
    fn next(&mut self) -> Result<Option<Bytes>> {
        let mut rows = Vec::with_capacity(limits::CHUNK_BYTES);
        loop {
            self.decompressor.fill(&self.opened, &mut self.at, &mut rows)?;
            if !rows.is_empty() {
                return Ok(Some(rows.into()));
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
