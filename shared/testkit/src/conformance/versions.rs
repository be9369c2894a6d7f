//! The suite of [`Versions`].

use super::{attempt, fails};
use engine::clock::Timestamp;
use engine::error::ErrorKind;
use engine::layout::ObjectKey;
use engine::stage::{Sha256, Storable};
use engine::vault::{PutOutcome, Vault};
use engine::versions::{Deleted, ObjectLock, ObjectVersion, Versions, list_all};

/// What every vault with locks does with versions. What is put must come under a lock of an hour at least; `unlock` ends that of
/// one version, as time does. The vault must list `page_keys` versions a page.
pub async fn versions(
    vault: &dyn Vault,
    versions: &dyn Versions,
    page_keys: usize,
    unlock: impl FnOnce(&ObjectKey, &str),
) {
    listings_are_whole_and_in_order(vault, versions, page_keys).await;
    a_lock_is_only_extended(vault, versions).await;
    what_is_locked_stays(vault, versions, unlock).await;
}

fn body(text: &str) -> Storable {
    let bytes = text.to_owned().into_bytes();
    let sha256 = Sha256::of(&bytes);
    Storable::fetched(bytes.into(), sha256).expect("bytes have their own checksum")
}

/// The only version of an object.
async fn only(versions: &dyn Versions, key: &ObjectKey) -> ObjectVersion {
    let mut found = list_all(versions, &key.to_string()).await.expect("list");
    assert_eq!(found.len(), 1, "{key}");
    found.remove(0)
}

async fn listings_are_whole_and_in_order(vault: &dyn Vault, versions: &dyn Versions, page_keys: usize) {
    let attempt = attempt();
    let prefix = format!("v1/packs/{attempt}/");
    let empty = versions.list(&prefix, None).await.expect("an empty listing is no error");
    assert_eq!((empty.versions, empty.next), (Vec::new(), None));
    let count = 2 * page_keys + 1;
    for n in (0..count).rev() {
        vault.put(&ObjectKey::Pack(attempt, n as u32), &body(&"x".repeat(n))).await.expect("put");
    }
    let all = list_all(versions, &prefix).await.expect("list");
    let keys: Vec<&str> = all.iter().map(|v| v.key.as_str()).collect();
    let expected: Vec<String> = (0..count).map(|n| ObjectKey::Pack(attempt, n as u32).to_string()).collect();
    assert_eq!(keys, expected);
    for (n, version) in all.iter().enumerate() {
        assert!(version.latest && !version.delete_marker && !version.version.is_empty(), "{version:?}");
        assert_eq!(version.length, n as u64);
    }
    assert_ne!(all[0].etag, all[1].etag, "other bytes");
    let first = versions.list(&prefix, None).await.expect("the first page");
    assert_eq!(first.versions, all[..page_keys]);
    let second = versions.list(&prefix, first.next.as_ref()).await.expect("the second page");
    assert_eq!(second.versions, all[page_keys..2 * page_keys]);
    let last = versions.list(&prefix, second.next.as_ref()).await.expect("the last page");
    assert_eq!((last.versions.as_slice(), last.next), (&all[2 * page_keys..], None));
}

async fn a_lock_is_only_extended(vault: &dyn Vault, versions: &dyn Versions) {
    let key = ObjectKey::Pack(attempt(), 0);
    vault.put(&key, &body("locked")).await.expect("put");
    let version = only(versions, &key).await.version;
    let lock = versions.lock_of(&key, &version).await.expect("look").expect("what is put is locked");
    assert!(!lock.compliance);
    let longer = ObjectLock { until: lock.until.plus_s(3_600), ..lock };
    versions.extend_lock(&key, &version, longer).await.expect("extend");
    assert_eq!(versions.lock_of(&key, &version).await.expect("look"), Some(longer));
    versions.extend_lock(&key, &version, longer).await.expect("to the same instant");
    fails(versions.extend_lock(&key, &version, lock).await, ErrorKind::Invalid, "a shorter lock");
    assert_eq!(versions.lock_of(&key, &version).await.expect("look"), Some(longer), "a refusal changes nothing");
    fails(versions.lock_of(&ObjectKey::Pack(attempt(), 0), &version).await, ErrorKind::NotFound, "a lock of nothing");
}

async fn what_is_locked_stays(vault: &dyn Vault, versions: &dyn Versions, unlock: impl FnOnce(&ObjectKey, &str)) {
    let key = ObjectKey::Pack(attempt(), 0);
    vault.put(&key, &body("kept")).await.expect("put");
    let found = only(versions, &key).await;
    assert!(found.modified_at > Timestamp::from_millis(0));
    assert_eq!(versions.delete(&key, &found.version).await.expect("no error"), Deleted::Locked);
    assert_eq!(vault.get(&key).await.expect("it is still there"), "kept");
    unlock(&key, &found.version);
    assert_eq!(versions.delete(&key, &found.version).await.expect("delete"), Deleted::Gone);
    assert_eq!(vault.head(&key).await.expect("head"), None);
    assert!(list_all(versions, &key.to_string()).await.expect("list").is_empty(), "for good");
    assert_eq!(versions.delete(&key, &found.version).await.expect("again"), Deleted::Gone, "what is gone is gone");
    assert_eq!(vault.put(&key, &body("again")).await.expect("put"), PutOutcome::Written);
}
