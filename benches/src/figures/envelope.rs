//! Seal and open beside the cipher alone, on the same buffers: one call of AES-256-GCM over the whole buffer, in place.

use crate::Result;
use crate::measure::median;
use crate::report::{Bound, Row};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use engine::envelope::{Context, DataKey, Decoded, EncryptedDataKey, Header, Opener, SealKey, Sealer};
use engine::limits::{EXTENT_BYTES, FRAME_BYTES};
use std::hint::black_box;
use std::time::Instant;

/// Runs of each, by turns. The first is not counted.
const RUNS: usize = 100;
const KEY: [u8; 32] = [7; 32];

struct Seconds {
    seal: Vec<f64>,
    open: Vec<f64>,
    raw_seal: Vec<f64>,
    raw_open: Vec<f64>,
}

pub(super) fn rows() -> Result<Vec<Row>> {
    println!("\nenvelope: {RUNS} runs each, by turns, on {EXTENT_BYTES} bytes, in frames of {FRAME_BYTES}");
    let mut seconds = Seconds { seal: Vec::new(), open: Vec::new(), raw_seal: Vec::new(), raw_open: Vec::new() };
    // What compressed rows look like to a cipher: no byte follows from the one before.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    let plain: Vec<u8> = (0..EXTENT_BYTES).map(next).collect();
    let wrapped =
        EncryptedDataKey { provider_id: "bench".to_owned(), provider_info: Vec::new(), ciphertext: vec![0; 256] };
    let seal_key = SealKey::new(DataKey::from_bytes(KEY), vec![wrapped], Context::new([("purpose", "rows")])?)?;
    let raw_key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).map_err(|_| "the cipher refused its key")?);
    let mut raw = plain.clone();
    let (mut sealed, mut opened) = (Vec::with_capacity(2 * EXTENT_BYTES), Vec::with_capacity(2 * EXTENT_BYTES));
    for run in 0..=RUNS {
        let begun = Instant::now();
        let tag = raw_key
            .seal_in_place_separate_tag(nonce(), Aad::empty(), &mut raw)
            .map_err(|_| "the cipher did not seal")?;
        let raw_seal = begun.elapsed().as_secs_f64();

        sealed.clear();
        let begun = Instant::now();
        let mut message_id = [0; 32];
        message_id[..8].copy_from_slice(&(run as u64).to_be_bytes());
        let mut sealer = Sealer::new(&seal_key, message_id, FRAME_BYTES, sealed)?;
        sealer.write(black_box(&plain))?;
        sealed = sealer.finish()?;
        let seal = begun.elapsed().as_secs_f64();

        raw.extend_from_slice(tag.as_ref());
        let begun = Instant::now();
        raw_key.open_in_place(nonce(), Aad::empty(), &mut raw).map_err(|_| "the cipher did not open")?;
        let raw_open = begun.elapsed().as_secs_f64();
        raw.truncate(EXTENT_BYTES);

        opened.clear();
        let begun = Instant::now();
        let Decoded::Header(header, at) = Header::decode(&sealed)? else { return Err("no header".into()) };
        let mut opener = Opener::new(header, &DataKey::from_bytes(KEY))?;
        opener.write(black_box(&sealed[at..]), &mut opened)?;
        opener.finish()?;
        let open = begun.elapsed().as_secs_f64();

        if opened != plain || raw != plain {
            return Err("what was opened is not what was sealed".into());
        }
        if run > 0 {
            seconds.seal.push(seal);
            seconds.open.push(open);
            seconds.raw_seal.push(raw_seal);
            seconds.raw_open.push(raw_open);
        }
    }
    let megabytes_a_second = |mut seconds: Vec<f64>| EXTENT_BYTES as f64 / 1e6 / median(&mut seconds);
    let row = |verb: &str, ours: Vec<f64>, peer: Vec<f64>| {
        let (ours, peer) = (megabytes_a_second(ours), megabytes_a_second(peer));
        Row::beside(format!("{verb}, MB/s; raw AES-256-GCM"), ours, Some(peer), Bound::AtLeast(0.6))
    };
    Ok(vec![row("seal", seconds.seal, seconds.raw_seal), row("open", seconds.open, seconds.raw_open)])
}

/// The same one every time: nothing that is sealed here leaves this function.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
