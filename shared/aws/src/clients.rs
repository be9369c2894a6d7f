//! The adapters, each in its own region, made when they are asked for.
//!
//! All regions share one connection pool, one set of credentials and one TLS configuration; making a client costs no call.

use crate::catalog::DynamoCatalog;
use crate::keys::KmsKeys;
use crate::listeners::{EventBus, Topic, Webhook, WebhookQueue};
use crate::machine::SystemEntropy;
use crate::queue::SqsQueue;
use crate::second_key::SecondKmsKey;
use crate::secrets;
use crate::settings::{
    DatabaseAddress, ListenerSettings, SecondKeySetting, Secret, Settings, StorageSetting, WebhookSetting,
};
use crate::storage::S3Storage;
use crate::vault::S3Vault;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
/// Credentials of one's own, for [`loader`]; functions have those of their role.
pub use aws_sdk_s3::config::Credentials;
use engine::catalog::Catalog;
use engine::environment::Environment;
use engine::error::{Error, Result};
use engine::keyring::{KeyService, Keyring, SecondKey};
use engine::ops::notify::Listener;
use engine::queue::{BackupOrder, PruneOrder, Queue, RestoreOrder};
use engine::storage::Storage;
use engine::vault::{VaultPlace, Vaults};
use engine::versions::Versions;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Tries of one request, the first one included.
const ATTEMPTS: u32 = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One try: long enough for the largest object of ours at 2 MB/s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// What all clients have in common. Credentials are found by the SDK: on Lambda, those of the function's role.
pub fn loader(settings: &Settings) -> ConfigLoader {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts);
    match &settings.endpoint {
        Some(endpoint) => loader.endpoint_url(endpoint),
        None => loader,
    }
}

/// With what sealed things are opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OpensWith {
    /// The key of the region.
    #[default]
    RegionKey,
    /// The second key alone.
    SecondKey,
}

/// The adapters of one deployment.
#[derive(Clone, Debug)]
pub struct Clients {
    config: SdkConfig,
    settings: Arc<Settings>,
}

impl Clients {
    /// For a function: configuration and credentials as the SDK finds them.
    pub async fn connect(settings: Arc<Settings>) -> Self {
        let config = loader(&settings).load().await;
        Self::new(config, settings)
    }

    /// Over a configuration that was made from [`loader`].
    pub fn new(config: SdkConfig, settings: Arc<Settings>) -> Self {
        Self { config, settings }
    }

    /// The three vaults.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`crate::settings::Need::Vaults`].
    pub fn vaults(&self) -> Result<Vaults> {
        let vaults = self.settings.vaults()?.clone().map(|place| Arc::new(self.vault(place)) as _);
        Ok(Vaults::new(vaults))
    }

    /// What the three vaults hold, in the same order.
    ///
    /// # Errors
    /// As [`Self::vaults`].
    pub fn versions(&self) -> Result<[Arc<dyn Versions>; 3]> {
        Ok(self.settings.vaults()?.clone().map(|place| Arc::new(self.vault(place)) as _))
    }

    /// The vault of a place.
    pub fn vault(&self, place: VaultPlace) -> S3Vault {
        let config = aws_sdk_s3::config::Builder::from(&self.in_region(&place.region));
        // Host names such as bucket.127.0.0.1 do not exist.
        let config = config.force_path_style(self.settings.endpoint.is_some()).build();
        S3Vault::new(aws_sdk_s3::Client::from_conf(config), place, self.settings.account.clone())
    }

    /// The deployment's key in a region.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`crate::settings::Need::Key`].
    pub fn keys(&self, region: &str) -> Result<Arc<dyn KeyService>> {
        let key = self.settings.key()?.in_region(region);
        Ok(Arc::new(KmsKeys::new(aws_sdk_kms::Client::new(&self.in_region(region)), key)))
    }

    /// The deployment's key in a region to seal with, and those that it had before to open what they sealed.
    ///
    /// # Errors
    /// As [`Self::keys`].
    pub fn keyring(&self, region: &str) -> Result<Arc<Keyring>> {
        self.keyring_of(region, OpensWith::RegionKey)
    }

    /// The same, opening with what is said.
    ///
    /// # Errors
    /// As [`Self::keys`].
    pub fn keyring_of(&self, region: &str, opens_with: OpensWith) -> Result<Arc<Keyring>> {
        let client = aws_sdk_kms::Client::new(&self.in_region(region));
        let former = self.settings.former_keys.iter().map(|key| key.in_region(region));
        let former = former.map(|key| Arc::new(KmsKeys::new(client.clone(), key)) as _).collect();
        let keyring = Keyring::new(self.keys(region)?, Arc::new(SystemEntropy));
        let keyring = keyring.with_former(former).with_second(self.second_key());
        Ok(Arc::new(match opens_with {
            OpensWith::RegionKey => keyring,
            OpensWith::SecondKey => keyring.opening_with_second(),
        }))
    }

    /// The second key, if there is one.
    pub fn second_key(&self) -> Option<Arc<dyn SecondKey>> {
        Some(match self.settings.second_key.as_ref()? {
            SecondKeySetting::Rsa(key) => Arc::clone(key) as _,
            SecondKeySetting::Kms { arn, region } => {
                Arc::new(SecondKmsKey::new(aws_sdk_kms::Client::new(&self.in_region(region)), arn.clone()))
            }
        })
    }

    /// Those of the regions of the three vaults, in the same order.
    ///
    /// # Errors
    /// As [`Self::vaults`] and [`Self::keyring`].
    pub fn keyrings(&self, opens_with: OpensWith) -> Result<[Arc<Keyring>; 3]> {
        let [primary, secondary, tertiary] = self.settings.vaults()?;
        let keyring = |region: &str| self.keyring_of(region, opens_with);
        Ok([keyring(&primary.region)?, keyring(&secondary.region)?, keyring(&tertiary.region)?])
    }

    /// The catalog, in this function's region.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`crate::settings::Need::Catalog`].
    pub fn catalog(&self) -> Result<Arc<dyn Catalog>> {
        let table = self.settings.table()?.to_owned();
        Ok(Arc::new(DynamoCatalog::new(aws_sdk_dynamodb::Client::new(&self.config), table)))
    }

    /// The queue that a backup is handed over through, if there is one.
    pub fn queue(&self) -> Option<Arc<dyn Queue<BackupOrder>>> {
        let url = self.settings.queue.clone()?;
        Some(Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&self.config), url)))
    }

    /// The queue of restores, if there is one.
    pub fn restore_queue(&self) -> Option<Arc<dyn Queue<RestoreOrder>>> {
        let url = self.settings.restore_queue.clone()?;
        Some(Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&self.config), url)))
    }

    /// The queue of runs of `prune`, if there is one.
    pub fn prune_queue(&self) -> Option<Arc<dyn Queue<PruneOrder>>> {
        let url = self.settings.prune_queue.clone()?;
        Some(Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&self.config), url)))
    }

    /// Who is told what happened, the server of a webhook excepted: that is told from the queue.
    pub fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        let ListenerSettings { bus, topic, webhook_queue, .. } = &self.settings.listeners;
        let project = &self.settings.metrics_namespace;
        let bus = bus.clone().map(|bus| {
            Arc::new(EventBus::new(aws_sdk_eventbridge::Client::new(&self.config), bus, project)) as Arc<dyn Listener>
        });
        let topic = topic.clone().map(|arn| {
            Arc::new(Topic::new(aws_sdk_sns::Client::new(&self.config), arn, project.clone())) as Arc<dyn Listener>
        });
        let queue = webhook_queue
            .clone()
            .map(|url| Arc::new(WebhookQueue::new(aws_sdk_sqs::Client::new(&self.config), url)) as Arc<dyn Listener>);
        [bus, topic, queue].into_iter().flatten().collect()
    }

    /// The server of a webhook.
    ///
    /// # Errors
    /// `Invalid` when none is set; those of Secrets Manager.
    pub async fn webhook(&self) -> Result<Webhook> {
        let address = match &self.settings.listeners.webhook {
            None => return Err(Error::invalid("no webhook is set: BACKUP_WEBHOOK_SECRET_ARN or BACKUP_WEBHOOK_URL")),
            Some(WebhookSetting::Url(address)) => address.clone(),
            Some(WebhookSetting::SecretArn(arn)) => secrets::fetch_webhook(&self.secrets_of(arn)?, arn).await?,
        };
        Ok(Webhook::new(address))
    }

    /// The address of the database that is backed up.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`crate::settings::Need::Source`]; those of Secrets Manager; `Invalid`
    /// when the secret holds no address.
    pub async fn source_url(&self) -> Result<Secret> {
        self.resolve(self.settings.database()?).await
    }

    /// The address of the database that an environment is restored into.
    ///
    /// # Errors
    /// `Invalid` when none is set; otherwise as [`Self::source_url`].
    pub async fn target_url(&self, environment: Environment) -> Result<Secret> {
        self.resolve(self.settings.target(environment)?).await
    }

    /// The address of the server that was set up for drills, if one was.
    ///
    /// # Errors
    /// As [`Self::source_url`].
    pub async fn drill_url(&self) -> Result<Option<Secret>> {
        match &self.settings.drill()?.standing {
            Some(address) => self.resolve(address).await.map(Some),
            None => Ok(None),
        }
    }

    /// The objects that are backed up with the database, if that is set up.
    ///
    /// # Errors
    /// Those of Secrets Manager; `Invalid` when the secret holds no address.
    pub async fn source_storage(&self) -> Result<Option<Arc<dyn Storage>>> {
        self.storage(self.settings.storage()).await
    }

    /// Where an environment's objects are restored to, if that is set up.
    ///
    /// # Errors
    /// As [`Self::source_storage`].
    pub async fn target_storage(&self, environment: Environment) -> Result<Option<Arc<dyn Storage>>> {
        self.storage(self.settings.target_storage(environment)).await
    }

    async fn storage(&self, setting: Option<&StorageSetting>) -> Result<Option<Arc<dyn Storage>>> {
        let address = match setting {
            None => return Ok(None),
            Some(StorageSetting::Url(address)) => address.clone(),
            Some(StorageSetting::SecretArn(arn)) => secrets::fetch_storage(&self.secrets_of(arn)?, arn).await?,
        };
        Ok(Some(Arc::new(S3Storage::new(&self.config, &address))))
    }

    fn secrets_of(&self, arn: &str) -> Result<aws_sdk_secretsmanager::Client> {
        let region = arn.split(':').nth(3).ok_or_else(|| Error::internal("a secret's ARN without a region"))?;
        Ok(aws_sdk_secretsmanager::Client::new(&self.in_region(region)))
    }

    async fn resolve(&self, address: &DatabaseAddress) -> Result<Secret> {
        match address {
            DatabaseAddress::Url(url) => Ok(url.clone()),
            DatabaseAddress::SecretArn(arn) => secrets::fetch(&self.secrets_of(arn)?, arn).await,
        }
    }

    fn in_region(&self, region: &str) -> SdkConfig {
        self.config.clone().into_builder().region(Region::new(region.to_owned())).build()
    }
}
