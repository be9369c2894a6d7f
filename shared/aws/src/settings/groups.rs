//! The groups of settings that only some functions need.

use super::reader::{Reader, Ruling};
use super::rules;
use super::secret::Secret;
use super::storage::{self, StorageAddress};
use crate::key_arn::{self, KeyArn};
use crate::listeners::WebhookAddress;
use crate::second_key::RsaKey;
use engine::environment::Environment;
use engine::ops::drill::{Checks, Choice};
use engine::vault::{VaultPlace, VaultRole};
use std::path::PathBuf;
use std::sync::Arc;

const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-1"];
const URL_EXAMPLE: &str = "postgresql://backup:password@db.example.org:5432/postgres";
const ARN_EXAMPLE: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:backup-database-AbCdEf";

/// Where the address of a database comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseAddress {
    /// From the setting itself.
    Url(Secret),
    /// From the secret of this ARN.
    SecretArn(String),
}

/// Where the address of a project's Storage comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageSetting {
    /// From the setting itself.
    Url(StorageAddress),
    /// From the secret of this ARN.
    SecretArn(String),
}

/// What is kept beyond the days of retention: so many of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// `BACKUP_KEEP_LAST`: the newest.
    pub last: u32,
    /// `BACKUP_KEEP_DAILY`: days.
    pub daily: u32,
    /// `BACKUP_KEEP_WEEKLY`: weeks.
    pub weekly: u32,
    /// `BACKUP_KEEP_MONTHLY`: months.
    pub monthly: u32,
    /// `BACKUP_KEEP_YEARLY`: years.
    pub yearly: u32,
    /// `BACKUP_KEEP_AT_LEAST`: good backups that stay whatever the others say.
    pub at_least: u32,
}

/// Backups that stay whatever the policy says, unless the setting says otherwise.
const KEEP_AT_LEAST: u32 = 3;

pub(super) fn keep(r: &mut Reader<'_>) -> Keep {
    let mut number =
        |what: &str, example: &str| r.or(&format!("BACKUP_KEEP_{what}"), example, 0, |v| rules::number(v, 0..=10_000));
    let (last, daily, weekly) = (number("LAST", "10"), number("DAILY", "30"), number("WEEKLY", "8"));
    let (monthly, yearly) = (number("MONTHLY", "12"), number("YEARLY", "5"));
    let at_least = r.or("BACKUP_KEEP_AT_LEAST", "3", KEEP_AT_LEAST, |v| rules::number(v, 1..=10_000));
    Keep { last, daily, weekly, monthly, yearly, at_least }
}

/// How backups are restored to prove that they can be.
#[derive(Clone, Debug)]
pub struct DrillSettings {
    /// `BACKUP_DRILL_CHOICE` and `BACKUP_DRILL_WINDOW_DAYS`: which backup.
    pub choice: Choice,
    /// `BACKUP_DRILL_CHECKS`: what the owner knows of the data.
    pub checks: Arc<Checks>,
    /// `BACKUP_DRILL_URL` or `BACKUP_DRILL_SECRET_ARN`: a server that stands for it, instead of one that the function starts.
    pub standing: Option<DatabaseAddress>,
    /// `BACKUP_PG_SERVER`: the folder of the server that it starts.
    pub server: PathBuf,
    /// `BACKUP_DRILL_FOLDER`: where that server's files are.
    pub folder: PathBuf,
    /// Bytes of a database for which there is room, by `BACKUP_DRILL_MB`.
    pub room_bytes: u64,
}

/// Of the temporary storage so much is the server's own: its programs, an empty cluster, and its log.
const SERVER_MB: u64 = 1_500;

pub(super) fn drill(r: &mut Reader<'_>) -> DrillSettings {
    let window = r.or("BACKUP_DRILL_WINDOW_DAYS", "30", 30, |v| rules::number(v, 1..=36_500));
    let choice = r.or("BACKUP_DRILL_CHOICE", "latest", Choice::Latest, |v| match v {
        "latest" => Ok(Choice::Latest),
        "random" => Ok(Choice::Random(window)),
        _ => Err("must be latest or random".to_owned()),
    });
    let mb = r.or("BACKUP_DRILL_MB", "10240", 10_240, |v| rules::number(v, 2_048..=10_000_000));
    DrillSettings {
        choice,
        checks: Arc::new(r.or("BACKUP_DRILL_CHECKS", "/opt/etc/checks.json", Checks::default(), rules::checks)),
        standing: address(r, "BACKUP_DRILL"),
        server: r.or("BACKUP_PG_SERVER", "/opt/pgsql", PathBuf::from("/opt/pgsql"), rules::absolute_path),
        folder: r.or("BACKUP_DRILL_FOLDER", "/tmp", PathBuf::from("/tmp"), rules::absolute_path),
        room_bytes: (mb - SERVER_MB) * 1_000_000,
    }
}

/// `BACKUP_BUCKET_…` and `BACKUP_REGION_…`: three buckets in three regions.
pub(super) fn vaults(r: &mut Reader<'_>) -> Option<[VaultPlace; 3]> {
    let mut places = [None, None, None];
    for ((place, role), default) in places.iter_mut().zip(VaultRole::ALL).zip(REGIONS) {
        let name = role.to_string().to_uppercase();
        let bucket = r.required(&format!("BACKUP_BUCKET_{name}"), &format!("acme-backup-{default}"), rules::bucket);
        let setting = format!("BACKUP_REGION_{name}");
        let region =
            if r.is_set(&setting) { r.optional(&setting, default, rules::region) } else { Some(default.to_owned()) };
        *place = bucket.zip(region).map(|(bucket, region)| VaultPlace { role, region, bucket });
    }
    let [Some(primary), Some(secondary), Some(tertiary)] = places else { return None };
    let places = [primary, secondary, tertiary];
    require_different(r, &places, "BUCKET", "acme-backup-us-east-1", |p| &p.bucket);
    require_different(r, &places, "REGION", "us-east-1", |p| &p.region);
    Some(places)
}

fn require_different(
    r: &mut Reader<'_>,
    places: &[VaultPlace; 3],
    what: &str,
    example: &str,
    of: fn(&VaultPlace) -> &String,
) {
    for (i, place) in places.iter().enumerate() {
        if let Some(other) = places[..i].iter().find(|other| of(other) == of(place)) {
            let [name, other] = [place, other].map(|p| format!("BACKUP_{what}_{}", p.role.to_string().to_uppercase()));
            r.problem(format!("{name} must differ from {other} (example: {example})"));
        }
    }
}

/// `BACKUP_ENCRYPTION_KEY_ID`.
pub(super) fn key(r: &mut Reader<'_>) -> Option<KeyArn> {
    r.required("BACKUP_ENCRYPTION_KEY_ID", key_arn::EXAMPLE, |v| KeyArn::parse(v).map_err(|e| e.to_string()))
}

/// `BACKUP_FORMER_KEY_IDS`: keys of the same kind, with commas between them.
pub(super) fn former_keys(r: &mut Reader<'_>) -> Vec<KeyArn> {
    let list = |v: &str| v.split(',').map(|arn| KeyArn::parse(arn.trim()).map_err(|e| e.to_string())).collect();
    r.or("BACKUP_FORMER_KEY_IDS", key_arn::EXAMPLE, Vec::new(), list)
}

/// A second way to open what is sealed.
#[derive(Clone, Debug)]
pub enum SecondKeySetting {
    /// `BACKUP_SECOND_KEY_ARN`: a key of KMS in another account.
    Kms {
        /// Its ARN.
        arn: String,
        /// The region in it.
        region: String,
    },
    /// `BACKUP_SECOND_PUBLIC_KEY`, or where something is opened with it `BACKUP_SECOND_PRIVATE_KEY_FILE`: an RSA key.
    Rsa(Arc<RsaKey>),
}

const KEY_EXAMPLE: &str = "arn:aws:kms:eu-central-1:210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab";

pub(super) fn second_key(r: &mut Reader<'_>) -> Option<SecondKeySetting> {
    let kms = r.optional("BACKUP_SECOND_KEY_ARN", KEY_EXAMPLE, rules::key_arn);
    let public =
        r.optional("BACKUP_SECOND_PUBLIC_KEY", RsaKey::EXAMPLE, |v| RsaKey::public(v).map_err(|e| e.to_string()));
    let private = r.optional("BACKUP_SECOND_PRIVATE_KEY_FILE", "/mnt/usb/second.pem", rules::private_key);
    if kms.is_some() && (public.is_some() || private.is_some()) {
        r.problem("BACKUP_SECOND_KEY_ARN and an RSA key exclude each other: there is one second key".to_owned());
    }
    let rsa = private.or(public).map(|key| SecondKeySetting::Rsa(Arc::new(key)));
    kms.map(|(arn, region)| SecondKeySetting::Kms { arn, region }).or(rsa)
}

/// Where the address of a webhook comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookSetting {
    /// From the setting itself.
    Url(WebhookAddress),
    /// From the secret of this ARN.
    SecretArn(String),
}

/// Who is told what happened; each may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerSettings {
    /// `BACKUP_EVENT_BUS`: an event bus.
    pub bus: Option<String>,
    /// `BACKUP_TOPIC_ARN`: a topic.
    pub topic: Option<String>,
    /// `BACKUP_WEBHOOK_QUEUE_URL`: the queue before somebody's own server,
    pub webhook_queue: Option<String>,
    /// `BACKUP_WEBHOOK_URL` or `BACKUP_WEBHOOK_SECRET_ARN`: and that server.
    pub webhook: Option<WebhookSetting>,
}

const BUS_EXAMPLE: &str = "default";
const TOPIC_EXAMPLE: &str = "arn:aws:sns:eu-west-1:123456789012:acme-backup-notifications";
const WEBHOOK_QUEUE_EXAMPLE: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/acme-backup-webhook";

pub(super) fn listeners(r: &mut Reader<'_>) -> ListenerSettings {
    let url = r.optional("BACKUP_WEBHOOK_URL", WebhookAddress::EXAMPLE, |v| {
        WebhookAddress::parse(v).map_err(|e| e.to_string())
    });
    let arn = r.optional("BACKUP_WEBHOOK_SECRET_ARN", ARN_EXAMPLE, rules::secret_arn);
    ListenerSettings {
        bus: r.optional("BACKUP_EVENT_BUS", BUS_EXAMPLE, rules::source_name),
        topic: r.optional("BACKUP_TOPIC_ARN", TOPIC_EXAMPLE, rules::topic_arn),
        webhook_queue: r.optional("BACKUP_WEBHOOK_QUEUE_URL", WEBHOOK_QUEUE_EXAMPLE, rules::endpoint),
        webhook: url.map(WebhookSetting::Url).or(arn.map(WebhookSetting::SecretArn)),
    }
}

/// `BACKUP_TABLE`, without which some functions do less.
pub(super) fn table(r: &mut Reader<'_>, needed: bool) -> Option<String> {
    r.either(needed, "BACKUP_TABLE", "acme-backup", rules::table)
}

/// `BACKUP_DATABASE_URL` or `BACKUP_DATABASE_SECRET_ARN`.
pub(super) fn database(r: &mut Reader<'_>) -> Option<DatabaseAddress> {
    let address = address(r, "BACKUP_DATABASE");
    if address.is_none() && !r.is_set("BACKUP_DATABASE_URL") && !r.is_set("BACKUP_DATABASE_SECRET_ARN") {
        r.problem(format!(
            "BACKUP_DATABASE_SECRET_ARN or BACKUP_DATABASE_URL is missing (example: {ARN_EXAMPLE} or {URL_EXAMPLE})"
        ));
    }
    address
}

/// `BACKUP_TARGET_<environment>_URL` or `…_SECRET_ARN`, for at least one environment.
pub(super) fn targets(r: &mut Reader<'_>) -> Vec<(Environment, DatabaseAddress)> {
    let (mut targets, mut any) = (Vec::new(), false);
    for environment in Environment::ALL {
        let stem = format!("BACKUP_TARGET_{}", environment.as_str().to_uppercase());
        any |= r.is_set(&format!("{stem}_URL")) || r.is_set(&format!("{stem}_SECRET_ARN"));
        targets.extend(address(r, &stem).map(|address| (environment, address)));
    }
    if !any {
        r.problem(format!(
            "BACKUP_TARGET_{{DEVELOPMENT,STAGING,PRODUCTION}}_SECRET_ARN or …_URL: at least one is missing (example: \
             BACKUP_TARGET_STAGING_SECRET_ARN={ARN_EXAMPLE})"
        ));
    }
    targets
}

/// `BACKUP_TARGET_<environment>_STORAGE_URL` or `…_STORAGE_SECRET_ARN`.
pub(super) fn target_storages(r: &mut Reader<'_>) -> Vec<(Environment, StorageSetting)> {
    let of = |environment: Environment| {
        storage(r, &format!("BACKUP_TARGET_{}", environment.as_str().to_uppercase())).map(|s| (environment, s))
    };
    Environment::ALL.into_iter().filter_map(of).collect()
}

/// `<stem>_STORAGE_URL` or `<stem>_STORAGE_SECRET_ARN`, not both, or neither.
pub(super) fn storage(r: &mut Reader<'_>, stem: &str) -> Option<StorageSetting> {
    let (url_name, arn_name) = (format!("{stem}_STORAGE_URL"), format!("{stem}_STORAGE_SECRET_ARN"));
    let read = |value: &str| StorageAddress::parse(value).map_err(|e| format!("is wrong: {e}"));
    let url = r.optional(&url_name, storage::EXAMPLE, read).map(StorageSetting::Url);
    let arn = r.optional(&arn_name, ARN_EXAMPLE, rules::secret_arn).map(StorageSetting::SecretArn);
    one_of(r, (&url_name, url), (&arn_name, arn))
}

/// The one of two settings that is there.
fn one_of<T>(r: &mut Reader<'_>, (url_name, url): (&str, Option<T>), (arn_name, arn): (&str, Option<T>)) -> Option<T> {
    if r.is_set(url_name) && r.is_set(arn_name) {
        r.problem(format!(
            "{url_name} and {arn_name} are both set, and one must be removed (example: leave {url_name} empty)"
        ));
        return None;
    }
    url.or(arn)
}

/// An address from `<stem>_URL` or `<stem>_SECRET_ARN`, not both.
fn address(r: &mut Reader<'_>, stem: &str) -> Option<DatabaseAddress> {
    let (url_name, arn_name) = (format!("{stem}_URL"), format!("{stem}_SECRET_ARN"));
    let url = r.optional(&url_name, URL_EXAMPLE, database_url).map(DatabaseAddress::Url);
    let arn = r.optional(&arn_name, ARN_EXAMPLE, rules::secret_arn).map(DatabaseAddress::SecretArn);
    one_of(r, (&url_name, url), (&arn_name, arn))
}

fn database_url(value: &str) -> Ruling<Secret> {
    Secret::database_url(value).ok_or_else(|| "must be a postgresql:// URL with a host".to_owned())
}
