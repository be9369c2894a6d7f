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
}

impl Decompressor {
    /// For a frame whose content has exactly `length` bytes.
    ///
    /// # Errors
    /// `Internal` when zstd has no memory.
    pub fn exactly(length: u64) -> Result<Self> {
        Ok(Self { decoder: Decoder::new().map_err(defect)?, left: length, exact: true, ended: false })
    }

    /// For a frame whose content has at most `length` bytes.
    ///
    /// # Errors
    /// `Internal` when zstd has no memory.
    pub fn at_most(length: u64) -> Result<Self> {
        Ok(Self { exact: false, ..Self::exactly(length)? })
    }

    /// Decompresses from `compressed[*at..]` into the free capacity of `plain`, and moves `at` on. Gives back empty when
    /// everything that was put in has come out: then it wants more, or the end.
    ///
    /// # Errors
    /// `Corrupt` when it is not zstd, or longer than it may be.
    pub fn fill(&mut self, compressed: &[u8], at: &mut usize, plain: &mut Vec<u8>) -> Result<()> {
        plain.clear();
        loop {
            if self.ended && *at < compressed.len() {
                return Err(Error::corrupt("bytes follow the end of the zstd frame"));
            }
            let (mut input, filled) = (InBuffer::around(&compressed[*at..]), plain.len());
            let capacity = plain.capacity();
            let mut output = OutBuffer::around_pos(plain, filled);
            let hint = self
                .decoder
                .run(&mut input, &mut output)
                .map_err(|e| Error::corrupt(format!("not a zstd frame: {e}")))?;
            let came = output.pos() - filled;
            *at += input.pos;
            self.ended |= hint == 0;
            self.left = self
                .left
                .checked_sub(came as u64)
                .ok_or_else(|| Error::corrupt("the zstd frame holds more bytes than it may"))?;
            let full = filled + came == capacity;
            // Less than there was room for came out of all that was put in: nothing waits inside.
            if full || *at == compressed.len() {
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
    let (mut out, mut at, mut step) = (Vec::new(), 0, Vec::with_capacity(STEP_BYTES));
    loop {
        decompressor.fill(&compressed.0, &mut at, &mut step)?;
        if step.is_empty() {
            decompressor.finish()?;
            return Ok(out);
        }
        out.extend_from_slice(&step);
    }
}

fn defect(e: std::io::Error) -> Error {
    Error::internal("zstd failed").with_source(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(compressed: &[u8], length: u64) -> Result<()> {
        let (mut decompressor, mut at, mut step) = (Decompressor::exactly(length)?, 0, Vec::with_capacity(1_000));
        loop {
            decompressor.fill(compressed, &mut at, &mut step)?;
            if step.is_empty() {
                return decompressor.finish();
            }
        }
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
