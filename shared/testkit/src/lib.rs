//! What tests need instead of the outside world: in-memory ports, a clock that is moved by hand, entropy from a seed, a
//! script of faults, and the suites that every adapter of a port must pass.
//!
//! Always holds: the same seed and the same calls give the same bytes, ids and instants. An in-memory port and its real
//! adapter pass the same suite ([`conformance`]), so what is proven with one holds with the other.
//!
//! Never: ships. Only tests depend on this crate.

pub mod clock;
pub mod entropy;
pub mod faults;
pub mod vault;
pub mod keys;
pub mod catalog;
pub mod queue;
pub mod storage;
pub mod source;
pub mod target;
pub mod sandbox;
pub mod world;
pub mod conformance;

pub use catalog::MemoryCatalog;
pub use clock::{ManualClock, SlowClock};
pub use entropy::SeededEntropy;
pub use faults::{Call, FaultScript, When};
pub use keys::{KeyState, MemoryKeys};
pub use queue::MemoryQueue;
pub use sandbox::MemorySandbox;
pub use source::MemorySource;
pub use storage::MemoryStorage;
pub use target::MemoryTarget;
pub use vault::MemoryVault;
pub use world::World;

#[cfg(test)]
mod tests;

/// The guard of a mutex, whether or not a test panicked while it held it.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
