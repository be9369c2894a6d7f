//! What all requests share: the ports, and the rules of the house.

use crate::answer::BackupConfig;
use crate::person::Tokens;
use crate::problem::Problem;
use aws::settings::Settings;
use engine::catalog::Catalog;
use engine::clock::{Clock, Entropy};
use engine::environment::Environment;
use engine::error::{Error, Result};
use engine::ops::watch::Targets;
use engine::queue::{BackupOrder, PruneOrder, Queue, RestoreOrder};
use engine::retention::RetentionPolicy;
use engine::vault::VaultPlace;
use std::sync::Arc;

/// The function, as it stays between requests. It has no vault and no key.
pub(crate) struct Api {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) backups: Option<Arc<dyn Queue<BackupOrder>>>,
    pub(crate) restores: Option<Arc<dyn Queue<RestoreOrder>>>,
    pub(crate) prunes: Option<Arc<dyn Queue<PruneOrder>>>,
    /// Nobody is let in without.
    pub(crate) tokens: Option<Tokens>,
    pub(crate) house: House,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// The rules of the house.
#[derive(Clone, Debug)]
pub(crate) struct House {
    /// The name of the source.
    pub(crate) source: String,
    pub(crate) places: [VaultPlace; 3],
    pub(crate) retention: RetentionPolicy,
    /// What is expected of the backups.
    pub(crate) expected: Targets,
    /// The environments that can be restored into.
    pub(crate) targets: Vec<Environment>,
    /// Requests of one person that change anything.
    pub(crate) writes_a_minute: u32,
    /// How long a second person may consent to a restore into production; none needs to without.
    pub(crate) approval_s: Option<i64>,
    pub(crate) config: BackupConfig,
}

impl House {
    pub(crate) fn of(settings: &Settings) -> Result<Self> {
        let (api, places) = (settings.api()?, settings.vaults()?.clone());
        let schedule = settings.schedule.clone().ok_or_else(|| Error::internal("the schedule was not read"))?;
        let [primary, secondary, tertiary] = &places;
        Ok(Self {
            config: BackupConfig {
                primary_bucket: primary.bucket.clone(),
                secondary_bucket: secondary.bucket.clone(),
                tertiary_bucket: tertiary.bucket.clone(),
                encryption_key_id: settings.key()?.to_string(),
                region: primary.region.clone(),
                backup_schedule: schedule.to_string(),
                retention_days: settings.retention_days.unwrap_or_default(),
            },
            source: settings.source.clone(),
            retention: settings.retention()?,
            expected: Targets {
                schedule,
                backup_age_max_s: i64::from(api.backup_age_max_hours) * 3_600,
                drill_age_max_s: i64::from(api.drill_age_max_hours) * 3_600,
            },
            targets: api.targets.clone(),
            writes_a_minute: api.writes_a_minute,
            approval_s: api.approval_minutes.map(|minutes| i64::from(minutes) * 60),
            places,
        })
    }
}

/// A queue that must be there.
pub(crate) fn required<Q: ?Sized>(queue: &Option<Arc<Q>>) -> std::result::Result<&Q, Problem> {
    queue.as_deref().ok_or_else(|| Problem::unavailable("this deployment has no queue for that; deploy it again"))
}
