//! zstd: one frame a message. Decompression is bounded by a length that was authenticated before.

use crate::error::{Error, Result};
use crate::stage::Compressed;
use zstd::stream::raw::{Decoder, Encoder, InBuffer, Operation, OutBuffer};

const STEP_BYTES: usize = 128 * 1024;

/// Compresses a stream into one zstd frame.
pub struct Compressor {
    encoder: Encoder<'static>,
    step: Vec<u8>,
}

impl Compressor {
    /// A frame at a zstd level. The frame ends with zstd's own checksum of the content.
    ///
    /// # Errors
    /// `Invalid` for a level that zstd refuses.
    pub fn new(level: i32) -> Result<Self> {
        let mut encoder = Encoder::new(level).map_err(|e| Error::invalid(format!("zstd level {level}: {e}")))?;
        encoder.set_parameter(zstd::stream::raw::CParameter::ChecksumFlag(true)).map_err(defect)?;
        Ok(Self { encoder, step: vec![0; STEP_BYTES] })
    }

    /// Takes plain bytes, and gives what came out of them to `out`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, plain: &[u8], mut out: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut input = InBuffer::around(plain);
        while input.pos < plain.len() {
            let mut output = OutBuffer::around(&mut self.step[..]);
            self.encoder.run(&mut input, &mut output).map_err(defect)?;
            out(output.as_slice())?;
        }
        Ok(())
    }

    /// Ends the frame, and makes ready for another.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(&mut self, mut out: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            let mut output = OutBuffer::around(&mut self.step[..]);
            let left = self.encoder.finish(&mut output, true).map_err(defect)?;
            out(output.as_slice())?;
            if left == 0 {
                return self.encoder.reinit().map_err(defect);
            }
        }
    }
}

/// Decompresses a stream of one zstd frame, up to a length that the caller has authenticated.
pub struct Decompressor {
    decoder: Decoder<'static>,
    left: u64,
    exact: bool,
    ended: bool,
    step: Vec<u8>,
}

impl Decompressor {
    /// For a frame whose content has exactly `length` bytes.
    ///
    /// # Errors
    /// `Internal` when zstd has no memory.
    pub fn exactly(length: u64) -> Result<Self> {
        Ok(Self {
            decoder: Decoder::new().map_err(defect)?,
            left: length,
            exact: true,
            ended: false,
            step: vec![0; STEP_BYTES],
        })
    }

    /// For a frame whose content has at most `length` bytes.
    ///
    /// # Errors
    /// `Internal` when zstd has no memory.
    pub fn at_most(length: u64) -> Result<Self> {
        Ok(Self { exact: false, ..Self::exactly(length)? })
    }

    /// Takes compressed bytes, and gives what came out of them to `out`.
    ///
    /// # Errors
    /// `Corrupt` when it is not zstd, or longer than it may be; those of `out`.
    pub fn write(&mut self, compressed: &[u8], mut out: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut input = InBuffer::around(compressed);
        loop {
            if self.ended && input.pos < compressed.len() {
                return Err(Error::corrupt("bytes follow the end of the zstd frame"));
            }
            let mut output = OutBuffer::around(&mut self.step[..]);
            let hint = self
                .decoder
                .run(&mut input, &mut output)
                .map_err(|e| Error::corrupt(format!("not a zstd frame: {e}")))?;
            self.ended |= hint == 0;
            let plain = output.as_slice();
            self.left = self
                .left
                .checked_sub(plain.len() as u64)
                .ok_or_else(|| Error::corrupt("the zstd frame holds more bytes than it may"))?;
            out(plain)?;
            let drained = plain.len() < STEP_BYTES;
            if input.pos == compressed.len() && drained {
                return Ok(());
            }
        }
    }

    /// Requires that the frame ended where it should.
    ///
    /// # Errors
    /// `Corrupt` when it is shorter than it must be.
    pub fn finish(self) -> Result<()> {
        match (self.ended, self.left) {
            (false, _) => Err(Error::corrupt("the zstd frame is cut off")),
            (true, left) if left == 0 || !self.exact => Ok(()),
            (true, left) => {
                Err(Error::corrupt(format!("the zstd frame holds {left} bytes fewer than the manifest says")))
            }
        }
    }
}

/// Compresses bytes that are held whole.
///
/// # Errors
/// `Invalid` for a level that zstd refuses.
pub fn compress(plain: &[u8], level: i32) -> Result<Compressed> {
    let mut compressor = Compressor::new(level)?;
    let mut out = Vec::with_capacity(plain.len() / 3);
    let mut keep = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    compressor.write(plain, &mut keep)?;
    compressor.finish(&mut keep)?;
    Ok(Compressed(out))
}

/// Decompresses bytes that are held whole, up to a limit.
///
/// # Errors
/// `Corrupt` when they are not one zstd frame, or hold more.
pub fn decompress(compressed: &Compressed, max: usize) -> Result<Vec<u8>> {
    let mut decompressor = Decompressor::at_most(max as u64)?;
    let mut out = Vec::new();
    decompressor.write(&compressed.0, |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    })?;
    decompressor.finish()?;
    Ok(out)
}

fn defect(e: std::io::Error) -> Error {
    Error::internal("zstd failed").with_source(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(compressed: &[u8], length: u64) -> Result<()> {
        let mut decompressor = Decompressor::exactly(length)?;
        decompressor.write(compressed, |_| Ok(()))?;
        decompressor.finish()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for plain in [Vec::new(), b"a".to_vec(), (0..3_000_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect()] {
            let packed = compress(&plain, 1).expect("compresses");
            assert_eq!(decompress(&packed, plain.len()).expect("comes back"), plain);
        }
    }

    #[test]
    fn a_frame_that_is_longer_or_shorter_than_said_is_corrupt() {
        let packed = compress(&[7; 100_000], 1).expect("compresses");
        assert!(exactly(&packed.0, 100_000).is_ok());
        for length in [0, 99_999, 100_001] {
            assert!(exactly(&packed.0, length).is_err(), "{length}");
        }
        assert!(decompress(&packed, 99_999).is_err());
        assert!(exactly(&packed.0[..packed.0.len() - 1], 100_000).is_err());
        assert!(exactly(&[packed.0.as_slice(), b"x"].concat(), 100_000).is_err());
    }

    #[test]
    fn one_compressor_makes_frame_after_frame() {
        let (mut compressor, mut first, mut second) = (Compressor::new(1).expect("level"), Vec::new(), Vec::new());
        for out in [&mut first, &mut second] {
            let mut keep = |b: &[u8]| {
                out.extend_from_slice(b);
                Ok(())
            };
            compressor.write(b"the same", &mut keep).expect("writes");
            compressor.finish(&mut keep).expect("finishes");
        }
        assert_eq!(first, second);
    }
}
