//! What must hold of every message, small enough that every byte of it is tried.

mod foreign;
mod properties;

use super::*;
use crate::error::{Error, ErrorKind, Result};

const ID: [u8; 32] = [9; 32];
const KEY: [u8; 32] = [7; 32];

fn edk() -> EncryptedDataKey {
    EncryptedDataKey { provider_id: "aws-kms".to_owned(), provider_info: b"arn".to_vec(), ciphertext: vec![5; 12] }
}

fn context() -> Context {
    Context::new([("purpose", "rows"), ("attempt", "1")]).expect("a good context")
}

fn seal_key(context: Context) -> SealKey {
    SealKey::new(DataKey::from_bytes(KEY), vec![edk()], context).expect("a good key")
}

fn seal(plain: &[u8], frame_bytes: u32) -> Vec<u8> {
    let mut sealer = Sealer::begin(&seal_key(context()), ID, frame_bytes, Vec::new()).expect("begins");
    sealer.write(plain).expect("writes");
    sealer.finish().expect("finishes")
}

fn key(_: &Header) -> Result<DataKey> {
    Ok(DataKey::from_bytes(KEY))
}

fn open(sealed: &[u8]) -> Result<Vec<u8>> {
    open_all(sealed, &key, usize::MAX)
}

fn plain(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 256) as u8).collect()
}

fn header(sealed: &[u8]) -> (Header, usize) {
    match Header::decode(sealed) {
        Ok(Decoded::Header(header, len)) => (header, len),
        other => panic!("not a header: {other:?}"),
    }
}

fn opener(sealed: &[u8]) -> (Opener, &[u8]) {
    let (header, len) = header(sealed);
    (Opener::new(header, &DataKey::from_bytes(KEY)).expect("the key fits"), &sealed[len..])
}

fn refusal<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("was accepted"),
        Err(e) => e,
    }
}

/// Every flipped bit, every truncation and a trailing byte.
fn assert_guarded(sealed: &[u8]) {
    assert!(open(sealed).is_ok());
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut flipped = sealed.to_vec();
            flipped[at] ^= 1 << bit;
            assert!(open(&flipped).is_err(), "bit {bit} of byte {at} of {}", sealed.len());
        }
        assert_eq!(refusal(open(&sealed[..at])).kind(), ErrorKind::Corrupt, "cut off at {at} of {}", sealed.len());
    }
    for byte in [0, 1, 255] {
        assert!(open(&[sealed, &[byte]].concat()).is_err(), "a trailing {byte}");
    }
}

#[test]
fn what_was_sealed_opens_at_every_length_around_a_frame() {
    for frame_bytes in [1, 16, 47] {
        for len in 0..=3 * frame_bytes as usize + 1 {
            let sealed = seal(&plain(len), frame_bytes);
            assert_eq!(sealed.len() as u64, seal_key(context()).sealed_len(frame_bytes, len as u64));
            assert_eq!(open(&sealed).expect("opens"), plain(len), "{len} bytes in frames of {frame_bytes}");
        }
    }
}

#[test]
fn every_change_of_a_message_is_an_error() {
    for len in [0, 15, 16, 40] {
        assert_guarded(&seal(&plain(len), 16));
    }
}

#[test]
fn an_exact_multiple_of_the_frame_length_ends_with_an_empty_frame() {
    let sealed = seal(&plain(32), 16);
    let last = &sealed[sealed.len() - 40..];
    assert_eq!(last[..8], [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3]);
    assert_eq!(last[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0]);
}

#[test]
fn a_frame_is_released_with_its_last_byte_and_not_before() {
    let sealed = seal(&plain(40), 16);
    let (mut opener, body) = opener(&sealed);
    let mut out = b"before".to_vec();
    for (at, byte) in body.iter().enumerate() {
        opener.write(&[*byte], &mut out).expect("a good byte");
        let released = match at + 1 {
            0..48 => 0,
            48..96 => 16,
            96..144 => 32,
            _ => 40,
        };
        assert_eq!(out.len(), 6 + released, "after byte {at}");
    }
    assert_eq!(out[6..], plain(40));
    opener.finish().expect("whole");
}

#[test]
fn of_a_frame_that_is_wrong_nothing_is_released_and_the_opener_stays_failed() {
    let sealed = seal(&plain(40), 16);
    for at_once in [true, false] {
        let mut body = sealed.clone();
        let (mut opener, start) = (opener(&sealed).0, header(&sealed).1);
        body[start + 48 + 16] ^= 1;
        let (mut out, mut failed) = (Vec::new(), None);
        for piece in body[start..].chunks(if at_once { usize::MAX } else { 5 }) {
            failed = failed.or(opener.write(piece, &mut out).err());
        }
        assert_eq!(failed.map(|e| e.kind()), Some(ErrorKind::Corrupt));
        assert_eq!(out, plain(16));
        assert!(opener.write(&body[start..start + 48], &mut out).is_err());
        assert_eq!(out, plain(16));
        assert!(opener.finish().is_err());
    }
}

#[test]
fn frames_left_out_repeated_or_moved_are_errors() {
    let sealed = seal(&plain(50), 16);
    let start = header(&sealed).1;
    let (head, frames) = sealed.split_at(start);
    let frame = |n: usize| frames[n * 48..].chunks(if n == 3 { 42 } else { 48 }).next().expect("a frame");
    assert_eq!([head, frame(0), frame(1), frame(2), frame(3)].concat(), sealed);
    for order in [
        &[1, 2, 3][..],
        &[0, 2, 3],
        &[0, 1, 3],
        &[0, 0, 1, 2, 3],
        &[1, 0, 2, 3],
        &[0, 1, 2],
        &[3],
        &[0, 1, 2, 3, 3],
        &[],
    ] {
        let frames: Vec<u8> = order.iter().flat_map(|n| frame(*n).to_vec()).collect();
        assert!(open(&[head, &frames].concat()).is_err(), "{order:?}");
    }
}

#[test]
fn a_frame_of_another_message_under_the_same_key_is_an_error() {
    let ours = seal(&plain(20), 16);
    let mut other = Sealer::begin(&seal_key(context()), [8; 32], 16, Vec::new()).expect("begins");
    other.write(&plain(20)).expect("writes");
    let other = other.finish().expect("finishes");
    let start = header(&ours).1;
    assert!(ours[start + 16..start + 32] != other[start + 16..start + 32], "each message has its own key");
    assert!(open(&[&ours[..start], &other[start..]].concat()).is_err());
    assert_eq!(open(&other).expect("opens"), plain(20));
}

#[test]
fn a_wrong_key_fails_the_commitment() {
    let (header, _) = header(&seal(&plain(3), 16));
    let refused = refusal(Opener::new(header, &DataKey::from_bytes([8; 32])));
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("commits"), "{refused}");
}

#[test]
fn messages_follow_each_other_in_one_buffer() {
    let key = seal_key(Context::default());
    let mut out = Vec::new();
    let mut ends = vec![0];
    for n in 0..3 {
        let mut sealer = Sealer::new(&key, [n; 32], *FRAME_WRITE_BYTES.start(), out).expect("begins");
        for piece in plain(100_000 * n as usize).chunks(30_000) {
            sealer.write(piece).expect("writes");
        }
        let len = sealer.sealed_len();
        out = sealer.finish().expect("finishes");
        ends.push(ends[n as usize] + len);
        assert_eq!(out.len(), ends[n as usize + 1]);
    }
    for n in 0..3 {
        assert_eq!(open(&out[ends[n]..ends[n + 1]]).expect("opens"), plain(100_000 * n));
    }
}

#[test]
fn we_write_only_the_frame_lengths_that_we_mean_to() {
    for (frame_bytes, good) in [
        (65_536, true),
        (131_072, true),
        (262_144, true),
        (65_535, false),
        (65_537, false),
        (262_160, false),
        (0, false),
    ] {
        assert_eq!(Sealer::new(&seal_key(context()), ID, frame_bytes, Vec::new()).is_ok(), good, "{frame_bytes}");
    }
}

#[test]
fn a_context_of_ours_is_small_unreserved_and_without_duplicates() {
    let invalid = |pairs: &[(&str, &str)]| refusal(Context::new(pairs.iter().copied())).kind() == ErrorKind::Invalid;
    assert!(invalid(&[("aws-crypto-public-key", "x")]) && invalid(&[("aws-crypto-", "x")]));
    assert!(invalid(&[("", "x")]) && invalid(&[("a", "1"), ("a", "2")]));
    assert!(invalid(&[("a", &"x".repeat(CONTEXT_BYTES_MAX))]));
    assert!(Context::new([("a", "x".repeat(CONTEXT_BYTES_MAX - 7))]).is_ok());
    let context = context();
    assert_eq!(context.iter().collect::<Vec<_>>(), [("attempt", "1"), ("purpose", "rows")]);
    assert_eq!((context.get("attempt"), context.get("none")), (Some("1"), None));
}

#[test]
fn a_seal_key_needs_wrapped_keys_within_the_limits() {
    let with = |edks| SealKey::new(DataKey::from_bytes(KEY), edks, context()).is_ok();
    assert!(
        !with(vec![]) && with(vec![edk(); ENCRYPTED_DATA_KEYS_MAX]) && !with(vec![edk(); ENCRYPTED_DATA_KEYS_MAX + 1])
    );
    let large = |bytes| EncryptedDataKey { ciphertext: vec![0; bytes], ..edk() };
    assert!(with(vec![large(65_535)]) && !with(vec![large(65_536)]) && !with(vec![large(65_535), large(65_535)]));
}

#[test]
fn plaintext_beyond_the_limit_is_not_released() {
    for sealed in [seal(&plain(100), 16), seal(&plain(100), 200)] {
        assert_eq!(open_all(&sealed, &key, 100).expect("opens"), plain(100));
        assert_eq!(refusal(open_all(&sealed, &key, 99)).kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn messages_may_be_sealed_and_opened_in_any_thread() {
    fn require<T: Send + Sync>() {}
    require::<(DataKey, SealKey, Sealer, Header, Opener)>();
}

#[test]
fn a_data_key_prints_nothing_secret() {
    assert_eq!(format!("{:?}", DataKey::from_bytes([0x41; 32])), "DataKey(..)");
    assert!(!format!("{:?}", seal_key(Context::default())).contains("7, 7"));
}
