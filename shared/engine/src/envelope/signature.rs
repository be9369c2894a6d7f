//! The footer of a signed message: ECDSA P-384 over everything before it (data-format/message-footer.md).

use crate::error::{Error, Result};
use aws_lc_rs::digest::{self, SHA384};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};

/// The pair of the encryption context that holds the public key: the compressed point in base64.
pub(super) const PUBLIC_KEY: &str = "aws-crypto-public-key";
/// A DER-encoded P-384 signature has at most 104 bytes.
pub(super) const SIGNATURE_BYTES_MAX: usize = 104;
const POINT_BYTES: usize = 49;

/// A signature that is being checked while the message goes by.
pub(super) struct SignatureCheck {
    digest: digest::Context,
    public_key: [u8; POINT_BYTES],
}

impl SignatureCheck {
    /// For a public key as the encryption context holds it.
    pub(super) fn new(public_key: &str) -> Result<Self> {
        let public_key = point(public_key).ok_or_else(|| {
            Error::corrupt(format!("the message's `{PUBLIC_KEY}` is no compressed P-384 point in base64"))
        })?;
        Ok(Self { digest: digest::Context::new(&SHA384), public_key })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    pub(super) fn verify(self, signature: &[u8]) -> Result<()> {
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, self.public_key)
            .verify_digest(&self.digest.finish(), signature)
            .map_err(|_| Error::corrupt("the message's signature does not match"))
    }
}

/// 49 bytes from their base64: 66 digits and two signs of padding. The last digit's 4 low bits stand for nothing, and are zero.
fn point(base64: &str) -> Option<[u8; POINT_BYTES]> {
    let digits = base64.strip_suffix("==")?.as_bytes();
    if digits.len() != (POINT_BYTES * 8).div_ceil(6) {
        return None;
    }
    let mut point = [0; POINT_BYTES];
    let (mut bits, mut held, mut at) = (0u32, 0, 0);
    for digit in digits {
        bits = bits << 6 | u32::from(value(*digit)?);
        held += 6;
        if held >= 8 {
            held -= 8;
            point[at] = (bits >> held) as u8;
            bits &= (1 << held) - 1;
            at += 1;
        }
    }
    (bits == 0).then_some(point)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}
