//! The in-memory ports pass the suites, and do what only they can.

use crate::conformance;
use crate::world::{REGIONS, World};
use crate::{KeyState, ManualClock, MemoryKeys, MemoryVault, When};
use bytes::Bytes;
use engine::catalog::Catalog;
use engine::clock::Timestamp;
use engine::envelope::Context;
use engine::error::ErrorKind;
use engine::keyring::{KeyService, Keyring, Purpose};
use engine::layout::ObjectKey;
use engine::limits;
use engine::pack::PackBuilder;
use engine::segment::{self, RowFormat, Segment, SegmentWriter};
use engine::stage::{Sha256, Storable};
use engine::vault::{PutOutcome, Vault, put_once};
use futures::StreamExt;
use std::sync::Arc;
use std::time::Duration;

const ID: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";

fn world() -> World {
    World::new(1).expect("a world")
}

fn storable(text: &'static str) -> Storable {
    Storable::fetched(Bytes::from_static(text.as_bytes()), Sha256::of(text.as_bytes())).expect("its checksum")
}

fn pack() -> ObjectKey {
    ObjectKey::Pack(ID.parse().expect("an id"), 0)
}

#[tokio::test]
async fn the_vault_conforms() {
    for page_keys in [2, 3, 7] {
        let vault =
            MemoryVault::new(crate::world::places()[0].clone(), crate::FaultScript::new()).with_page_keys(page_keys);
        conformance::vault(&vault, page_keys).await;
        let clock = ManualClock::held();
        let vault = vault.with_locks(Arc::new(clock.clone()), 2 * 3_600);
        let unlock = |_: &ObjectKey, _: &str| clock.advance(Duration::from_secs(3 * 3_600));
        conformance::versions(&vault, &vault, page_keys, unlock).await;
    }
}

#[tokio::test]
async fn the_catalog_conforms() {
    let world = world();
    conformance::catalog(&*world.catalog).await;
    conformance::leases(&*world.catalog).await;
}

#[tokio::test]
async fn the_key_service_conforms() {
    let world = world();
    let [stranger] = MemoryKeys::in_regions(99, [REGIONS[0]], &world.faults).expect("another key");
    conformance::keys(&*world.keys[0], &*world.keys[2], &*stranger, &[]).await;
}

#[tokio::test]
async fn the_storage_conforms() {
    conformance::storage(&crate::MemoryStorage::new(crate::FaultScript::new())).await;
}

#[tokio::test]
async fn rotten_bytes_do_not_pass_the_stores_checksum() {
    let vault = &world().vaults[0];
    let key = pack();
    vault.put(&key, &storable("whole")).await.expect("put");
    assert!(vault.rot(&key.to_string(), |bytes| bytes[0] ^= 1));
    assert_eq!(vault.get(&key).await.expect_err("rotten").kind(), ErrorKind::Corrupt);
    vault.plant(&key.to_string(), "forged");
    assert_eq!(vault.get(&key).await.expect("its own checksum is right"), "forged");
    assert_eq!(put_once(&**vault, &key, &storable("whole")).await.expect_err("other bytes").kind(), ErrorKind::Corrupt);
    assert_eq!(vault.remove(&key.to_string()), Some(Bytes::from_static(b"forged")));
    assert!(vault.objects().is_empty());
}

#[tokio::test]
async fn a_vault_that_is_not_versioned_is_not_fit() {
    let vault = &world().vaults[1];
    vault.set_versioned(false);
    assert_eq!(vault.check().await.expect_err("unfit").kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_key_may_be_disabled_in_one_region() {
    let world = world();
    let context = Context::new([("purpose", "rows")]).expect("a context");
    let (_, wrapped) = world.keys[0].generate(&context).await.expect("generate");
    for (state, kind) in [(KeyState::Disabled, ErrorKind::Denied), (KeyState::Missing, ErrorKind::NotFound)] {
        world.keys[0].set_state(state);
        assert_eq!(world.keys[0].generate(&context).await.expect_err("refused").kind(), kind);
        assert_eq!(world.keys[0].decrypt(&context, &wrapped).await.expect_err("refused").kind(), kind);
        world.keys[1].decrypt(&context, &wrapped).await.expect("the other region");
    }
    world.keys[0].set_state(KeyState::Enabled);
    world.keys[0].decrypt(&context, &wrapped).await.expect("enabled again");
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_found_done_the_second_time() {
    let world = world();
    let vault = &*world.vaults[0];
    world.faults.arm(1, When::AfterEffect, ErrorKind::Unavailable);
    assert_eq!(vault.put(&pack(), &storable("whole")).await.expect_err("lost").kind(), ErrorKind::Unavailable);
    assert_eq!(put_once(vault, &pack(), &storable("whole")).await.expect("again"), PutOutcome::Exists);
    let calls: Vec<String> = world.faults.calls().iter().map(ToString::to_string).collect();
    let key = pack().to_string();
    assert_eq!(
        calls,
        [
            format!("#1 primary vault put {key}"),
            format!("#2 primary vault put {key}"),
            format!("#3 primary vault head {key}")
        ]
    );
}

#[tokio::test]
async fn a_region_that_is_down_leaves_the_others_up() {
    let world = world();
    world.faults.break_service(world.vaults[1].service(), ErrorKind::Unavailable);
    assert_eq!(world.vaults[1].check().await.expect_err("down").kind(), ErrorKind::Unavailable);
    world.vaults[0].check().await.expect("up");
    world.faults.heal();
    world.vaults[1].check().await.expect("up again");
}

#[tokio::test]
async fn a_seed_decides_the_keys_of_a_world() {
    let context = Context::new([("purpose", "rows")]).expect("a context");
    let mut wrapped = Vec::new();
    for seed in [1, 1, 2] {
        let world = World::new(seed).expect("a world");
        wrapped.push(world.keys[0].generate(&context).await.expect("generate").1);
    }
    assert_eq!(wrapped[0], wrapped[1]);
    assert_ne!(wrapped[0], wrapped[2]);
}

#[tokio::test]
async fn a_wiped_catalog_knows_nothing() {
    let world = world();
    let now = Timestamp::from_millis(1_000);
    world.catalog.acquire("database", ID, now, now.plus_s(60)).await.expect("acquire");
    assert!(world.catalog.lease("database").is_some());
    world.catalog.wipe();
    assert_eq!(world.catalog.lease("database"), None);
    assert!(world.catalog.records().expect("reads").is_empty());
}

#[tokio::test]
async fn rows_that_compress_ten_thousandfold_come_back_in_chunks_of_the_usual_size() {
    const BYTES: usize = 64 << 20;
    let world = world();
    let keyring = Keyring::new(world.keys[0].clone(), world.entropy.clone());
    let attempt = ID.parse().expect("an id");
    let key = keyring.seal_key(Purpose::Rows, attempt).await.expect("a key");
    let mut writer = SegmentWriter::new(&keyring, &key, 1).expect("a writer");
    let row = vec![b'a'; limits::CHUNK_BYTES];
    for _ in 0..BYTES / row.len() {
        assert!(writer.write(&row).expect("writes").is_none(), "one extent is enough");
    }
    writer.write(b"\n").expect("writes");
    let (extent, tally) = writer.finish().expect("ends");
    let mut builder = PackBuilder::new(attempt);
    let extents = vec![builder.append(&extent.expect("an extent"))];
    let (key, body) = builder.take().expect("a pack").expect("not empty");
    world.vaults[0].put(&key, &body).await.expect("put");
    let segment = Segment { run: None, fingerprint: None, tally, format: RowFormat::CopyText, extents };
    let mut rows = segment::read(world.vaults[0].clone(), Arc::new(keyring), Arc::new(vec![key]), segment);
    let mut came = 0;
    while let Some(chunk) = rows.next().await {
        let chunk = chunk.expect("opens");
        assert!(chunk.len() <= limits::CHUNK_BYTES, "{}", chunk.len());
        came += chunk.len();
    }
    assert_eq!(came, BYTES + 1);
}
