//! Reading: a frame is released when it is whole and its tag was checked, and not a byte earlier.

use super::message::{Decoded, Header};
use super::seal::{END, FINAL_PREFIX_BYTES, FRAME_PREFIX_BYTES};
use super::signature::{PUBLIC_KEY, SIGNATURE_BYTES_MAX, SignatureCheck};
use super::suite::{DataKey, IV_BYTES, MessageKey, Part, Sealed, TAG_BYTES};
use super::{FRAME_READ_BYTES_MAX, Suite};
use crate::error::{Error, Result};

/// IV and length, in front of a body that is not framed.
const SINGLE_PREFIX_BYTES: usize = IV_BYTES + 8;

/// Opens one message, fed with the bytes after its header in pieces of any size.
///
/// Holds at most one frame (or the body, where it is not framed) that is not whole yet, and reads frames that are whole
/// in the input from there.
///
/// What [`write`](Self::write) releases is authentic: the holder of the data key wrote it, for this place of this message. But
/// it is a success only when [`finish`](Self::finish) said so: the message may be cut off later, and of a signed one the
/// signature, which says *which* holder wrote it, comes last. Until then the plaintext may be stored or parsed where it
/// can be discarded, and must not be acted on.
pub struct Opener {
    key: MessageKey,
    frame_bytes: usize,
    stage: Stage,
    /// The number that the next frame must have.
    number: u32,
    /// The beginning of a unit (frame, body or footer) of which `need` bytes are known to be needed.
    pending: Vec<u8>,
    need: usize,
    /// Plaintext bytes that may still be released.
    allowed: u64,
    signature: Option<SignatureCheck>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Frames,
    Single,
    Footer,
    Done,
    Failed,
}

/// What became of the beginning of the input.
enum Step {
    /// A unit of so many bytes was taken.
    Took(usize),
    /// The unit has at least so many bytes, and they are not all here.
    Need(usize),
}

impl Opener {
    /// Checks the header with a data key: the key commitment first, then the header's tag.
    ///
    /// # Errors
    /// `Corrupt` when the key is not this message's, when the header was changed, or when the public key of a signed
    /// message is malformed.
    pub fn new(header: Header, data_key: &DataKey) -> Result<Self> {
        let key = MessageKey::derive(header.suite, data_key, header.message_id)?;
        key.check_commitment(&header.commitment)?;
        key.check_header_tag(&header.body, &header.tag)?;
        let signature = match header.suite {
            Suite::Committing => None,
            Suite::CommittingSigned => {
                let mut check = SignatureCheck::new(header.context.get(PUBLIC_KEY).unwrap_or_default())?;
                check.update(&header.body);
                check.update(&header.tag);
                Some(check)
            }
        };
        Ok(Self {
            key,
            frame_bytes: header.frame_bytes.unwrap_or_default() as usize,
            stage: if header.frame_bytes.is_some() { Stage::Frames } else { Stage::Single },
            number: 1,
            pending: Vec::new(),
            need: 0,
            allowed: u64::MAX,
            signature,
        })
    }

    /// Lets at most so many bytes of plaintext out; a message with more is `Corrupt`.
    #[must_use]
    pub fn with_limit(mut self, plain_bytes_max: u64) -> Self {
        self.allowed = plain_bytes_max;
        self
    }

    /// Takes bytes of the message, and appends to `plain_out` the plaintext of the frames that became whole.
    ///
    /// # Errors
    /// `Corrupt`; what was appended before stands, nothing of the frame that failed was, and no later call succeeds.
    pub fn write(&mut self, sealed: &[u8], plain_out: &mut Vec<u8>) -> Result<()> {
        let taken = self.take(sealed, plain_out);
        if taken.is_err() {
            self.stage = Stage::Failed;
        }
        taken
    }

    /// Requires that the message ended, and with it its signature, where it has one.
    ///
    /// # Errors
    /// `Corrupt` when the message is cut off, or when `write` failed.
    pub fn finish(self) -> Result<()> {
        match self.stage {
            Stage::Done => Ok(()),
            Stage::Failed => Err(failed()),
            Stage::Frames | Stage::Single | Stage::Footer => Err(Error::corrupt("the message is cut off")),
        }
    }

    fn take(&mut self, mut sealed: &[u8], plain_out: &mut Vec<u8>) -> Result<()> {
        while !sealed.is_empty() {
            if self.pending.is_empty() {
                match self.step(sealed, plain_out)? {
                    Step::Took(len) => sealed = &sealed[len..],
                    Step::Need(len) => {
                        self.pending.extend_from_slice(sealed);
                        self.need = len;
                        return Ok(());
                    }
                }
                continue;
            }
            // Never more than is needed, so that a unit, once whole, is all that is pending.
            let (now, later) = sealed.split_at(sealed.len().min(self.need - self.pending.len()));
            self.pending.extend_from_slice(now);
            sealed = later;
            if self.pending.len() == self.need {
                self.step_pending(plain_out)?;
            }
        }
        Ok(())
    }

    fn step_pending(&mut self, plain_out: &mut Vec<u8>) -> Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        match self.step(&pending, plain_out)? {
            Step::Took(_) => pending.clear(),
            Step::Need(len) => self.need = len,
        }
        self.pending = pending;
        Ok(())
    }

    fn step(&mut self, input: &[u8], plain_out: &mut Vec<u8>) -> Result<Step> {
        match self.stage {
            Stage::Frames => self.frame(input, plain_out),
            Stage::Single => self.single(input, plain_out),
            Stage::Footer => self.footer(input),
            Stage::Done => Err(Error::corrupt("bytes follow the end of the message")),
            Stage::Failed => Err(failed()),
        }
    }

    fn frame(&mut self, input: &[u8], plain_out: &mut Vec<u8>) -> Result<Step> {
        let Some(first) = be_u32(input, 0) else { return Ok(Step::Need(4)) };
        if first != END {
            self.require_number(first)?;
            let unit = Unit { part: Part::Frame, iv_at: 4, prefix: FRAME_PREFIX_BYTES, len: self.frame_bytes };
            return self.open(unit, input, plain_out);
        }
        let (Some(number), Some(len)) = (be_u32(input, 4), be_u32(input, FINAL_PREFIX_BYTES - 4)) else {
            return Ok(Step::Need(FINAL_PREFIX_BYTES));
        };
        self.require_number(number)?;
        let len = len as usize;
        if len > self.frame_bytes {
            return Err(Error::corrupt(format!(
                "the final frame has {len} bytes, more than the frame length {}",
                self.frame_bytes
            )));
        }
        self.open(Unit { part: Part::FinalFrame, iv_at: 8, prefix: FINAL_PREFIX_BYTES, len }, input, plain_out)
    }

    fn single(&mut self, input: &[u8], plain_out: &mut Vec<u8>) -> Result<Step> {
        let (Some(high), Some(len)) = (be_u32(input, IV_BYTES), be_u32(input, IV_BYTES + 4)) else {
            return Ok(Step::Need(SINGLE_PREFIX_BYTES));
        };
        let len = len as usize;
        if high != 0 || len > FRAME_READ_BYTES_MAX {
            return Err(Error::corrupt(format!(
                "the body is not framed, and has more than {FRAME_READ_BYTES_MAX} bytes"
            )));
        }
        self.open(Unit { part: Part::SingleBlock, iv_at: 0, prefix: SINGLE_PREFIX_BYTES, len }, input, plain_out)
    }

    fn open(&mut self, unit: Unit, input: &[u8], plain_out: &mut Vec<u8>) -> Result<Step> {
        let Unit { part, iv_at, prefix, len } = unit;
        let Some(left) = self.allowed.checked_sub(len as u64) else {
            return Err(Error::corrupt("the message holds more bytes than it may"));
        };
        let whole = prefix + len + TAG_BYTES;
        let (Some(unit), Some(iv)) = (input.get(..whole), input.get(iv_at..).and_then(<[u8]>::first_chunk)) else {
            return Ok(Step::Need(whole));
        };
        let (ciphertext, tag) = unit[prefix..].split_at(len);
        let at = plain_out.len();
        plain_out.resize(at + len, 0);
        let opened = self.key.open_part(part, self.number, Sealed { iv: *iv, ciphertext, tag }, &mut plain_out[at..]);
        if opened.is_err() {
            plain_out.truncate(at);
        }
        opened?;
        self.allowed = left;
        if let Some(check) = &mut self.signature {
            check.update(unit);
        }
        match part {
            Part::Frame => self.number += 1,
            Part::FinalFrame | Part::SingleBlock if self.signature.is_some() => self.stage = Stage::Footer,
            Part::FinalFrame | Part::SingleBlock => self.stage = Stage::Done,
        }
        Ok(Step::Took(whole))
    }

    fn footer(&mut self, input: &[u8]) -> Result<Step> {
        let Some((len, rest)) = input.split_first_chunk() else { return Ok(Step::Need(2)) };
        let len = usize::from(u16::from_be_bytes(*len));
        if len > SIGNATURE_BYTES_MAX {
            return Err(Error::corrupt(format!(
                "the signature has {len} bytes; a P-384 one has at most {SIGNATURE_BYTES_MAX}"
            )));
        }
        let Some(signature) = rest.get(..len) else { return Ok(Step::Need(2 + len)) };
        if let Some(check) = self.signature.take() {
            check.verify(signature)?;
        }
        self.stage = Stage::Done;
        Ok(Step::Took(2 + len))
    }

    /// Frames are numbered without a gap, so none can be left out, repeated or moved.
    fn require_number(&self, number: u32) -> Result<()> {
        match number == self.number {
            true => Ok(()),
            false => Err(Error::corrupt(format!("frame {number} stands where frame {} belongs", self.number))),
        }
    }
}

/// Where the fields of a frame, or of a body that is not framed, lie.
struct Unit {
    part: Part,
    iv_at: usize,
    prefix: usize,
    len: usize,
}

/// Opens a message that is held whole, with the key that `key` finds for its header. Nothing is given back unless all of
/// it is authentic, a signature included.
///
/// # Errors
/// `Corrupt`, also for more than `limit` bytes of plaintext; those of `key`.
pub fn open_all(sealed: &[u8], key: &dyn Fn(&Header) -> Result<DataKey>, limit: usize) -> Result<Vec<u8>> {
    let Decoded::Header(header, len) = Header::decode(sealed)? else {
        return Err(Error::corrupt("the message is cut off in its header"));
    };
    let data_key = key(&header)?;
    let mut opener = Opener::new(header, &data_key)?.with_limit(limit as u64);
    let body = &sealed[len..];
    let mut plain = Vec::with_capacity(body.len().min(limit));
    opener.write(body, &mut plain)?;
    opener.finish()?;
    Ok(plain)
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_be_bytes(*field))
}

fn failed() -> Error {
    Error::corrupt("the message was found to be corrupt before")
}
