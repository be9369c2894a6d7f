//! Messages that we would not write, and that others do, or would like to: made here byte by byte, with good tags.

use super::*;
use crate::envelope::suite::{MessageKey, Part, frame_iv};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce};
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyCompressedBin};
use aws_lc_rs::hkdf;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

/// A header with a good tag around whatever stands between message id and commitment.
fn head(suite: Suite, middle: &[&[u8]]) -> (MessageKey, Vec<u8>) {
    let key = MessageKey::derive(suite, &DataKey::from_bytes(KEY), ID).expect("derives");
    let mut head = [&[2], &suite.id().to_be_bytes()[..], &ID].concat();
    middle.iter().for_each(|field| head.extend_from_slice(field));
    head.extend_from_slice(key.commitment());
    let tag = key.header_tag(&head).expect("a tag");
    head.extend_from_slice(&tag);
    (key, head)
}

const NO_CONTEXT: &[u8] = &[0, 0];
const ONE_KEY: &[u8] = &[0, 1, 0, 1, b'p', 0, 1, b'i', 0, 2, 1, 2];
const FRAMES_OF_16: &[u8] = &[2, 0, 0, 0, 16];
const NOT_FRAMED: &[u8] = &[1, 0, 0, 0, 0];

fn framed() -> (MessageKey, Vec<u8>) {
    head(Suite::Committing, &[NO_CONTEXT, ONE_KEY, FRAMES_OF_16])
}

fn part(key: &MessageKey, part: Part, number: u32, plain: &[u8]) -> Vec<u8> {
    let mut sealed = plain.to_vec();
    let tag = key.seal_part(part, number, &mut sealed).expect("seals");
    let (number, iv, len) = (number.to_be_bytes(), frame_iv(number), plain.len());
    match part {
        Part::Frame => [&number, &iv[..], &sealed, &tag].concat(),
        Part::FinalFrame => [&[0xff; 4], &number[..], &iv, &(len as u32).to_be_bytes(), &sealed, &tag].concat(),
        Part::SingleBlock => [&iv[..], &(len as u64).to_be_bytes(), &sealed, &tag].concat(),
    }
}

#[test]
fn a_full_final_frame_is_read_and_a_longer_one_is_not() {
    let (key, head) = framed();
    for (len, good) in [(0, true), (16, true), (17, false)] {
        let message =
            [head.clone(), part(&key, Part::Frame, 1, &plain(16)), part(&key, Part::FinalFrame, 2, &plain(len))]
                .concat();
        assert_eq!(open(&message).is_ok(), good, "{len}");
    }
}

#[test]
fn a_final_frame_that_claims_too_much_fails_before_it_arrives() {
    let (_, head) = framed();
    let claims = [&head[..], &[0xff; 4], &[0, 0, 0, 1], &[0; 12], &[0, 0, 0, 17]].concat();
    let (mut opener, body) = opener(&claims);
    assert!(opener.write(body, &mut Vec::new()).is_err());
}

#[test]
fn frames_must_be_numbered_from_one() {
    let (key, head) = framed();
    for (first, last) in [(0, 1), (2, 3), (1, 3), (1, 1)] {
        let message =
            [head.clone(), part(&key, Part::Frame, first, &plain(16)), part(&key, Part::FinalFrame, last, b"x")]
                .concat();
        assert!(open(&message).is_err(), "{first} {last}");
    }
}

/// Derived and sealed without the module's own code: some writers number their IVs from `ff`.
#[test]
fn the_iv_of_a_frame_is_taken_from_the_message() {
    let (_, head) = framed();
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, &ID).extract(&KEY);
    let key = prk.expand(&[b"\x04\x78DERIVEKEY"], &AES_256_GCM).expect("expands");
    let iv = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1];
    let aad = [&ID, &b"AWSKMSEncryptionClient Final Frame"[..], &[0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 3]].concat();
    let mut sealed = b"abc".to_vec();
    let nonce = Nonce::assume_unique_for_key(iv);
    LessSafeKey::new(key.into()).seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed).expect("seals");
    let message = [&head[..], &[0xff; 4], &[0, 0, 0, 1], &iv, &[0, 0, 0, 3], &sealed].concat();
    assert_eq!(open(&message).expect("opens"), b"abc");
}

#[test]
fn a_body_that_is_not_framed_is_released_whole() {
    let (key, head) = head(Suite::Committing, &[NO_CONTEXT, ONE_KEY, NOT_FRAMED]);
    let message = [head, part(&key, Part::SingleBlock, 1, &plain(30))].concat();
    assert_eq!(open(&message).expect("opens"), plain(30));
    assert_guarded(&message);
    assert!(open_all(&message, &super::key, 29).is_err());
    let (mut opener, body) = opener(&message);
    let mut out = Vec::new();
    let (most, last) = body.split_at(body.len() - 1);
    most.iter().for_each(|byte| opener.write(&[*byte], &mut out).expect("a good byte"));
    assert!(out.is_empty());
    opener.write(last, &mut out).expect("the last byte");
    assert_eq!(out, plain(30));
}

#[test]
fn a_body_that_is_not_framed_and_claims_too_much_fails_before_it_arrives() {
    let (_, head) = head(Suite::Committing, &[NO_CONTEXT, ONE_KEY, NOT_FRAMED]);
    for claim in [FRAME_READ_BYTES_MAX as u64 + 1, 1 << 32, u64::MAX] {
        let message = [&head[..], &[0; 12], &claim.to_be_bytes()].concat();
        let (mut opener, body) = opener(&message);
        assert!(opener.write(body, &mut Vec::new()).is_err(), "{claim}");
    }
}

#[test]
fn an_empty_context_may_also_be_written_with_a_count() {
    let (key, head) = head(Suite::Committing, &[&[0, 2, 0, 0], ONE_KEY, FRAMES_OF_16]);
    assert_eq!(open(&[head, part(&key, Part::FinalFrame, 1, b"x")].concat()).expect("opens"), b"x");
}

#[test]
fn malformed_headers_are_errors_however_good_their_tags() {
    let framed_with = |bytes: u32| [&[2], &bytes.to_be_bytes()[..]].concat();
    let many = |count: u16| [&count.to_be_bytes()[..], &[0; 6].repeat(usize::from(count))].concat();
    let pair: &[u8] = &[0, 1, b'a', 0, 1, b'b'];
    let contexts = |count: u8, pairs: &[u8]| [&(2 + pairs.len() as u16).to_be_bytes()[..], &[0, count], pairs].concat();
    let cases: &[(&str, &[&[u8]])] = &[
        ("a count beyond the context", &[&contexts(2, pair), ONE_KEY, FRAMES_OF_16]),
        ("a count short of the context", &[&contexts(0, pair), ONE_KEY, FRAMES_OF_16]),
        ("a key twice", &[&contexts(2, &pair.repeat(2)), ONE_KEY, FRAMES_OF_16]),
        ("a context of one byte", &[&[0, 1, 0], ONE_KEY, FRAMES_OF_16]),
        ("a context that is not UTF-8", &[&contexts(1, &[0, 1, 0xff, 0, 0]), ONE_KEY, FRAMES_OF_16]),
        (
            "a public key without a signature",
            &[&contexts(1, b"\0\x15aws-crypto-public-key\0\0"), ONE_KEY, FRAMES_OF_16],
        ),
        ("no wrapped key", &[NO_CONTEXT, &[0, 0], FRAMES_OF_16]),
        ("too many wrapped keys", &[NO_CONTEXT, &many(ENCRYPTED_DATA_KEYS_MAX as u16 + 1), FRAMES_OF_16]),
        ("frames of nothing", &[NO_CONTEXT, ONE_KEY, &framed_with(0)]),
        ("frames too large", &[NO_CONTEXT, ONE_KEY, &framed_with(FRAME_READ_BYTES_MAX as u32 + 1)]),
        ("a frame length without frames", &[NO_CONTEXT, ONE_KEY, &[1, 0, 0, 0, 16]]),
        ("another content type", &[NO_CONTEXT, ONE_KEY, &[3, 0, 0, 0, 16]]),
    ];
    for (name, middle) in cases {
        let (_, head) = head(Suite::Committing, middle);
        assert!(Header::decode(&head).is_err(), "{name}");
    }
    for good in [&many(ENCRYPTED_DATA_KEYS_MAX as u16)[..], ONE_KEY] {
        let (_, head) = head(Suite::Committing, &[NO_CONTEXT, good, &framed_with(FRAME_READ_BYTES_MAX as u32)]);
        assert!(Header::decode(&head).is_ok());
    }
}

#[test]
fn a_header_is_asked_for_until_it_is_whole_and_no_further_than_the_limit() {
    let sealed = seal(b"", 16);
    let (_, len) = header(&sealed);
    for at in 0..len {
        assert!(matches!(Header::decode(&sealed[..at]), Ok(Decoded::NeedMore)), "{at}");
    }
    let endless = [&[2, 4, 0x78][..], &ID, NO_CONTEXT, &[0, 3], &[0xff; 3 * 65_537]].concat();
    let prefix = |len: usize| Header::decode(&endless[..len]);
    assert!(matches!(prefix(65_000), Ok(Decoded::NeedMore)));
    assert!(prefix(HEADER_BYTES_MAX).is_err() && prefix(endless.len()).is_err());
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |chunk: &[u8], n: usize| {
        let bits = chunk.iter().chain(&[0; 2]).take(3).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        if n <= chunk.len() { DIGITS[(bits >> (18 - 6 * n) & 63) as usize] as char } else { '=' }
    };
    bytes.chunks(3).flat_map(|chunk| (0..4).map(move |n| digit(chunk, n))).collect()
}

/// A signed message, without and with its footer.
fn signed(public_key: Option<&str>) -> (Vec<u8>, Vec<u8>) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).expect("a key pair");
    let point: EcPublicKeyCompressedBin<'_> = pair.public_key().as_be_bytes().expect("a point");
    let text = public_key.map_or_else(|| base64(point.as_ref()), str::to_owned);
    let pairs = [b"\0\x15aws-crypto-public-key", &(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
    let context = [&(2 + pairs.len() as u16).to_be_bytes()[..], &[0, 1], &pairs].concat();
    let (key, head) = head(Suite::CommittingSigned, &[&context, ONE_KEY, FRAMES_OF_16]);
    let body = [head, part(&key, Part::Frame, 1, &plain(16)), part(&key, Part::FinalFrame, 2, b"x")].concat();
    let signature = pair.sign(&SystemRandom::new(), &body).expect("signs");
    let whole = [&body[..], &(signature.as_ref().len() as u16).to_be_bytes(), signature.as_ref()].concat();
    (body, whole)
}

#[test]
fn a_signed_message_opens_and_every_change_of_it_is_an_error() {
    let (_, whole) = signed(None);
    assert_eq!(open(&whole).expect("opens"), [plain(16), b"x".to_vec()].concat());
    assert_eq!(header(&whole).0.suite, Suite::CommittingSigned);
    assert_guarded(&whole);
}

#[test]
fn a_signed_message_is_no_success_before_its_signature() {
    let (body, whole) = signed(None);
    let (mut opener, rest) = opener(&whole);
    let mut out = Vec::new();
    opener.write(&rest[..rest.len() - (whole.len() - body.len())], &mut out).expect("a good body");
    assert_eq!(out.len(), 17);
    assert!(opener.finish().is_err());
    let (_, other) = signed(None);
    let others_footer = &other[body.len()..];
    assert!(open(&[&body[..], others_footer].concat()).is_err());
    assert!(open(&[&body[..], &[0, 105], &[0; 105]].concat()).is_err());
    assert!(open(&[&body[..], &[0, 0]].concat()).is_err());
}

#[test]
fn a_malformed_public_key_is_an_error() {
    let zeros = base64(&[0; 49]);
    for text in ["", "x", "====", &zeros, &zeros[..67], &zeros.replace("A==", "B=="), &zeros.replacen('A', "*", 1)] {
        assert!(open(&signed(Some(text)).1).is_err(), "{text}");
    }
}
