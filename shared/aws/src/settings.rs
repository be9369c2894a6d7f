//! The settings: read once, at cold start, and the only place where the environment is read.
//!
//! Always holds: every problem is reported at once, each with the variable's name and an example of a right value, and
//! never with the value that it has, which may be a secret in the wrong place. An empty variable is an absent one.
//!
//! Each function states what it needs ([`Need`]): the others' variables may be absent there.

mod api;
mod groups;
mod reader;
mod rules;
mod secret;
mod storage;
#[cfg(test)]
mod tests;

pub use api::{ApiSettings, Issuer};
pub use groups::{
    DatabaseAddress, DrillSettings, Keep, ListenerSettings, SecondKeySetting, StorageSetting, WebhookSetting,
};
pub use secret::Secret;
pub use storage::StorageAddress;
pub(crate) use storage::{decoded, is_guarded};

use crate::key_arn::KeyArn;
use engine::environment::Environment;
use engine::error::{Error, Result};
use engine::limits;
use engine::policy::Policies;
use engine::retention::RetentionPolicy;
use engine::schedule::Schedule;
use engine::vault::VaultPlace;
use reader::Reader;
use std::path::PathBuf;
use std::sync::Arc;

/// A group of settings that a function cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// The three buckets.
    Vaults,
    /// The encryption key.
    Key,
    /// The table.
    Catalog,
    /// The database that is backed up.
    Source,
    /// At least one database to restore into.
    Target,
    /// The schedule and the days of retention.
    Policy,
    /// How backups are restored to prove that they can be.
    Drill,
    /// Whom the API believes, and what it lets people do.
    Api,
}

/// The settings of one function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `AWS_REGION`: where this function runs.
    pub region: String,
    /// `AWS_ENDPOINT_URL`: a local AWS, instead of the real one.
    pub endpoint: Option<String>,
    /// `BACKUP_ACCOUNT_ID`: the account that the buckets must belong to.
    pub account: Option<String>,
    /// `BACKUP_SOURCE`: the name of the source.
    pub source: String,
    /// `BACKUP_SCHEDULE`: when backups are made, in the words of EventBridge.
    pub schedule: Option<Schedule>,
    /// `BACKUP_RETENTION_DAYS`: how long a backup is kept.
    pub retention_days: Option<u32>,
    /// `BACKUP_KEEP_…`: what is kept beyond that.
    pub keep: Keep,
    /// `BACKUP_METRICS_NAMESPACE`: where CloudWatch keeps the numbers.
    pub metrics_namespace: String,
    /// `BACKUP_VERIFY_DAYS`: days in which everything is read back once.
    pub verify_days: u32,
    /// `BACKUP_SESSIONS`: sessions that copy at the same time.
    pub sessions: usize,
    /// `BACKUP_COMPRESSION_LEVEL`: the zstd level.
    pub compression_level: i32,
    /// `BACKUP_SEGMENT_BLOCKS`: blocks of a table that make a segment.
    pub segment_blocks: u32,
    /// `BACKUP_INCREMENTAL`: whether segments of earlier backups may be used again.
    pub incremental: bool,
    /// `BACKUP_FULL_EVERY_DAYS`: a segment is read again when it was not read for so many days.
    pub full_every_days: u32,
    /// `BACKUP_POLICIES`: the file that says what is done with each kind of data, as it was read.
    pub policies: Arc<Policies>,
    /// `BACKUP_QUEUE_URL`: where the rest of a backup is put that does not fit into one invocation.
    pub queue: Option<String>,
    /// `BACKUP_RESTORE_QUEUE_URL`: where restores that were asked for wait for `restore`.
    pub restore_queue: Option<String>,
    /// `BACKUP_PRUNE_QUEUE_URL`: where cleanups that were asked for wait for `prune`.
    pub prune_queue: Option<String>,
    /// `BACKUP_SECOND_…`: a second way to open what is sealed.
    pub second_key: Option<SecondKeySetting>,
    /// Who is told what happened.
    pub listeners: ListenerSettings,
    /// `BACKUP_FORMER_KEY_IDS`: keys that open what they sealed, and seal nothing any more.
    pub former_keys: Vec<KeyArn>,
    /// `BACKUP_PG_BIN`: where `pg_dump` is.
    pub pg_bin: PathBuf,
    /// `BACKUP_TLS_ROOTS`: a PEM file of the authorities that a database's certificate may come from.
    pub tls_roots: Option<PathBuf>,
    vaults: Option<[VaultPlace; 3]>,
    key: Option<KeyArn>,
    table: Option<String>,
    database: Option<DatabaseAddress>,
    storage: Option<StorageSetting>,
    drill: Option<DrillSettings>,
    api: Option<ApiSettings>,
    targets: Vec<(Environment, DatabaseAddress)>,
    target_storages: Vec<(Environment, StorageSetting)>,
}

const QUEUE_EXAMPLE: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/acme-backup-orders";

impl Settings {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_environment(needs: &[Need]) -> Result<Self> {
        Self::parse(&variable, needs)
    }

    /// Reads the settings from wherever `variable` finds them.
    ///
    /// # Errors
    /// `Invalid`, naming every variable that is missing or wrong, with an example of a right value.
    pub fn parse(variable: &dyn Fn(&str) -> Option<String>, needs: &[Need]) -> Result<Self> {
        let mut r = Reader::new(variable);
        r.required("BACKUP_PROVIDER", "aws", |v| if v == "aws" { Ok(()) } else { Err("must be aws".into()) });
        let region = r.required("AWS_REGION", "eu-west-1", rules::region);
        let policy = needs.contains(&Need::Policy);
        let settings = Self {
            region: region.unwrap_or_default(),
            endpoint: r.optional("AWS_ENDPOINT_URL", "http://127.0.0.1:4566", rules::endpoint),
            account: r.optional("BACKUP_ACCOUNT_ID", "123456789012", rules::account),
            source: r
                .optional("BACKUP_SOURCE", "database", rules::source_name)
                .unwrap_or_else(|| "database".to_owned()),
            schedule: r.either(policy, "BACKUP_SCHEDULE", "cron(0 3 * * ? *)", rules::schedule),
            retention_days: r.either(policy, "BACKUP_RETENTION_DAYS", "35", |v| rules::number(v, 1..=36_500)),
            keep: groups::keep(&mut r),
            metrics_namespace: r
                .optional("BACKUP_METRICS_NAMESPACE", "gasrapido", rules::source_name)
                .unwrap_or_else(|| "backup".to_owned()),
            verify_days: r.or("BACKUP_VERIFY_DAYS", "30", 30, |v| rules::number(v, 1..=366)),
            sessions: r.or("BACKUP_SESSIONS", "2", 2, |v| rules::number(v, limits::SESSIONS)),
            compression_level: r
                .or("BACKUP_COMPRESSION_LEVEL", "1", 1, |v| rules::number(v, limits::COMPRESSION_LEVELS)),
            segment_blocks: r
                .or("BACKUP_SEGMENT_BLOCKS", "512", limits::SEGMENT_BLOCKS, |v| rules::number(v, 16..=131_072)),
            incremental: r.or("BACKUP_INCREMENTAL", "on", true, rules::on_or_off),
            full_every_days: r.or("BACKUP_FULL_EVERY_DAYS", "30", 30, |v| rules::number(v, 1..=3_650)),
            policies: Arc::new(r.or("BACKUP_POLICIES", "/opt/etc/policies.json", Policies::default(), rules::policies)),
            queue: r.optional("BACKUP_QUEUE_URL", QUEUE_EXAMPLE, rules::endpoint),
            restore_queue: r.optional("BACKUP_RESTORE_QUEUE_URL", QUEUE_EXAMPLE, rules::endpoint),
            prune_queue: r.optional("BACKUP_PRUNE_QUEUE_URL", QUEUE_EXAMPLE, rules::endpoint),
            pg_bin: r.or("BACKUP_PG_BIN", "/opt/bin", PathBuf::from("/opt/bin"), rules::absolute_path),
            tls_roots: r.optional("BACKUP_TLS_ROOTS", "/opt/etc/supabase-ca.pem", rules::absolute_path),
            vaults: needs.contains(&Need::Vaults).then(|| groups::vaults(&mut r)).flatten(),
            second_key: groups::second_key(&mut r),
            listeners: groups::listeners(&mut r),
            former_keys: groups::former_keys(&mut r),
            key: needs.contains(&Need::Key).then(|| groups::key(&mut r)).flatten(),
            table: groups::table(&mut r, needs.contains(&Need::Catalog)),
            database: needs.contains(&Need::Source).then(|| groups::database(&mut r)).flatten(),
            storage: needs.contains(&Need::Source).then(|| groups::storage(&mut r, "BACKUP")).flatten(),
            target_storages: if needs.contains(&Need::Target) { groups::target_storages(&mut r) } else { Vec::new() },
            api: needs.contains(&Need::Api).then(|| api::api(&mut r)),
            drill: needs.contains(&Need::Drill).then(|| groups::drill(&mut r)),
            targets: if needs.contains(&Need::Target) { groups::targets(&mut r) } else { Vec::new() },
        };
        r.finish(settings)
    }

    /// `BACKUP_BUCKET_…` and `BACKUP_REGION_…`: the three vaults, primary first.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`Need::Vaults`].
    pub fn vaults(&self) -> Result<&[VaultPlace; 3]> {
        self.vaults.as_ref().ok_or_else(|| unneeded("the vaults"))
    }

    /// How long backups are kept: the days, or what a class of the policies asks for if that is longer, and what is kept beyond.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`Need::Policy`].
    pub fn retention(&self) -> Result<RetentionPolicy> {
        let days = self.retention_days.ok_or_else(|| unneeded("the retention"))?;
        let Keep { last, daily, weekly, monthly, yearly, at_least } = self.keep;
        let days = days.max(self.policies.keep_days());
        Ok(RetentionPolicy { days, last, daily, weekly, monthly, yearly, keep_at_least: at_least })
    }

    /// `BACKUP_ENCRYPTION_KEY_ID`: the key, in the region that the setting names.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`Need::Key`].
    pub fn key(&self) -> Result<&KeyArn> {
        self.key.as_ref().ok_or_else(|| unneeded("the encryption key"))
    }

    /// `BACKUP_TABLE`: the catalog's table.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`Need::Catalog`].
    pub fn table(&self) -> Result<&str> {
        self.table.as_deref().ok_or_else(|| unneeded("the catalog"))
    }

    /// `BACKUP_DATABASE_…`: the database that is backed up.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`Need::Source`].
    pub fn database(&self) -> Result<&DatabaseAddress> {
        self.database.as_ref().ok_or_else(|| unneeded("the source"))
    }

    /// `BACKUP_DRILL_…`: how backups are restored to prove that they can be.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`Need::Drill`].
    pub fn drill(&self) -> Result<&DrillSettings> {
        self.drill.as_ref().ok_or_else(|| unneeded("the drill"))
    }

    /// `BACKUP_AUTH_…` and what the API lets people do.
    ///
    /// # Errors
    /// `Internal` when the settings were read without [`Need::Api`].
    pub fn api(&self) -> Result<&ApiSettings> {
        self.api.as_ref().ok_or_else(|| unneeded("the API"))
    }

    /// `BACKUP_STORAGE_…`: the objects that are backed up with the database.
    pub fn storage(&self) -> Option<&StorageSetting> {
        self.storage.as_ref()
    }

    /// `BACKUP_TARGET_…_STORAGE_…`: where an environment's objects are restored to.
    pub fn target_storage(&self, environment: Environment) -> Option<&StorageSetting> {
        self.target_storages.iter().find(|(e, _)| *e == environment).map(|(_, setting)| setting)
    }

    /// `BACKUP_TARGET_…`: the database that an environment is restored into.
    ///
    /// # Errors
    /// `Invalid` when none is set for that environment.
    pub fn target(&self, environment: Environment) -> Result<&DatabaseAddress> {
        let found = self.targets.iter().find(|(e, _)| *e == environment).map(|(_, address)| address);
        found.ok_or_else(|| {
            let name = environment.as_str().to_uppercase();
            Error::invalid(format!(
                "there is no database to restore `{environment}` into; set BACKUP_TARGET_{name}_SECRET_ARN (or …_URL) of this function"
            ))
        })
    }
}

fn unneeded(what: &str) -> Error {
    Error::internal(format!("this function uses the settings of {what}, and did not state that it needs them"))
}

/// `RUST_LOG`: what is logged. Apart from the settings, because what is wrong with those is logged too.
pub(crate) fn log_filter() -> Option<String> {
    variable("RUST_LOG").map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
