//! What the backups take, and about what that costs. Pure, but for the listing.

use crate::catalog::{Collection, Record, RecordId};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{SnapshotId, UsageId};
use crate::inventory::Inventory;
use crate::layout::ObjectKey;
use crate::limits::USAGE_BACKUPS_KEPT;
use crate::vault::VaultPlace;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

const BYTES_A_GB: f64 = 1e9;
const DAY_MS: f64 = 86_400_000.0;

/// The price list: `prices.json` beside this file, with its date.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prices {
    /// As of when.
    pub date: String,
    /// From where.
    pub source: String,
    usd_a_gb_month: BTreeMap<String, f64>,
    elsewhere_usd_a_gb_month: f64,
}

impl Prices {
    /// Those that came with this version.
    ///
    /// # Errors
    /// `Internal` when the file is not as it must be; a test reads it.
    pub fn built_in() -> Result<Self> {
        serde_json::from_str(include_str!("prices.json"))
            .map_err(|e| Error::internal("the price list cannot be read").with_source(e))
    }

    /// US dollars a month for bytes that are stored in a region.
    pub fn storage(&self, region: &str, bytes: u64) -> f64 {
        let price = self.usd_a_gb_month.get(region).copied().unwrap_or(self.elsewhere_usd_a_gb_month);
        price * bytes as f64 / BYTES_A_GB
    }
}

/// What one vault holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultUsage {
    /// Where.
    #[serde(flatten)]
    pub place: VaultPlace,
    /// Objects, all versions.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// About what a month of that costs, in US dollars: storage alone, at the list price.
    pub usd_a_month: f64,
}

/// What one backup takes in each vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotUsage {
    /// The backup.
    pub backup: SnapshotId,
    /// Bytes of all its objects.
    pub bytes: u64,
    /// Of those, what no other backup needs: what would be free if it went.
    pub own_bytes: u64,
    /// Its share, where an object that several need is divided among them: these add up to what is needed at all.
    pub share_bytes: u64,
}

/// What everything takes at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRecord {
    /// Its id.
    pub id: UsageId,
    /// When.
    pub at: Timestamp,
    /// The vaults, primary first.
    pub vaults: Vec<VaultUsage>,
    /// The backups, oldest first; of very many the newest.
    pub backups: Vec<SnapshotUsage>,
    /// Bytes a day by which the primary vault grew since an earlier record, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub growth_bytes_a_day: Option<i64>,
    /// Bytes that it will hold in 30 days if that goes on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub forecast_bytes: Option<u64>,
    /// As of when the prices are.
    pub prices_of: String,
}

impl Record for UsageRecord {
    const COLLECTION: Collection = Collection::Usages;
    type Id = UsageId;

    fn id(&self) -> UsageId {
        self.id
    }
}

impl RecordId for UsageId {
    type Record = UsageRecord;
}

impl UsageRecord {
    /// US dollars a month, all vaults together.
    pub fn usd_a_month(&self) -> f64 {
        self.vaults.iter().map(|v| v.usd_a_month).sum()
    }

    /// Compares with an earlier one.
    pub(super) fn note_growth(&mut self, earlier: &Self) {
        let [Some(now), Some(then)] = [self, earlier].map(|r| r.vaults.first().map(|v| v.bytes)) else { return };
        let days = self.at.since(earlier.at) as f64 / DAY_MS;
        if days <= 0.0 {
            return;
        }
        let a_day = (now as f64 - then as f64) / days;
        self.growth_bytes_a_day = Some(a_day as i64);
        self.forecast_bytes = Some((now as f64 + 30.0 * a_day).max(0.0) as u64);
    }
}

/// Divides what inventories name among their backups. Keeps of each object its length and how many need it, and of each inventory
/// which objects these are.
#[derive(Default)]
pub(super) struct Attribution {
    places: HashMap<ObjectKey, u32>,
    objects: Vec<(u64, u64)>,
    backups: Vec<(SnapshotId, Vec<u32>)>,
}

impl Attribution {
    pub(super) fn add(&mut self, inventory: &Inventory) {
        let mut of = Vec::new();
        for object in inventory.objects() {
            let next = self.objects.len() as u32;
            let place = *self.places.entry(object.key).or_insert(next);
            if place == next {
                self.objects.push((object.length, 0));
            }
            self.objects[place as usize].1 += 1;
            of.push(place);
        }
        self.backups.push((inventory.snapshot, of));
    }

    /// Of the newest ones.
    pub(super) fn finish(self) -> Vec<SnapshotUsage> {
        let of = |(backup, objects): &(SnapshotId, Vec<u32>)| {
            let mut usage = SnapshotUsage { backup: *backup, bytes: 0, own_bytes: 0, share_bytes: 0 };
            for place in objects {
                let (length, users) = self.objects[*place as usize];
                usage.bytes += length;
                usage.own_bytes += if users == 1 { length } else { 0 };
                usage.share_bytes += length / users;
            }
            usage
        };
        let older = self.backups.len().saturating_sub(USAGE_BACKUPS_KEPT);
        self.backups[older..].iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_list_can_be_read_and_has_a_price_for_every_region() {
        let prices = Prices::built_in().expect("reads");
        assert_eq!(prices.date.len(), 10);
        assert!((prices.storage("eu-west-1", 100_000_000_000) - 2.3).abs() < 1e-9);
        assert!(prices.storage("mars-1", 1_000_000_000) > 0.02);
    }
}
