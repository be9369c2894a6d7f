//! Segments: rows of one run of blocks, compressed and sealed.
//!
//! Almost every segment is one extent; in one that has several, a row may begin in one and end in the next.

use crate::digest::{Fingerprint, RowMeter, RowTally};
use crate::envelope::SealKey;
use crate::error::{Error, Result};
use crate::extent::{Extent, ExtentReader, ExtentWriter, SealedExtent};
use crate::keyring::Keyring;
use crate::layout::ObjectKey;
use crate::source::{RowStream, Run};
use crate::vault::Vault;
use bytes::Bytes;
use futures::stream;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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

/// Makes a segment of a stream of rows.
pub struct SegmentWriter<'a> {
    extents: ExtentWriter<'a>,
    meter: RowMeter,
}

impl<'a> SegmentWriter<'a> {
    /// A segment sealed under `key`, compressed at `level`.
    ///
    /// # Errors
    /// `Invalid` for a level that zstd refuses.
    pub fn new(keyring: &'a Keyring, key: &'a SealKey, level: i32) -> Result<Self> {
        Ok(Self { extents: ExtentWriter::new(keyring, key, level)?, meter: RowMeter::default() })
    }

    /// Takes a chunk of rows. Gives an extent when one is full.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn write(&mut self, chunk: &[u8]) -> Result<Option<SealedExtent>> {
        self.meter.write(chunk);
        self.extents.write(chunk)
    }

    /// Ends the rows. Gives the last extent, if any, and the tally.
    ///
    /// # Errors
    /// `Corrupt` when the rows end within a row.
    pub fn finish(self) -> Result<(Option<SealedExtent>, RowTally)> {
        Ok((self.extents.finish()?, self.meter.finish()?))
    }
}

/// The rows of a segment, read from a vault. The stream ends in an error unless every byte is what was sealed and the
/// tally is the manifest's: who takes rows from it must not keep them before it has ended well.
pub fn read(vault: Arc<dyn Vault>, keyring: Arc<Keyring>, packs: Arc<Vec<ObjectKey>>, segment: Segment) -> RowStream {
    let extents = ExtentReader::new(vault, keyring, packs, segment.extents);
    let reader = Reader { extents, tally: segment.tally, meter: Some(RowMeter::default()) };
    Box::pin(stream::try_unfold(
        reader,
        |mut reader| async move { Ok(reader.next().await?.map(|chunk| (chunk, reader))) },
    ))
}

struct Reader {
    extents: ExtentReader,
    /// What the manifest says.
    tally: RowTally,
    meter: Option<RowMeter>,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(rows) = self.extents.next().await? else { return self.end() };
        if let Some(meter) = &mut self.meter {
            meter.write(&rows);
        }
        Ok(Some(rows))
    }

    fn end(&mut self) -> Result<Option<Bytes>> {
        let Some(meter) = self.meter.take() else { return Ok(None) };
        let tally = meter.finish()?;
        if tally != self.tally {
            return Err(Error::corrupt(format!(
                "the segment holds {} rows with digest {}; the manifest says {} rows with digest {}",
                tally.rows, tally.digest, self.tally.rows, self.tally.digest
            )));
        }
        Ok(None)
    }
}
