//! What every Storage does.

use super::{fails, fresh};
use bytes::Bytes;
use engine::error::{Error, ErrorKind, Result};
use engine::stage::Sha256;
use engine::storage::{Content, Storage, StoredObject};
use futures::{StreamExt, stream};

fn object(bucket: &str, name: &str) -> StoredObject {
    StoredObject {
        bucket: bucket.to_owned(),
        name: name.to_owned(),
        version: None,
        etag: None,
        bytes: None,
        updated_at: None,
        content_type: Some("image/png".to_owned()),
        cache_control: Some("max-age=3600".to_owned()),
    }
}

fn content(bytes: &[u8], chunk: usize) -> Content {
    let chunks: Vec<Result<Bytes>> = bytes.chunks(chunk).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    Box::pin(stream::iter(chunks))
}

async fn read(storage: &dyn Storage, object: &StoredObject) -> (u64, Vec<u8>) {
    let mut given = storage.get(object).await.expect("gives");
    let mut bytes = Vec::new();
    while let Some(chunk) = given.content.next().await {
        bytes.extend_from_slice(&chunk.expect("reads"));
    }
    (given.length, bytes)
}

/// Runs the suite, in a bucket of its own.
pub async fn storage(storage: &dyn Storage) {
    assert!(!storage.place().is_empty());
    let bucket = format!("suite-{}", &fresh()[..18]);
    fails(storage.get(&object(&bucket, "a")).await, ErrorKind::NotFound, "an object of a bucket that there is not");

    // Of every length that is cut differently, and names that an URL must escape.
    let large: Vec<u8> = (0..20_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (name, bytes) in [
        ("empty", &large[..0]),
        ("folder/one byte + plus.txt", &large[..1]),
        ("Ação/preço 100%?.png", &large[..70_000]),
        ("exactly-a-part", &large[..8 * 1024 * 1024]),
        ("several-parts", &large[..]),
    ] {
        let object = object(&bucket, name);
        storage.put(&object, bytes.len() as u64, content(bytes, 300_000)).await.expect(name);
        let (length, found) = read(storage, &object).await;
        assert_eq!((length, found.len()), (bytes.len() as u64, bytes.len()), "{name}");
        assert_eq!(Sha256::of(&found), Sha256::of(bytes), "{name}");
    }
    fails(storage.get(&object(&bucket, "nothing")).await, ErrorKind::NotFound, "an object that there is not");

    // Written over, and told apart.
    let (one, tag) = (object(&bucket, "empty"), |given: engine::storage::Given| given.etag);
    let before = tag(storage.get(&one).await.expect("gives"));
    storage.put(&one, 3, content(b"new", 2)).await.expect("puts");
    assert_eq!(read(storage, &one).await.1, b"new");
    assert_ne!(tag(storage.get(&one).await.expect("gives")), before);

    // A content that breaks off changes nothing, small or large.
    for length in [5, large.len()] {
        let broken: Vec<Result<Bytes>> = content(&large[..length - 1], 300_000)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .chain([Err(Error::corrupt("it breaks off"))])
            .collect();
        fails(
            storage.put(&one, length as u64, Box::pin(stream::iter(broken))).await,
            ErrorKind::Corrupt,
            "a broken content",
        );
        fails(
            storage.put(&one, length as u64, content(&large[..length - 1], 300_000)).await,
            ErrorKind::Internal,
            "a content that is too short",
        );
        assert_eq!(read(storage, &one).await.1, b"new");
    }
}
