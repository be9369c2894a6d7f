//! Bytes that anybody could have put into a vault are opened: no panic, no endless work, no allocation beyond the limits.
//!
//! Tags keep a fuzzer out of all that lies behind them, so the input is tried in four ways: as a message; as what follows
//! a good header; as a change of a good message; and as the plaintext and the pieces of one that must come back.
#![no_main]

use engine::envelope::{Context, DataKey, Decoded, EncryptedDataKey, Header, Opener, SealKey, Sealer, open_all};
use engine::error::{Error, Result};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const LIMIT: usize = 1 << 20;
const FRAME_BYTES: u32 = 64 * 1024;

static KEY: LazyLock<SealKey> = LazyLock::new(|| {
    let edk =
        EncryptedDataKey { provider_id: "aws-kms".to_owned(), provider_info: vec![1; 75], ciphertext: vec![2; 184] };
    let context = Context::new([("purpose", "rows")]).expect("a good context");
    SealKey::new(DataKey::from_bytes([7; 32]), vec![edk], context).expect("a good key")
});
static MESSAGE: LazyLock<Vec<u8>> = LazyLock::new(|| seal(&[3; FRAME_BYTES as usize + 100]));

fuzz_target!(|data: &[u8]| {
    let _ = open(data, data);

    let header_len = match Header::decode(&MESSAGE) {
        Ok(Decoded::Header(_, len)) => len,
        other => panic!("not a header: {other:?}"),
    };
    let behind_a_header = [&MESSAGE[..header_len], data].concat();
    assert!(open(&behind_a_header, data).is_err(), "a body was forged");

    if let [high, middle, low, bits, rest @ ..] = data
        && *bits != 0
    {
        let mut changed = MESSAGE.clone();
        let at = u32::from_be_bytes([0, *high, *middle, *low]) as usize % changed.len();
        changed[at] ^= bits;
        assert!(open(&changed, rest).is_err(), "byte {at} was changed unseen");
    }

    let sealed = seal(data);
    assert_eq!(open(&sealed, data).expect("what we sealed opens"), data);
});

fn seal(plain: &[u8]) -> Vec<u8> {
    let mut sealer = Sealer::new(&KEY, [9; 32], FRAME_BYTES, Vec::new()).expect("begins");
    sealer.write(plain).expect("writes");
    sealer.finish().expect("finishes")
}

/// Opens a message whole, and in pieces whose sizes `sizes` gives: both must come to the same.
fn open(message: &[u8], sizes: &[u8]) -> Result<Vec<u8>> {
    let whole = open_all(message, &|_| Ok(DataKey::from_bytes([7; 32])), LIMIT);
    let pieces = open_in_pieces(message, sizes);
    assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok());
    whole
}

fn open_in_pieces(message: &[u8], sizes: &[u8]) -> Result<Vec<u8>> {
    let Decoded::Header(header, len) = Header::decode(message)? else { return Err(Error::corrupt("cut off")) };
    let mut opener = Opener::new(header, &DataKey::from_bytes([7; 32]))?.with_limit(LIMIT as u64);
    let (mut rest, mut plain) = (&message[len..], Vec::new());
    let mut sizes = sizes.iter().map(|size| 1 + usize::from(*size) * 8).chain(std::iter::repeat(1 << 16));
    while let (false, Some(size)) = (rest.is_empty(), sizes.next()) {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        opener.write(piece, &mut plain)?;
        rest = later;
    }
    opener.finish()?;
    Ok(plain)
}
