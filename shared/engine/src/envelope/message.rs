//! The header: what a message says about itself before any key is known (data-format/message-header.md).

use super::context::Context;
use super::suite::{COMMITMENT_BYTES, Suite, TAG_BYTES};
use super::{ENCRYPTED_DATA_KEYS_MAX, FRAME_READ_BYTES_MAX, HEADER_BYTES_MAX, signature};
use crate::error::{Error, Result};

pub(super) const VERSION: u8 = 2;
pub(super) const MESSAGE_ID_BYTES: usize = 32;
pub(super) const FRAMED: u8 = 2;
const NOT_FRAMED: u8 = 1;

/// A data key, wrapped by a key service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedDataKey {
    /// Who wrapped it: `aws-kms`.
    pub provider_id: String,
    /// With what: for `aws-kms` the ARN of the key.
    pub provider_info: Vec<u8>,
    /// The wrapped key.
    pub ciphertext: Vec<u8>,
}

impl EncryptedDataKey {
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        for field in [self.provider_id.as_bytes(), &self.provider_info, &self.ciphertext] {
            let len = u16::try_from(field.len()).map_err(|_| {
                Error::invalid(format!("a field of a wrapped data key has {} bytes; the limit is 65,535", field.len()))
            })?;
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(field);
        }
        Ok(())
    }
}

/// A header that was read. Nothing in it is authenticated before [`Opener::new`](super::Opener::new) accepted it.
#[derive(Clone, Debug)]
pub struct Header {
    /// The algorithm suite.
    pub suite: Suite,
    /// The message's own id, from which its keys are derived.
    pub message_id: [u8; MESSAGE_ID_BYTES],
    /// The encryption context, which the key service must be asked with; of a signed message it holds the public key.
    pub context: Context,
    /// The wrapped data keys; any one of them will do.
    pub edks: Vec<EncryptedDataKey>,
    /// Plaintext bytes in a frame; none where the body is not framed.
    pub frame_bytes: Option<u32>,
    pub(super) commitment: [u8; COMMITMENT_BYTES],
    /// The bytes that the tag authenticates: all of the header before it.
    pub(super) body: Vec<u8>,
    pub(super) tag: [u8; TAG_BYTES],
}

/// What the first bytes of a message are.
#[derive(Clone, Debug)]
pub enum Decoded {
    /// A beginning of a header.
    NeedMore,
    /// A header, and the number of bytes it has; the body follows.
    Header(Header, usize),
}

impl Header {
    /// Reads the header that a message begins with.
    ///
    /// # Errors
    /// `Corrupt` for what is no header, and for one beyond [`HEADER_BYTES_MAX`], [`ENCRYPTED_DATA_KEYS_MAX`] or
    /// [`FRAME_READ_BYTES_MAX`].
    pub fn decode(input: &[u8]) -> Result<Decoded> {
        let mut fields = Fields { input, at: 0 };
        match fields.header() {
            Ok(header) => Ok(Decoded::Header(header, fields.at)),
            Err(Stop::Short) => Ok(Decoded::NeedMore),
            Err(Stop::Wrong(e)) => Err(e),
        }
    }
}

type Read<T> = std::result::Result<T, Stop>;

/// Why reading stopped.
enum Stop {
    Short,
    Wrong(Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        Self::Wrong(e)
    }
}

fn wrong<T>(message: impl Into<String>) -> Read<T> {
    Err(Stop::Wrong(Error::corrupt(message)))
}

struct Fields<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn header(&mut self) -> Read<Header> {
        match self.array::<1>()? {
            [VERSION] => {}
            [other] => {
                return wrong(format!(
                    "not a message of version 2 of the AWS Encryption SDK: it begins with 0x{other:02x}"
                ));
            }
        }
        let suite = Suite::from_id(self.u16()?)?;
        let message_id = self.array()?;
        let context = self.context()?;
        let edks = self.edks()?;
        let frame_bytes = self.frame_bytes()?;
        let commitment = self.array()?;
        let body = self.input[..self.at].to_vec();
        let tag = self.array()?;
        // Encrypting and decrypting clients must agree on whether there is a signature (framework/default-cmm.md).
        if context.get(signature::PUBLIC_KEY).is_some() != (suite == Suite::CommittingSigned) {
            return wrong("the message's suite and its encryption context differ on whether it is signed");
        }
        Ok(Header { suite, message_id, context, edks, frame_bytes, commitment, body, tag })
    }

    fn context(&mut self) -> Read<Context> {
        let len = self.u16()? as usize;
        let mut fields = Fields { input: self.take(len)?, at: 0 };
        let mut context = Context::default();
        if len == 0 {
            return Ok(context);
        }
        let read = fields.pairs(&mut context);
        // What is short in here is short of its own length: more input would not help.
        if read.is_err() || fields.at != len {
            return wrong("the message's encryption context is malformed");
        }
        Ok(context)
    }

    fn pairs(&mut self, context: &mut Context) -> Read<()> {
        for _ in 0..self.u16()? {
            let key = self.text()?;
            let value = self.text()?;
            context.insert(key, value)?;
        }
        Ok(())
    }

    fn edks(&mut self) -> Read<Vec<EncryptedDataKey>> {
        let count = self.u16()? as usize;
        if !(1..=ENCRYPTED_DATA_KEYS_MAX).contains(&count) {
            return wrong(format!(
                "the message has {count} wrapped data keys; 1 to {ENCRYPTED_DATA_KEYS_MAX} are allowed"
            ));
        }
        let mut edks = Vec::with_capacity(count);
        for _ in 0..count {
            edks.push(EncryptedDataKey {
                provider_id: self.text()?,
                provider_info: self.counted()?.to_vec(),
                ciphertext: self.counted()?.to_vec(),
            });
        }
        Ok(edks)
    }

    fn frame_bytes(&mut self) -> Read<Option<u32>> {
        let [content] = self.array()?;
        let len = u32::from_be_bytes(self.array()?);
        match (content, len) {
            (NOT_FRAMED, 0) => Ok(None),
            (FRAMED, 1..) if len as usize <= FRAME_READ_BYTES_MAX => Ok(Some(len)),
            (FRAMED, _) => {
                wrong(format!("the message's frames have {len} bytes; 1 to {FRAME_READ_BYTES_MAX} are allowed"))
            }
            _ => wrong(format!(
                "the message's content type 0x{content:02x} with a frame length of {len} is none that version 2 has"
            )),
        }
    }

    fn text(&mut self) -> Read<String> {
        match std::str::from_utf8(self.counted()?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => wrong("a text in the message's header is not UTF-8"),
        }
    }

    fn counted(&mut self) -> Read<&'a [u8]> {
        let len = self.u16()?;
        self.take(len as usize)
    }

    fn u16(&mut self) -> Read<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let end = self.at + len;
        if end > HEADER_BYTES_MAX {
            return wrong(format!("the message's header has more than {HEADER_BYTES_MAX} bytes"));
        }
        let taken = self.input.get(self.at..end).ok_or(Stop::Short)?;
        self.at = end;
        Ok(taken)
    }
}
