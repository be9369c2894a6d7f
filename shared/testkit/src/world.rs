//! A whole deployment in memory: three vaults, one key in three regions, a catalog, a clock and a seed.

use crate::catalog::MemoryCatalog;
use crate::clock::ManualClock;
use crate::entropy::SeededEntropy;
use crate::faults::FaultScript;
use crate::keys::MemoryKeys;
use crate::queue::MemoryQueue;
use crate::vault::MemoryVault;
use engine::catalog::Catalog;
use engine::clock::{Clock, Timestamp};
use engine::error::Result;
use engine::keyring::{Keyring, SecondKey};
use engine::queue::{BackupOrder, PruneOrder, RestoreOrder};
use engine::vault::{VaultPlace, VaultRole, Vaults};
use engine::versions::Versions;
use std::fmt;
use std::sync::Arc;

/// The regions of a world, primary first.
pub const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-1"];

/// What a world's vaults take is locked for a week.
pub const LOCK_S: i64 = 7 * 24 * 60 * 60;

/// A deployment in memory. All its ports share one count of calls, one script of faults and one seed.
#[derive(Clone)]
pub struct World {
    /// The time: moves itself when everybody waits for it.
    pub clock: Arc<ManualClock>,
    /// The randomness of the operations.
    pub entropy: Arc<SeededEntropy>,
    /// What fails, and what was called.
    pub faults: FaultScript,
    /// The vaults, primary first.
    pub vaults: [Arc<MemoryVault>; 3],
    /// The key in the region of each vault.
    pub keys: [Arc<MemoryKeys>; 3],
    /// Keys that it had before.
    pub former: Vec<[Arc<MemoryKeys>; 3]>,
    /// A second key, if there is one.
    pub second: Option<Arc<dyn SecondKey>>,
    /// The catalog.
    pub catalog: Arc<MemoryCatalog>,
    /// The orders that wait for `backup`.
    pub queue: Arc<MemoryQueue<BackupOrder>>,
    /// The orders that wait for `restore`.
    pub restores: Arc<MemoryQueue<RestoreOrder>>,
    /// The orders that wait for `prune`.
    pub prunes: Arc<MemoryQueue<PruneOrder>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("vaults", &self.vaults).finish_non_exhaustive()
    }
}

impl World {
    /// A new world; the same seed gives the same one.
    ///
    /// # Errors
    /// Never.
    pub fn new(seed: u64) -> Result<Self> {
        let faults = FaultScript::new();
        let clock = Arc::new(ManualClock::stepping());
        let vault = |place| MemoryVault::new(place, faults.clone()).with_locks(Arc::clone(&clock) as _, LOCK_S);
        let vaults = places().map(|place| Arc::new(vault(place)));
        Ok(Self {
            clock,
            entropy: Arc::new(SeededEntropy::new(seed)),
            keys: MemoryKeys::in_regions(!seed, REGIONS, &faults)?,
            former: Vec::new(),
            second: None,
            catalog: Arc::new(MemoryCatalog::new(faults.clone())),
            queue: Arc::new(MemoryQueue::new(faults.clone())),
            restores: Arc::new(MemoryQueue::new(faults.clone())),
            prunes: Arc::new(MemoryQueue::new(faults.clone())),
            vaults,
            faults,
        })
    }

    /// Gives it another key; the one that it had opens what it sealed.
    ///
    /// # Errors
    /// Never.
    pub fn change_key(&mut self, seed: u64) -> Result<()> {
        let keys = MemoryKeys::in_regions(seed, REGIONS, &self.faults)?;
        self.former.push(std::mem::replace(&mut self.keys, keys));
        Ok(())
    }

    /// The keys of a region.
    pub fn keyring(&self, region: usize) -> Arc<Keyring> {
        let former = self.former.iter().map(|keys| Arc::clone(&keys[region]) as _).collect();
        let keyring = Keyring::new(Arc::clone(&self.keys[region]) as _, Arc::clone(&self.entropy) as _);
        Arc::new(keyring.with_former(former).with_second(self.second.clone()))
    }

    /// The second key alone.
    pub fn second_keyring(&self) -> Arc<Keyring> {
        let keyring = Keyring::new(Arc::clone(&self.keys[0]) as _, Arc::clone(&self.entropy) as _);
        Arc::new(keyring.with_second(self.second.clone()).opening_with_second())
    }

    /// Somebody else holds a lease.
    ///
    /// # Panics
    /// When it is held already.
    pub async fn catalog_lease(&self, name: &str, holder: &str, until: Timestamp) {
        let taken = self.catalog.acquire(name, holder, self.clock.now(), until).await;
        assert!(taken.is_ok(), "{taken:?}");
    }

    /// What the vaults hold, as `prune` takes it.
    pub fn versions(&self) -> [Arc<dyn Versions>; 3] {
        self.vaults.clone().map(|vault| vault as _)
    }

    /// The vaults, as the operations take them.
    pub fn ports(&self) -> Vaults {
        Vaults::new(self.vaults.clone().map(|vault| vault as _))
    }
}

/// Where the vaults of a world are, primary first.
pub fn places() -> [VaultPlace; 3] {
    let place = |role: VaultRole, region: &str| VaultPlace {
        role,
        region: region.to_owned(),
        bucket: format!("backup-{role}"),
    };
    let [primary, secondary, tertiary] = VaultRole::ALL;
    [place(primary, REGIONS[0]), place(secondary, REGIONS[1]), place(tertiary, REGIONS[2])]
}
