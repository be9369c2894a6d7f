//! One whole object as one sealed message: the schema archive, the manifest, a checkpoint.

use crate::envelope::{Context, Decoded, Header, Opener, SealKey, Sealer};
use crate::error::{Error, Result, ResultExt};
use crate::keyring::Keyring;
use crate::limits::{CHUNK_BYTES, FRAME_BYTES};
use crate::stage::{Compressed, Sealed};

/// Seals bytes that are held whole.
///
/// # Errors
/// When there is no randomness.
pub fn seal(keyring: &Keyring, key: &SealKey, compressed: &Compressed) -> Result<Sealed> {
    let out = Vec::with_capacity(compressed.0.len() + compressed.0.len() / 1_024 + 2_048);
    let mut sealer = Sealer::new(key, keyring.message_id()?, FRAME_BYTES, out)?;
    sealer.write(&compressed.0)?;
    Ok(Sealed(sealer.finish()?))
}

/// The header of a message, which must be whole in `sealed`.
///
/// # Errors
/// `Corrupt` when it is not.
pub fn header(sealed: &[u8]) -> Result<Header> {
    match Header::decode(sealed)? {
        Decoded::Header(header, _) => Ok(header),
        Decoded::NeedMore => Err(Error::corrupt("the sealed message is cut off in its header")),
    }
}

/// Begins to open a message: its header must be whole in `sealed`. Gives the opener and the bytes that the header took.
///
/// # Errors
/// `Corrupt` when it is not a message sealed under this context; those of the key service.
pub async fn opener(keyring: &Keyring, context: &Context, sealed: &[u8]) -> Result<(Opener, usize)> {
    match Header::decode(sealed)? {
        Decoded::Header(header, consumed) => {
            let key = keyring.data_key(&header, context).await?;
            Ok((Opener::new(header, &key)?, consumed))
        }
        Decoded::NeedMore => Err(Error::corrupt("the sealed message is cut off in its header")),
    }
}

/// A key that belongs to a message and is made again by whoever may open it.
///
/// # Errors
/// As [`opener`].
pub async fn derived_key(
    keyring: &Keyring,
    context: &Context,
    sealed: &[u8],
    label: &'static [u8],
) -> Result<[u8; 32]> {
    keyring.data_key(&header(sealed)?, context).await?.derive(label)
}

/// Seals what is in a message again, under another key. Nothing of it is decompressed.
///
/// # Errors
/// As [`open`]; when there is no randomness.
pub async fn seal_again(keyring: &Keyring, context: &Context, sealed: &[u8], key: &SealKey) -> Result<Sealed> {
    let (mut opener, consumed) = opener(keyring, context, sealed).await.context("open the message's header")?;
    let out = Vec::with_capacity(sealed.len() + sealed.len() / 1_024 + 2_048);
    let mut sealer = Sealer::new(key, keyring.message_id()?, FRAME_BYTES, out)?;
    let mut opened = Vec::with_capacity(CHUNK_BYTES + FRAME_BYTES as usize);
    for piece in sealed[consumed..].chunks(CHUNK_BYTES) {
        opened.clear();
        opener.write(piece, &mut opened)?;
        sealer.write(&opened)?;
    }
    opener.finish()?;
    Ok(Sealed(sealer.finish()?))
}

/// Opens bytes that are held whole.
///
/// # Errors
/// As [`opener`]; `Corrupt` when any byte is not what was sealed.
pub async fn open(keyring: &Keyring, context: &Context, sealed: &[u8]) -> Result<Compressed> {
    let (mut opener, consumed) = opener(keyring, context, sealed).await.context("open the message's header")?;
    let mut out = Vec::with_capacity(sealed.len());
    opener.write(&sealed[consumed..], &mut out)?;
    opener.finish()?;
    Ok(Compressed(out))
}
