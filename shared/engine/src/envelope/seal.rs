//! Writing: frames that come whole are sealed into their place in the message; what comes in pieces is gathered there, and
//! sealed in place.

use super::context::Context;
use super::message::{EncryptedDataKey, FRAMED, MESSAGE_ID_BYTES, VERSION};
use super::suite::{COMMITMENT_BYTES, DataKey, IV_BYTES, MessageKey, Part, Suite, TAG_BYTES, frame_iv};
use super::{ENCRYPTED_DATA_KEYS_MAX, FRAME_WRITE_BYTES, HEADER_BYTES_MAX};
use crate::error::{Error, Result};

/// What the number of a frame is replaced by in front of the final one, and so the number of no other.
pub(super) const END: u32 = u32::MAX;
/// Number and IV.
pub(super) const FRAME_PREFIX_BYTES: usize = 4 + IV_BYTES;
/// End mark, number, IV and length.
pub(super) const FINAL_PREFIX_BYTES: usize = 4 + 4 + IV_BYTES + 4;
/// Version, suite and message id: the fields before the context.
const HEADER_START_BYTES: usize = 1 + 2 + MESSAGE_ID_BYTES;
/// Frame length, commitment and tag: the fields after the content type.
const HEADER_END_BYTES: usize = 4 + COMMITMENT_BYTES + TAG_BYTES;

/// A data key, its wrapped forms and its context, for many messages: up to 2^32, each under an id of its own.
#[derive(Debug)]
pub struct SealKey {
    data_key: DataKey,
    context: Context,
    /// Context, wrapped keys and content type, as every header of this key holds them.
    encoded: Vec<u8>,
}

impl SealKey {
    /// A key to seal with.
    ///
    /// # Errors
    /// `Invalid` without a wrapped key, with more than [`ENCRYPTED_DATA_KEYS_MAX`], with a context that
    /// [`Context::new`] would refuse, or when the header would be larger than [`HEADER_BYTES_MAX`].
    pub fn new(data_key: DataKey, edks: Vec<EncryptedDataKey>, context: Context) -> Result<Self> {
        if !(1..=ENCRYPTED_DATA_KEYS_MAX).contains(&edks.len()) {
            return Err(Error::invalid(format!(
                "a message needs 1 to {ENCRYPTED_DATA_KEYS_MAX} wrapped data keys; there are {}",
                edks.len()
            )));
        }
        context.require_writable()?;
        let mut encoded = Vec::new();
        context.encode(&mut encoded);
        encoded.extend_from_slice(&(edks.len() as u16).to_be_bytes());
        edks.iter().try_for_each(|edk| edk.encode(&mut encoded))?;
        encoded.push(FRAMED);
        let key = Self { data_key, context, encoded };
        if key.header_len() > HEADER_BYTES_MAX {
            return Err(Error::invalid(format!("the message's header would have more than {HEADER_BYTES_MAX} bytes")));
        }
        Ok(key)
    }

    /// The context of every message under this key.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The bytes of a message with so many bytes of plaintext: what to reserve, or to declare, before sealing it.
    pub fn sealed_len(&self, frame_bytes: u32, plain_bytes: u64) -> u64 {
        let frames = plain_bytes.checked_div(u64::from(frame_bytes)).unwrap_or_default();
        let around_frame = FRAME_PREFIX_BYTES + TAG_BYTES;
        let around_rest = self.header_len() + FINAL_PREFIX_BYTES + TAG_BYTES;
        plain_bytes + frames * around_frame as u64 + around_rest as u64
    }

    fn header_len(&self) -> usize {
        HEADER_START_BYTES + self.encoded.len() + HEADER_END_BYTES
    }
}

/// Seals one message, appended to a buffer that may already hold others.
///
/// Its order: the header; every full frame as soon as it is full; [`finish`](Self::finish) writes the final frame.
pub struct Sealer {
    key: MessageKey,
    frame_bytes: usize,
    /// The number of the frame that is being filled.
    number: u32,
    /// Plaintext bytes of that frame, which `out` ends with, after room for the frame's prefix; nothing while it is empty.
    filled: usize,
    start: usize,
    out: Vec<u8>,
    /// Whether a frame was refused: the message has a hole then.
    failed: bool,
}

impl Sealer {
    /// Begins a message at the end of `out`. A message id is used once with a data key.
    ///
    /// # Errors
    /// `Invalid` for a frame length outside [`FRAME_WRITE_BYTES`], or that is not a multiple of the cipher's 16 bytes.
    pub fn new(key: &SealKey, message_id: [u8; MESSAGE_ID_BYTES], frame_bytes: u32, out: Vec<u8>) -> Result<Self> {
        if !FRAME_WRITE_BYTES.contains(&frame_bytes) || !frame_bytes.is_multiple_of(16) {
            let (min, max) = (FRAME_WRITE_BYTES.start(), FRAME_WRITE_BYTES.end());
            return Err(Error::invalid(format!(
                "a frame has {min} to {max} bytes, in multiples of 16, not {frame_bytes}"
            )));
        }
        Self::begin(key, message_id, frame_bytes, out)
    }

    /// With any frame length, as tests need it.
    pub(super) fn begin(
        key: &SealKey,
        message_id: [u8; MESSAGE_ID_BYTES],
        frame_bytes: u32,
        mut out: Vec<u8>,
    ) -> Result<Self> {
        let suite = Suite::Committing;
        let message = MessageKey::derive(suite, &key.data_key, message_id)?;
        let start = out.len();
        out.reserve(key.header_len());
        out.push(VERSION);
        out.extend_from_slice(&suite.id().to_be_bytes());
        out.extend_from_slice(&message_id);
        out.extend_from_slice(&key.encoded);
        out.extend_from_slice(&frame_bytes.to_be_bytes());
        out.extend_from_slice(message.commitment());
        let tag = message.header_tag(&out[start..])?;
        out.extend_from_slice(&tag);
        Ok(Self { key: message, frame_bytes: frame_bytes as usize, number: 1, filled: 0, start, out, failed: false })
    }

    /// Takes plaintext.
    ///
    /// # Errors
    /// `Invalid` when the message would need more than 2^32 - 1 frames; nothing more can be written to it then.
    pub fn write(&mut self, plain: &[u8]) -> Result<()> {
        if self.failed {
            return Err(failed());
        }
        let taken = self.take(plain);
        self.failed = taken.is_err();
        taken
    }

    /// The bytes that the message would have if it were finished now.
    pub fn sealed_len(&self) -> usize {
        let begun = if self.filled == 0 { 0 } else { FRAME_PREFIX_BYTES };
        self.out.len() - self.start - begun + FINAL_PREFIX_BYTES + TAG_BYTES
    }

    /// Ends the message, and gives back the buffer.
    ///
    /// # Errors
    /// `Invalid` when `write` failed before.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        if self.failed {
            return Err(failed());
        }
        let begun = if self.filled == 0 { 0 } else { FRAME_PREFIX_BYTES };
        let frame = self.out.len() - self.filled - begun;
        let plain = frame + FINAL_PREFIX_BYTES;
        // The final frame's prefix is longer: less than a frame moves, once a message.
        self.out.resize(plain + self.filled, 0);
        self.out.copy_within(frame + begun..frame + begun + self.filled, plain);
        let mut at = frame;
        for field in [
            &END.to_be_bytes(),
            &self.number.to_be_bytes(),
            frame_iv(self.number).as_slice(),
            &(self.filled as u32).to_be_bytes(),
        ] {
            self.out[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        let tag = self.key.seal_part(Part::FinalFrame, self.number, &mut self.out[plain..])?;
        self.out.extend_from_slice(&tag);
        Ok(self.out)
    }

    fn take(&mut self, mut plain: &[u8]) -> Result<()> {
        while !plain.is_empty() {
            if self.filled == 0 {
                if let Some((frame, later)) = plain.split_at_checked(self.frame_bytes) {
                    self.seal_whole(frame)?;
                    plain = later;
                    continue;
                }
                self.begin_frame();
            }
            let (now, later) = plain.split_at(plain.len().min(self.frame_bytes - self.filled));
            self.out.extend_from_slice(now);
            self.filled += now.len();
            plain = later;
            if self.filled == self.frame_bytes {
                self.seal_gathered()?;
            }
        }
        Ok(())
    }

    fn begin_frame(&mut self) {
        self.out.extend_from_slice(&self.number.to_be_bytes());
        self.out.extend_from_slice(&frame_iv(self.number));
    }

    /// Seals a frame whose plaintext is elsewhere.
    fn seal_whole(&mut self, frame: &[u8]) -> Result<()> {
        self.require_room()?;
        self.begin_frame();
        let at = self.out.len();
        self.out.resize(at + frame.len() + TAG_BYTES, 0);
        self.key.seal_part_into(Part::Frame, self.number, frame, &mut self.out[at..])?;
        self.number += 1;
        Ok(())
    }

    /// Seals the frame that was gathered, and is full.
    fn seal_gathered(&mut self) -> Result<()> {
        self.require_room()?;
        let plain = self.out.len() - self.filled;
        let tag = self.key.seal_part(Part::Frame, self.number, &mut self.out[plain..])?;
        self.out.extend_from_slice(&tag);
        self.number += 1;
        self.filled = 0;
        Ok(())
    }

    /// The last number there is belongs to a final frame: before others it would read as the end mark.
    fn require_room(&self) -> Result<()> {
        match self.number {
            END => Err(Error::invalid("a message has at most 4,294,967,295 frames")),
            _ => Ok(()),
        }
    }
}

fn failed() -> Error {
    Error::invalid("the message could not be sealed before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_too_many_frames_is_refused_and_one_of_all_of_them_is_not() {
        let edk = EncryptedDataKey { provider_id: String::new(), provider_info: Vec::new(), ciphertext: Vec::new() };
        let key = SealKey::new(DataKey::from_bytes([1; 32]), vec![edk], Context::default()).expect("a good key");
        let at_the_last_frame = || {
            let mut sealer = Sealer::begin(&key, [2; 32], 16, Vec::new()).expect("begins");
            sealer.number = END;
            sealer
        };
        let mut sealer = at_the_last_frame();
        sealer.write(&[3; 15]).expect("fits");
        assert!(sealer.finish().is_ok());
        for pieces in [&[16][..], &[15, 1], &[1, 40]] {
            let mut sealer = at_the_last_frame();
            let written: Result<()> = pieces.iter().try_for_each(|len| sealer.write(&vec![3; *len]));
            assert!(written.is_err(), "{pieces:?}");
            assert!(sealer.write(&[3; 1]).is_err(), "{pieces:?}");
            assert!(sealer.finish().is_err(), "{pieces:?}");
        }
    }
}
