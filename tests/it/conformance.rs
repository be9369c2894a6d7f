//! The adapters over the local AWS pass the suites that the in-memory ports pass.

use crate::cloud::{Cloud, REGIONS};
use engine::layout::ObjectKey;
use testkit::conformance::{self, Unfaithful};

#[tokio::test]
async fn the_vault_over_s3_conforms() {
    let mut cloud = Cloud::start("vault-conforms");
    cloud.make_vaults();
    let (clients, settings) = (cloud.clients().await, cloud.settings());
    for place in settings.vaults().expect("vaults") {
        let vault = clients.vault(place.clone()).with_page_keys(3);
        conformance::vault(&vault, 3).await;
        let unlock =
            |key: &ObjectKey, version: &str| cloud.end_lock(&place.region, &place.bucket, &key.to_string(), version);
        conformance::versions(&vault, &vault, 3, unlock).await;
    }
}

#[tokio::test]
async fn the_catalog_over_dynamodb_conforms() {
    let mut cloud = Cloud::start("catalog-conforms");
    cloud.make_table();
    let catalog = cloud.clients().await.catalog().expect("a catalog");
    conformance::catalog(&*catalog).await;
    conformance::leases(&*catalog).await;
}

#[tokio::test]
async fn the_key_service_over_kms_conforms() {
    let mut cloud = Cloud::start("keys-conform");
    cloud.make_key();
    let stranger = cloud.clients().await.keys(REGIONS[0]).expect("a key service");
    cloud.make_key();
    let clients = cloud.clients().await;
    let [home, secondary, tertiary] = REGIONS.map(|region| clients.keys(region).expect("a key service"));
    // MiniStack 1.5.33 does not authenticate a wrapped key, and unwraps it with whatever key it is told to use; the real
    // KMS answers InvalidCiphertextException and IncorrectKeyException, which the in-memory keys stand for.
    let unfaithful = [Unfaithful::Tampered, Unfaithful::WrongKey];
    for replica in [secondary, tertiary] {
        conformance::keys(&*home, &*replica, &*stranger, &unfaithful).await;
    }
}

#[tokio::test]
async fn the_storage_over_s3_conforms() {
    let mut cloud = Cloud::start("storage-conforms");
    let endpoint = cloud.aws().endpoint();
    let url = endpoint.replacen("http://", "http://test:test@", 1) + "/?region=eu-west-1";
    cloud.set("BACKUP_STORAGE_URL", &url);
    cloud.use_source("arn:aws:secretsmanager:eu-west-1:123456789012:secret:backup-database-AbCdEf");
    let storage = cloud.clients().await.source_storage().await.expect("an address").expect("is set up");
    conformance::storage(&*storage).await;
}
