//! The second key: what is sealed opens with it alone, when the key of KMS is gone in every region; by our code, and by AWS's library.

use crate::cloud::{Cloud, REGIONS};
use crate::local_aws::LocalAws;
use crate::postgres::checkout;
use crate::scene::Scene;
use aws::second_key::RsaKey;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::error::ErrorKind;
use engine::inventory;
use engine::keyring::{Purpose, context};
use engine::ops::drill::{Checks, Choice, Drill, DrillOutcome, DrillRequest};
use engine::ops::restore::{Restore, Selection};
use engine::vault::Vault;
use std::sync::Arc;
use testkit::{KeyState, MemorySandbox, MemoryTarget};

/// Both halves of a new key, as a setting and a file hold them.
fn new_key() -> (String, String) {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa3072).expect("a key");
    let public: PublicKeyX509Der<'_> = private.public_key().as_der().expect("writes");
    let private: Pkcs8V1Der<'_> = private.as_der().expect("writes");
    let lines = STANDARD
        .encode(private.as_ref())
        .as_bytes()
        .chunks(64)
        .map(|l| String::from_utf8_lossy(l) + "\n")
        .collect::<String>();
    (STANDARD.encode(public.as_ref()), format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\n"))
}

/// A backup that was sealed for a second key as well; the key of KMS is disabled in every region since. With the private half.
async fn bereft() -> (Scene, String) {
    let (public, private) = new_key();
    let mut scene = Scene::with_objects();
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    scene.world.second = Some(Arc::new(RsaKey::public(&public).expect("reads")));
    scene.source.write("large", 3, "3\tchanged since");
    scene.settings.incremental = false;
    scene.world.clock.advance(std::time::Duration::from_secs(3_600));
    scene.back_up().await.expect("backs up");
    scene.deliver_events().await;
    scene.world.keys.iter().for_each(|key| key.set_state(KeyState::Disabled));
    (scene, private)
}

#[tokio::test]
async fn a_drill_and_a_restore_open_with_the_second_key_alone() {
    let (mut scene, private) = bereft().await;
    // The half that is deployed opens nothing.
    let half = scene.world.second_keyring();
    let (inventory, _) = newest(&scene).await;
    let sealed = scene.world.vaults[0].get(&inventory.manifest.key).await.expect("reads");
    let of_manifest = context(Purpose::Manifest, inventory.attempt).expect("a context");
    let e = engine::message::open(&half, &of_manifest, &sealed).await.err().expect("half a key");
    assert!(e.kind() == ErrorKind::Invalid && e.to_string().contains("BACKUP_SECOND_PRIVATE_KEY_FILE"), "{e}");

    scene.world.second = Some(Arc::new(RsaKey::private(&private).expect("reads")));
    let mut wanted = scene.source.rows();
    wanted.retain(|_, rows| !rows.is_empty());
    for vault in 0..3 {
        let target = MemoryTarget::new(scene.world.faults.clone());
        let restore = Restore {
            vault: Arc::clone(&scene.world.vaults[vault]) as _,
            keyring: scene.world.second_keyring(),
            target: Arc::new(target.clone()),
            storage: None,
            sessions: 1,
            policies: Arc::default(),
            clock: Arc::clone(&scene.world.clock) as _,
            catalog: None,
            orders: None,
            counters: Arc::default(),
            journal: None,
        };
        restore.run(Selection::Newest).await.expect("restores");
        assert_eq!(target.rows(), wanted);
    }
    let drill = Drill {
        vaults: scene.world.ports(),
        keyrings: [0, 1, 2].map(|_| scene.world.second_keyring()),
        catalog: Arc::clone(&scene.world.catalog) as _,
        sandbox: Arc::new(MemorySandbox::new(1 << 40, scene.world.faults.clone())),
        clock: Arc::clone(&scene.world.clock) as _,
        entropy: Arc::clone(&scene.world.entropy) as _,
        choice: Choice::Latest,
        checks: Arc::new(Checks::default()),
        sessions: 1,
    };
    let done = drill.run(DrillRequest::default()).await.expect("drills");
    assert_eq!(done.outcome, DrillOutcome::Passed, "{:?}", done.error);

    // What was sealed before there was one says so.
    let first = scene.records().await[1].id;
    let request = DrillRequest { backup: Some(first), ..DrillRequest::default() };
    let done = drill.run(request).await.expect("drills");
    assert_eq!(done.outcome, DrillOutcome::Failed);
    assert!(done.error.as_deref().is_some_and(|e| e.contains("before there was one")), "{:?}", done.error);
}

async fn newest(scene: &Scene) -> (inventory::Inventory, engine::stage::Storable) {
    let vault = &*scene.world.vaults[0];
    let id = *inventory::list(vault).await.expect("lists").last().expect("a backup");
    inventory::read(vault, id).await.expect("reads")
}

#[tokio::test]
async fn a_rotation_wraps_by_the_second_key_too() {
    let (mut scene, private) = bereft().await;
    scene.world.keys.iter().for_each(|key| key.set_state(KeyState::Enabled));
    scene.world.change_key(99).expect("another key");
    for _ in 0..3 {
        scene.rotate(None).await.expect("rotates");
        scene.deliver_events().await;
    }
    scene.world.second = Some(Arc::new(RsaKey::private(&private).expect("reads")));
    // Also what was sealed before there was a second key.
    for id in inventory::list(&*scene.world.vaults[2]).await.expect("lists") {
        let (inventory, _) = inventory::read(&*scene.world.vaults[2], id).await.expect("reads");
        let sealed = scene.world.vaults[2].get(&inventory.manifest.key).await.expect("reads");
        let of_manifest = context(Purpose::Manifest, inventory.attempt).expect("a context");
        engine::message::open(&scene.world.second_keyring(), &of_manifest, &sealed).await.map(drop).expect("opens");
    }
}

#[tokio::test]
async fn awss_own_library_opens_with_the_second_key() {
    let (scene, private) = bereft().await;
    let (inventory, _) = newest(&scene).await;
    let sealed = scene.world.vaults[1].get(&inventory.schema.key).await.expect("reads");
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(file("second.pem"), private).expect("writes");
    std::fs::write(file("other.pem"), new_key().1).expect("writes");
    std::fs::write(file("schema.sealed"), &sealed).expect("writes");
    let open = |key: &str| {
        let mut open = std::process::Command::new("python3");
        open.arg(checkout("infra/open")).args([
            "--key",
            &file(key),
            "--input",
            &file("schema.sealed"),
            "--output",
            &file("schema.zst"),
        ]);
        open.output().expect("runs")
    };
    let other = open("other.pem");
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(!other.status.success() && said.contains("does not open with this key"), "{said}");
    let opened = open("second.pem");
    let said = String::from_utf8_lossy(&opened.stdout);
    assert!(
        opened.status.success() && said.contains("purpose=schema"),
        "{said} {}",
        String::from_utf8_lossy(&opened.stderr)
    );
    let frame = std::fs::read(file("schema.zst")).expect("reads");
    assert_eq!(frame[..4], [0x28, 0xb5, 0x2f, 0xfd], "a zstd frame");
}

#[tokio::test]
async fn a_key_of_kms_in_another_account_wraps_and_opens() {
    let mut cloud = Cloud::start("second-key");
    cloud.make_key();
    let other = |aws: &LocalAws| aws.aws("eu-central-1", "KeyMetadata.Arn", ["kms", "create-key"]);
    let arn = other(cloud.aws());
    cloud.set("BACKUP_SECOND_KEY_ARN", &arn);
    let clients = cloud.clients().await;
    let (seals, opens) = (
        clients.keyring(REGIONS[0]).expect("a keyring"),
        clients.keyring_of(REGIONS[2], aws::clients::OpensWith::SecondKey).expect("a keyring"),
    );
    let attempt = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071".parse().expect("an id");
    let key = seals.seal_key(Purpose::Manifest, attempt).await.expect("a key");
    let compressed = engine::compress::compress(b"what is sealed", 1).expect("compresses");
    let sealed = engine::message::seal(&seals, &key, &compressed).expect("seals");
    let sealed = engine::stage::Storable::message(sealed);
    assert_eq!(engine::message::header(sealed.bytes()).expect("a header").edks.len(), 2);
    let of_manifest = context(Purpose::Manifest, attempt).expect("a context");
    for keyring in [&seals, &opens] {
        engine::message::open(keyring, &of_manifest, sealed.bytes()).await.map(drop).expect("opens");
    }
    // The first key is gone; the second opens, and the first says why it does not.
    let home = cloud.settings().key().expect("a key").to_string();
    cloud.aws().aws(REGIONS[0], "@", ["kms", "disable-key", "--key-id", &home]);
    let fresh = cloud.clients().await;
    let e = engine::message::open(&fresh.keyring(REGIONS[0]).expect("a keyring"), &of_manifest, sealed.bytes()).await;
    let e = e.map(drop).expect_err("it is disabled");
    assert!(e.kind() == ErrorKind::Denied && e.to_string().contains("kms Decrypt"), "{e}");
    let second = fresh.keyring_of(REGIONS[0], aws::clients::OpensWith::SecondKey).expect("a keyring");
    engine::message::open(&second, &of_manifest, sealed.bytes()).await.map(drop).expect("opens");
}
