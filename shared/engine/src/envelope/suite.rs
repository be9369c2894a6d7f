//! Algorithm suites, the keys of one message, and what binds a frame to its place in it.

use super::message::MESSAGE_ID_BYTES;
use crate::error::{Error, Result};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hkdf};
use std::fmt;
use zeroize::Zeroize;

pub(super) const IV_BYTES: usize = 12;
pub(super) const TAG_BYTES: usize = 16;
pub(super) const COMMITMENT_BYTES: usize = 32;

/// The committing suites, the only ones that version 2 of the format has (framework/algorithm-suites.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// 0x0478: AES-256-GCM, HKDF-SHA512, key commitment. What we write.
    Committing,
    /// 0x0578: the same, and an ECDSA P-384 signature after the body.
    CommittingSigned,
}

impl Suite {
    /// The suite's number in a header.
    pub fn id(self) -> u16 {
        match self {
            Self::Committing => 0x0478,
            Self::CommittingSigned => 0x0578,
        }
    }

    pub(super) fn from_id(id: u16) -> Result<Self> {
        match id {
            0x0478 => Ok(Self::Committing),
            0x0578 => Ok(Self::CommittingSigned),
            other => {
                Err(Error::corrupt(format!("the message's algorithm suite 0x{other:04x} is none that version 2 has")))
            }
        }
    }
}

/// A data key in the clear: 32 bytes that are wiped when it is dropped, and that nothing prints or serializes.
pub struct DataKey(Box<[u8; 32]>);

impl DataKey {
    /// From its bytes, as the key service gave them.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        // Boxed, so that moving the key leaves no copies behind.
        let key = Self(Box::new(bytes));
        bytes.zeroize();
        key
    }

    /// Its bytes, for whoever wraps it.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another key that whoever has this one can make again, for something else than a message: the salt is none that a
    /// message may have.
    ///
    /// # Errors
    /// `Internal`, never in practice.
    pub fn derive(&self, label: &'static [u8]) -> Result<[u8; 32]> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, b"a key beside the messages").extract(self.0.as_slice());
        let mut key = [0; 32];
        prk.expand(&[label], &AES_256_GCM).and_then(|okm| okm.fill(&mut key)).map_err(defect)?;
        Ok(key)
    }
}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// What a piece of the body is: the text that its additional authenticated data carries (data-format/message-body-aad.md).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Frame,
    FinalFrame,
    /// The whole body of a message that is not framed.
    SingleBlock,
}

impl Part {
    fn text(self) -> &'static [u8] {
        match self {
            Self::Frame => b"AWSKMSEncryptionClient Frame",
            Self::FinalFrame => b"AWSKMSEncryptionClient Final Frame",
            Self::SingleBlock => b"AWSKMSEncryptionClient Single Block",
        }
    }
}

/// The keys of one message: its cipher, and its commitment to the data key.
pub(super) struct MessageKey {
    cipher: LessSafeKey,
    message_id: [u8; MESSAGE_ID_BYTES],
    commitment: [u8; COMMITMENT_BYTES],
}

impl MessageKey {
    /// Derives both keys (framework/transitive-requirements.md): the message id is the salt, so each message has its own.
    pub(super) fn derive(suite: Suite, data_key: &DataKey, message_id: [u8; MESSAGE_ID_BYTES]) -> Result<Self> {
        let [high, low] = suite.id().to_be_bytes();
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, &message_id).extract(data_key.0.as_slice());
        let mut commitment = [0; COMMITMENT_BYTES];
        prk.expand(&[b"COMMITKEY"], &AES_256_GCM).and_then(|okm| okm.fill(&mut commitment)).map_err(defect)?;
        let info = [&[high, low], b"DERIVEKEY".as_slice()];
        let cipher = prk.expand(&info, &AES_256_GCM).map(UnboundKey::from).map_err(defect)?;
        Ok(Self { cipher: LessSafeKey::new(cipher), message_id, commitment })
    }

    pub(super) fn commitment(&self) -> &[u8; COMMITMENT_BYTES] {
        &self.commitment
    }

    /// Compares a header's commitment with ours, in constant time.
    pub(super) fn check_commitment(&self, claimed: &[u8; COMMITMENT_BYTES]) -> Result<()> {
        constant_time::verify_slices_are_equal(&self.commitment, claimed)
            .map_err(|_| Error::corrupt("the data key is not the one that the message commits to"))
    }

    /// The tag of a header body. Frames are numbered from 1, so no frame of ours has the header's IV of zeros.
    pub(super) fn header_tag(&self, body: &[u8]) -> Result<[u8; TAG_BYTES]> {
        self.seal([0; IV_BYTES], body, &mut [])
    }

    pub(super) fn check_header_tag(&self, body: &[u8], tag: &[u8; TAG_BYTES]) -> Result<()> {
        let nonce = Nonce::assume_unique_for_key([0; IV_BYTES]);
        self.cipher
            .open_separate_gather(nonce, Aad::from(body), &[], tag, &mut [])
            .map_err(|_| Error::corrupt("the tag of the message's header does not match"))
    }

    /// Seals a frame in place. The caller uses each number once.
    pub(super) fn seal_part(&self, part: Part, number: u32, in_out: &mut [u8]) -> Result<[u8; TAG_BYTES]> {
        let (aad, aad_len) = self.part_aad(part, number, in_out.len());
        self.seal(frame_iv(number), &aad[..aad_len], in_out)
    }

    /// Seals a frame from elsewhere into `out`, which is longer by a tag. The caller uses each number once.
    pub(super) fn seal_part_into(&self, part: Part, number: u32, plain: &[u8], out: &mut [u8]) -> Result<()> {
        let (aad, aad_len) = self.part_aad(part, number, plain.len());
        let nonce = Nonce::assume_unique_for_key(frame_iv(number));
        let (sealed, tag) = out.split_at_mut(plain.len());
        self.cipher
            .seal_out_of_place_scatter(nonce, Aad::from(&aad[..aad_len]), plain, sealed, &[], tag)
            .map_err(defect)
    }

    /// Opens a frame into `plain`, which is as long as `sealed`, and holds nothing of it when the tag does not match.
    ///
    /// The IV is the message's own: writers differ in how they number it.
    pub(super) fn open_part(&self, part: Part, number: u32, frame: Sealed<'_>, plain: &mut [u8]) -> Result<()> {
        let (aad, aad_len) = self.part_aad(part, number, plain.len());
        let nonce = Nonce::assume_unique_for_key(frame.iv);
        self.cipher.open_separate_gather(nonce, Aad::from(&aad[..aad_len]), frame.ciphertext, frame.tag, plain).map_err(
            |_| {
                plain.fill(0);
                Error::corrupt(format!("the tag of the message's frame {number} does not match"))
            },
        )
    }

    fn seal(&self, iv: [u8; IV_BYTES], aad: &[u8], in_out: &mut [u8]) -> Result<[u8; TAG_BYTES]> {
        let nonce = Nonce::assume_unique_for_key(iv);
        let tag = self.cipher.seal_in_place_separate_tag(nonce, Aad::from(aad), in_out).map_err(defect)?;
        tag.as_ref().try_into().map_err(defect)
    }

    /// Message id, text, number and length: at most 79 bytes, so that no frame needs an allocation.
    fn part_aad(&self, part: Part, number: u32, len: usize) -> ([u8; AAD_BYTES_MAX], usize) {
        let mut aad = [0; AAD_BYTES_MAX];
        let mut at = 0;
        for field in [&self.message_id, part.text(), &number.to_be_bytes(), &(len as u64).to_be_bytes()] {
            aad[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        (aad, at)
    }
}

const AAD_BYTES_MAX: usize = MESSAGE_ID_BYTES + 35 + 4 + 8;

/// A sealed frame, or body, in three slices of the message.
#[derive(Clone, Copy)]
pub(super) struct Sealed<'a> {
    pub(super) iv: [u8; IV_BYTES],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: &'a [u8],
}

/// The IV of a frame of ours: its number.
pub(super) fn frame_iv(number: u32) -> [u8; IV_BYTES] {
    let mut iv = [0; IV_BYTES];
    iv[IV_BYTES - 4..].copy_from_slice(&number.to_be_bytes());
    iv
}

/// The library refuses only lengths that the limits rule out.
fn defect<E>(_: E) -> Error {
    Error::internal("the cipher refused a key or a length")
}
