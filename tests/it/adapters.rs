//! What the adapters do beyond their ports' suites: what they say when something is not set up, and what they do when an
//! answer is lost on its way.

use crate::cloud::{Cloud, REGIONS};
use crate::lossy::Lossy;
use engine::catalog::{self, Catalog, SnapshotRecord, Trigger};
use engine::clock::Timestamp;
use engine::error::{Error, ErrorKind};
use engine::id::SnapshotId;
use engine::keyring::{self, Purpose};
use engine::layout::ObjectKey;
use engine::stage::{Sha256, Storable};
use engine::vault::{PutOutcome, Vault, VaultPlace, VaultRole, put_once};
use std::sync::Arc;

const ID: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_316_400_000).plus_s(seconds)
}

fn place(bucket: &str) -> VaultPlace {
    VaultPlace { role: VaultRole::Primary, region: REGIONS[0].to_owned(), bucket: bucket.to_owned() }
}

fn storable(text: &'static str) -> Storable {
    Storable::fetched(text.into(), Sha256::of(text.as_bytes())).expect("its own checksum")
}

fn says(e: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(e.kind(), kind, "{e}");
    for part in parts {
        assert!(e.to_string().contains(part), "{part} in: {e}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_fit_is_refused_with_what_to_do() {
    let cloud = Cloud::start("unfit-buckets");
    cloud.make_bucket("plain", REGIONS[0]);
    cloud.make_bucket("elsewhere", REGIONS[1]);
    let clients = cloud.clients().await;
    let check = async |bucket| clients.vault(place(bucket)).check().await.expect_err("refused");
    says(&check("absent").await, ErrorKind::NotFound, &["absent", "BACKUP_BUCKET_PRIMARY"]);
    says(&check("plain").await, ErrorKind::Invalid, &["plain", "put-bucket-versioning"]);
    says(&check("elsewhere").await, ErrorKind::Invalid, &["elsewhere", REGIONS[1], "BACKUP_REGION_PRIMARY"]);
}

#[tokio::test]
async fn a_bucket_of_another_account_is_refused_and_nothing_is_stored_in_it() {
    let mut cloud = Cloud::start("foreign-buckets");
    cloud.make_vaults();
    let straight = cloud.clients().await.vault(place("backup-primary"));
    let lossy = Lossy::before(&cloud.aws().endpoint());
    cloud.set("AWS_ENDPOINT_URL", &lossy.endpoint());
    cloud.set("BACKUP_ACCOUNT_ID", "123456789012");
    let vault = cloud.clients().await.vault(place("backup-primary"));
    lossy.belong_to("123456789012");
    vault.check().await.expect("it is ours");
    lossy.belong_to("999999999999");
    let error = vault.check().await.expect_err("it is not");
    says(&error, ErrorKind::Denied, &["backup-primary", "123456789012", "BACKUP_ACCOUNT_ID"]);
    let key = ObjectKey::Manifest(ID.parse().expect("an id"));
    says(&vault.put(&key, &storable("x")).await.expect_err("refused"), ErrorKind::Denied, &["s3 PutObject"]);
    says(&vault.get(&key).await.expect_err("refused"), ErrorKind::Denied, &["s3 GetObject"]);
    says(&vault.head(&key).await.expect_err("refused"), ErrorKind::Denied, &["s3 HeadObject"]);
    says(&vault.list("v1/", None).await.expect_err("refused"), ErrorKind::Denied, &["s3 ListObjects"]);
    assert_eq!(straight.head(&key).await.expect("looks"), None);
}

#[tokio::test]
async fn what_is_missing_is_named_with_the_setting_that_names_it() {
    let mut cloud = Cloud::start("missing");
    cloud.use_table("absent");
    let arn = cloud.make_key();
    let clients = cloud.clients().await;
    let put = clients.vault(place("absent")).put(&ObjectKey::Schema(ID.parse().expect("an id")), &storable("x")).await;
    says(&put.expect_err("no bucket"), ErrorKind::NotFound, &["s3 PutObject: NoSuchBucket", "BACKUP_BUCKET"]);
    let id: SnapshotId = ID.parse().expect("an id");
    let get = catalog::get(&*clients.catalog().expect("a catalog"), id).await;
    says(
        &get.expect_err("no table"),
        ErrorKind::NotFound,
        &["dynamodb GetItem: ResourceNotFoundException", "BACKUP_TABLE"],
    );
    let context = keyring::context(Purpose::Rows, ID.parse().expect("an id")).expect("a context");
    let keys = clients.keys("eu-central-1").expect("a key service").generate(&context).await;
    says(&keys.expect_err("no replica"), ErrorKind::NotFound, &["kms GenerateDataKey: NotFoundException", "replicate"]);
    cloud.aws().aws(REGIONS[0], "@", ["kms", "disable-key", "--key-id", &arn]);
    let keys = clients.keys(REGIONS[0]).expect("a key service").generate(&context).await;
    says(&keys.expect_err("disabled"), ErrorKind::Denied, &["kms GenerateDataKey: DisabledException", "enable-key"]);
}

/// A catalog whose connection loses the answers that the proxy is told to lose, and one that loses nothing.
async fn catalogs(cloud: &mut Cloud, lossy: &Lossy) -> [Arc<dyn Catalog>; 2] {
    let straight = cloud.clients().await.catalog().expect("a catalog");
    cloud.set("AWS_ENDPOINT_URL", &lossy.endpoint());
    [cloud.clients().await.catalog().expect("a catalog"), straight]
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_no_conflict_with_itself() {
    let mut cloud = Cloud::start("lost-writes");
    cloud.make_table();
    let lossy = Lossy::before(&cloud.aws().endpoint());
    let [catalog, straight] = catalogs(&mut cloud, &lossy).await;
    let id = ID.parse().expect("an id");
    let mut record = SnapshotRecord::pending(id, "database".to_owned(), Trigger::Manual, at(0), &[]);
    lossy.lose(1);
    catalog::insert(&*catalog, &record).await.expect("inserted, although the first answer was lost");
    assert_eq!(lossy.lost(), 1);
    record.source = "another".to_owned();
    lossy.lose(1);
    catalog::replace(&*catalog, &record, 1).await.expect("replaced, although the first answer was lost");
    assert_eq!(lossy.lost(), 2);
    let there = catalog::get(&*straight, id).await.expect("get").expect("it is there");
    assert_eq!((there.value, there.revision), (record.clone(), 2), "written once");
    // A real conflict stays one.
    lossy.lose(1);
    says(&catalog::insert(&*catalog, &record).await.expect_err("it is there"), ErrorKind::Conflict, &[ID]);
    says(&catalog::replace(&*catalog, &record, 1).await.expect_err("stale"), ErrorKind::Conflict, &[ID]);
}

#[tokio::test]
async fn a_lease_whose_answer_is_lost_is_held_once() {
    let mut cloud = Cloud::start("lost-leases");
    cloud.make_table();
    let lossy = Lossy::before(&cloud.aws().endpoint());
    let [catalog, straight] = catalogs(&mut cloud, &lossy).await;
    let (first, second) = (ID, ID.replace("71", "72"));
    straight.acquire("database", first, at(0), at(60)).await.expect("a free lease");
    // The first request finds out that it is not the holder's; the second takes the lease, and its answer is lost.
    lossy.lose_after(1, 1);
    let lease =
        catalog.acquire("database", &second, at(61), at(121)).await.expect("taken, although the answer was lost");
    assert_eq!((lossy.lost(), &lease.holder, lease.epoch), (1, &second, 2));
    lossy.lose(1);
    let lease = catalog.renew(&lease, at(200)).await.expect("renewed, although the answer was lost");
    assert_eq!((lossy.lost(), lease.epoch, lease.expires_at), (2, 2, at(200)));
}

#[tokio::test]
async fn an_object_whose_answer_is_lost_is_there_and_the_same() {
    let mut cloud = Cloud::start("lost-objects");
    cloud.make_vaults();
    let lossy = Lossy::before(&cloud.aws().endpoint());
    cloud.set("AWS_ENDPOINT_URL", &lossy.endpoint());
    let vault = cloud.clients().await.vault(place("backup-primary"));
    let key = ObjectKey::Manifest(ID.parse().expect("an id"));
    lossy.lose(1);
    assert_eq!(put_once(&vault, &key, &storable("whole")).await.expect("put"), PutOutcome::Exists);
    assert_eq!(lossy.lost(), 1);
    // A body that breaks off is asked for again.
    lossy.cut(1);
    assert_eq!(vault.get(&key).await.expect("get"), "whole");
    assert_eq!(lossy.lost(), 2);
    lossy.cut(1);
    assert_eq!(vault.get_range(&key, 1, 3).await.expect("get a range"), "hol");
    assert_eq!(lossy.lost(), 3);
    // Bytes that do not match the checksum are not asked for again: stored or sent, something is wrong with them.
    lossy.garble(1);
    says(&vault.get(&key).await.expect_err("other bytes"), ErrorKind::Corrupt, &["SHA-256"]);
    assert_eq!(lossy.lost(), 4);
}

#[tokio::test]
async fn a_database_address_comes_from_its_secret() {
    let mut cloud = Cloud::start("secrets");
    let url = "postgresql://u:p@db.example.org:5432/app";
    let args = ["secretsmanager", "create-secret", "--name", "backup/database", "--secret-string", url];
    let arn = cloud.aws().aws(REGIONS[1], "ARN", args);
    cloud.use_source(&arn);
    assert_eq!(cloud.clients().await.source_url().await.expect("an address").expose(), url);
    cloud.use_source(&arn.replace("backup/", "absent/"));
    let e = cloud.clients().await.source_url().await.expect_err("no secret");
    says(&e, ErrorKind::NotFound, &["secretsmanager GetSecretValue: ResourceNotFoundException", "SECRET_ARN"]);
}
