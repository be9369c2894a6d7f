//! A whole deployment in memory: three vaults, one key in three regions, a catalog, a clock and a seed.

use crate::catalog::MemoryCatalog;
use crate::clock::ManualClock;
use crate::entropy::SeededEntropy;
use crate::faults::FaultScript;
use crate::keys::MemoryKeys;
use crate::queue::MemoryQueue;
use crate::vault::MemoryVault;
use engine::error::Result;
use engine::vault::{VaultPlace, VaultRole, Vaults};
use std::sync::Arc;

/// The regions of a world, primary first.
pub const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-1"];

/// A deployment in memory. All its ports share one count of calls, one script of faults and one seed.
#[derive(Clone, Debug)]
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
    /// The catalog.
    pub catalog: Arc<MemoryCatalog>,
    /// The orders that wait.
    pub queue: Arc<MemoryQueue>,
}

impl World {
    /// A new world; the same seed gives the same one.
    ///
    /// # Errors
    /// Never.
    pub fn new(seed: u64) -> Result<Self> {
        let faults = FaultScript::new();
        let vaults = places().map(|place| Arc::new(MemoryVault::new(place, faults.clone())));
        Ok(Self {
            clock: Arc::new(ManualClock::stepping()),
            entropy: Arc::new(SeededEntropy::new(seed)),
            keys: MemoryKeys::in_regions(!seed, REGIONS, &faults)?,
            catalog: Arc::new(MemoryCatalog::new(faults.clone())),
            queue: Arc::new(MemoryQueue::new(faults.clone())),
            vaults,
            faults,
        })
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
