//! The AWS Encryption SDK message format, version 2: what every stored byte of a backup is sealed in.
//!
//! Owns the bytes of a message: header, frames, footer, and the keys that are derived for one message from a data key.
//! The specification is `awslabs/aws-encryption-sdk-specification`, folder `data-format`; all integers are big-endian.
//!
//! ```text
//! header body   02 | suite u16 | message id [32] | context | wrapped keys | content type u8 | frame length u32 | commitment [32]
//! header        body | tag [16]
//! frame         number u32 | iv [12] | ciphertext [frame length] | tag [16]
//! final frame   ffffffff | number u32 | iv [12] | length u32 | ciphertext [length] | tag [16]
//! ```
//!
//! Always holds:
//! - A [`Sealer`] writes suite 0x0478, framed, and ends every message with a frame that is shorter than the frame length,
//!   empty if need be: a full final frame is allowed, and yet some of AWS's own readers refuse it.
//! - An [`Opener`] releases the plaintext of a frame only after its tag was checked, and before that the header's tag and
//!   the key commitment. A message that is cut off, or that anything follows, is an error.
//! - A length is checked before anything is allocated for it.
//!
//! Never: asks a key service, draws a random number, or writes a message that is not framed or that is signed. Those of
//! others (suite 0x0578, messages that are not framed) are read.

mod context;
mod message;
mod open;
mod seal;
mod signature;
mod suite;
#[cfg(test)]
mod tests;

pub use context::Context;
pub use message::{Decoded, EncryptedDataKey, Header};
pub use open::{Opener, open_all};
pub use seal::{SealKey, Sealer};
pub use suite::{DataKey, Suite};

use std::ops::RangeInclusive;

/// Frame lengths that we write: below it the overhead shows, above it the frame leaves the processor's cache.
pub const FRAME_WRITE_BYTES: RangeInclusive<u32> = 64 * 1024..=256 * 1024;
/// The largest frame, and the largest body that is not framed, that is read: so much is held until its tag is checked.
pub const FRAME_READ_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The largest header that is read or written. One wrapped key of KMS has about 300 bytes, a context at most 64 KiB.
pub const HEADER_BYTES_MAX: usize = 128 * 1024;
/// Wrapped data keys that a message may carry.
pub const ENCRYPTED_DATA_KEYS_MAX: usize = 16;
/// Bytes that the encryption context of a message of ours may have when encoded; KMS takes 8,192 characters.
pub const CONTEXT_BYTES_MAX: usize = 8 * 1024;

const _: () = assert!(*FRAME_WRITE_BYTES.end() as usize <= FRAME_READ_BYTES_MAX);
const _: () = assert!(CONTEXT_BYTES_MAX < u16::MAX as usize && u16::MAX as usize <= HEADER_BYTES_MAX / 2);
