//! Properties of all messages, and of bytes that are none. The fuzz target `open_message` goes on where these stop.

use super::*;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn pieces<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().copied().cycle();
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (now, later) = rest.split_at_checked(sizes.next()?.max(1)).unwrap_or((rest, &[]));
        rest = later;
        (!now.is_empty()).then_some(now)
    })
}

fn open_in_pieces(sealed: &[u8], sizes: &[usize]) -> Result<Vec<u8>> {
    let Decoded::Header(header, len) = Header::decode(sealed)? else { return Err(Error::corrupt("cut off")) };
    let mut opener = Opener::new(header, &DataKey::from_bytes(KEY))?;
    let mut out = Vec::new();
    for piece in pieces(&sealed[len..], sizes) {
        opener.write(piece, &mut out)?;
    }
    opener.finish()?;
    Ok(out)
}

proptest! {
    #[test]
    fn a_message_opens_whatever_its_shape_and_pieces(
        plain in vec(any::<u8>(), 0..2_000),
        frame_bytes in 1u32..700,
        id in any::<[u8; 32]>(),
        pairs in btree_map("[a-zé]{1,9}", ".{0,20}", 0..6),
        writes in vec(1usize..900, 1..8),
        reads in vec(1usize..900, 1..8),
    ) {
        let key = seal_key(Context::new(pairs.clone()).expect("a good context"));
        let mut sealer = Sealer::begin(&key, id, frame_bytes, b"before".to_vec()).expect("begins");
        for piece in pieces(&plain, &writes) {
            sealer.write(piece).expect("writes");
        }
        let len = sealer.sealed_len();
        let out = sealer.finish().expect("finishes");
        let sealed = out.strip_prefix(b"before").expect("what was there stays");
        prop_assert_eq!(sealed.len(), len);
        prop_assert_eq!(len as u64, key.sealed_len(frame_bytes, plain.len() as u64));
        let (header, _) = header(sealed);
        prop_assert_eq!(header.message_id, id);
        prop_assert_eq!(header.frame_bytes, Some(frame_bytes));
        prop_assert_eq!(&header.edks, &[edk()]);
        let read: Vec<_> = header.context.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        prop_assert_eq!(read, pairs.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(&open_in_pieces(sealed, &reads).expect("opens in pieces"), &plain);
        prop_assert_eq!(&open(sealed).expect("opens"), &plain);
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(open(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_after_a_good_beginning_are_refused_without_a_panic(
        cut in 0usize..250,
        bytes in vec(any::<u8>(), 1..200),
        sizes in vec(1usize..60, 1..6),
    ) {
        let good = seal(&plain(40), 16);
        let message = [&good[..cut.min(good.len())], &bytes].concat();
        if !good.starts_with(&message) {
            prop_assert!(open(&message).is_err());
            prop_assert!(open_in_pieces(&message, &sizes).is_err());
        }
    }

    #[test]
    fn the_pieces_that_a_message_comes_in_change_nothing(
        at in 0usize..300,
        byte in any::<u8>(),
        sizes in vec(1usize..60, 1..6),
    ) {
        let mut message = seal(&plain(40), 16);
        let at = at % message.len();
        message[at] = byte;
        prop_assert_eq!(open(&message).ok(), open_in_pieces(&message, &sizes).ok());
    }
}
