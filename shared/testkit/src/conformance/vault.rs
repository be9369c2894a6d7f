//! The suite of [`Vault`].

use super::{attempt, fails, snapshot};
use bytes::Bytes;
use engine::error::ErrorKind;
use engine::layout::ObjectKey;
use engine::stage::{Sha256, Storable};
use engine::vault::{ObjectMeta, PutOutcome, Vault, list_all, put_once};

/// What every vault does. The vault must be usable, and must list `page_keys` keys a page, at least 2.
pub async fn vault(vault: &dyn Vault, page_keys: usize) {
    vault.check().await.expect("the vault is fit for use");
    what_is_not_there_is_not_found(vault).await;
    objects_are_written_once(vault).await;
    the_same_object_may_be_put_again(vault).await;
    of_many_writers_one_wins(vault).await;
    what_is_read_is_what_was_written(vault).await;
    ranges_are_exact_or_an_error(vault).await;
    listings_are_whole_and_in_order(vault, page_keys).await;
}

fn body(bytes: impl Into<Bytes>) -> Storable {
    let bytes = bytes.into();
    let sha256 = Sha256::of(&bytes);
    Storable::fetched(bytes, sha256).expect("bytes have their own checksum")
}

/// Bytes that do not repeat within 64 KiB.
fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(31) ^ (i >> 8)) as u8).collect()
}

async fn what_is_not_there_is_not_found(vault: &dyn Vault) {
    let key = ObjectKey::Manifest(snapshot());
    assert_eq!(vault.head(&key).await.expect("head"), None);
    fails(vault.get(&key).await, ErrorKind::NotFound, "a get of nothing");
    fails(vault.get_range(&key, 0, 1).await, ErrorKind::NotFound, "a range of nothing");
    fails(vault.get_range(&key, 0, 0).await, ErrorKind::NotFound, "an empty range of nothing");
    let page = vault.list(&format!("v1/packs/{}/", attempt()), None).await.expect("an empty listing is no error");
    assert_eq!((page.keys, page.next), (Vec::new(), None));
}

async fn objects_are_written_once(vault: &dyn Vault) {
    let key = ObjectKey::Schema(snapshot());
    let (first, second) = (body("first"), body("second"));
    assert_eq!(vault.put(&key, &first).await.expect("put"), PutOutcome::Written);
    assert_eq!(vault.put(&key, &second).await.expect("put again"), PutOutcome::Exists);
    assert_eq!(vault.put(&key, &first).await.expect("put the same again"), PutOutcome::Exists);
    assert_eq!(vault.get(&key).await.expect("get"), first.bytes());
    fails(put_once(vault, &key, &second).await, ErrorKind::Corrupt, "a put of other bytes");
}

async fn the_same_object_may_be_put_again(vault: &dyn Vault) {
    let (key, body) = (ObjectKey::Pack(attempt(), 0), body(sample(1_000)));
    assert_eq!(put_once(vault, &key, &body).await.expect("put"), PutOutcome::Written);
    assert_eq!(put_once(vault, &key, &body).await.expect("put again"), PutOutcome::Exists);
}

async fn of_many_writers_one_wins(vault: &dyn Vault) {
    let key = ObjectKey::Inventory(snapshot());
    let bodies: Vec<Storable> = (0..4).map(|n| body(format!("writer {n}"))).collect();
    let outcomes = futures::future::join_all(bodies.iter().map(|body| vault.put(&key, body))).await;
    // Two writes at the very same time may both be told to try again.
    let mut written: Vec<usize> = (0..4).filter(|n| matches!(outcomes[*n], Ok(PutOutcome::Written))).collect();
    for outcome in outcomes.iter().filter_map(|o| o.as_ref().err()) {
        assert_eq!(outcome.kind(), ErrorKind::Unavailable, "{outcome}");
    }
    if written.is_empty() {
        assert_eq!(vault.put(&key, &bodies[0]).await.expect("put alone"), PutOutcome::Written);
        written.push(0);
    }
    assert_eq!(written.len(), 1, "one writer wins");
    assert_eq!(vault.get(&key).await.expect("get"), bodies[written[0]].bytes());
}

async fn what_is_read_is_what_was_written(vault: &dyn Vault) {
    let attempt = attempt();
    for (n, length) in [0, 1, 65_536, 3 * 1024 * 1024 + 7].into_iter().enumerate() {
        let key = ObjectKey::Pack(attempt, n as u32);
        let body = body(sample(length));
        vault.put(&key, &body).await.expect("put");
        let meta = vault.head(&key).await.expect("head").expect("it is there");
        assert_eq!(meta, ObjectMeta { length: length as u64, sha256: Some(body.sha256()) }, "{length} bytes");
        assert!(vault.get(&key).await.expect("get") == body.bytes(), "{length} bytes");
    }
}

async fn ranges_are_exact_or_an_error(vault: &dyn Vault) {
    let (key, bytes) = (ObjectKey::Pack(attempt(), 7), sample(1_000));
    vault.put(&key, &body(bytes.clone())).await.expect("put");
    for (offset, length) in [(0, 1), (0, 1_000), (1, 999), (999, 1), (500, 250), (0, 0), (1_000, 0)] {
        let range = vault.get_range(&key, offset, length).await.expect("a range within the object");
        assert_eq!(range, bytes[offset as usize..(offset + length) as usize], "{length} bytes from {offset}");
    }
    for (offset, length) in [(0, 1_001), (999, 2), (1_000, 1), (5_000, 1), (1_001, 0), (u64::MAX, 2)] {
        let what = format!("{length} bytes from {offset} of 1000");
        fails(vault.get_range(&key, offset, length).await, ErrorKind::Corrupt, &what);
    }
}

async fn listings_are_whole_and_in_order(vault: &dyn Vault, page_keys: usize) {
    let attempt = attempt();
    let count = 2 * page_keys + 1;
    // Put in another order than that of the keys.
    for n in (0..count).rev() {
        vault.put(&ObjectKey::Pack(attempt, n as u32), &body(format!("{n}"))).await.expect("put");
    }
    vault.put(&ObjectKey::Checkpoint(attempt, 0), &body("elsewhere")).await.expect("put");
    let prefix = format!("v1/packs/{attempt}/");
    let expected: Vec<String> = (0..count).map(|n| ObjectKey::Pack(attempt, n as u32).to_string()).collect();
    assert_eq!(list_all(vault, &prefix).await.expect("list all"), expected);

    let first = vault.list(&prefix, None).await.expect("the first page");
    assert_eq!((first.keys.as_slice(), first.next.is_some()), (&expected[..page_keys], true));
    let second = vault.list(&prefix, first.next.as_deref()).await.expect("the second page");
    assert_eq!(second.keys, expected[page_keys..2 * page_keys]);
    let last = vault.list(&prefix, second.next.as_deref()).await.expect("the last page");
    assert_eq!((last.keys.as_slice(), last.next), (&expected[2 * page_keys..], None));

    let full = vault.list(&prefix, Some(&expected[page_keys])).await.expect("a page that is full and the last");
    assert_eq!((full.keys.as_slice(), full.next), (&expected[page_keys + 1..], None));
    // A key that is not there is a place in the order all the same.
    let between =
        vault.list(&prefix, Some(&format!("{}!", expected[count - 2]))).await.expect("from a key that is not there");
    assert_eq!(between.keys, expected[count - 1..]);
    let beyond = vault.list(&prefix, expected.last().map(String::as_str)).await.expect("after the last key");
    assert_eq!((beyond.keys, beyond.next), (Vec::new(), None));
}
