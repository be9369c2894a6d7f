//! What every adapter of a port must do, asserted: the same suites run against the in-memory ports and the real ones.
//!
//! A suite panics at the first thing that is not as the port's documentation says. It makes its own ids, which nobody used
//! before, so it may be run again over the same bucket, key and table; it leaves behind what it wrote.

mod catalog;
mod keys;
mod lease;
mod sandbox;
mod storage;
mod vault;
mod versions;

pub use catalog::catalog;
pub use keys::{Unfaithful, keys};
pub use lease::leases;
pub use sandbox::sandbox;
pub use storage::storage;
pub use vault::vault;
pub use versions::versions;

use engine::error::{Error, ErrorKind};
use engine::id::{AttemptId, SnapshotId};

/// An id that nobody used before; later ones are greater.
#[allow(
    clippy::disallowed_methods,
    reason = "a suite that runs again over a real service must not meet what it wrote before"
)]
fn fresh() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn snapshot() -> SnapshotId {
    fresh().parse().expect("a fresh id is a backup id")
}

fn attempt() -> AttemptId {
    fresh().parse().expect("a fresh id is an attempt id")
}

/// The error of something that must fail in one way.
#[track_caller]
fn fails<T>(result: Result<T, Error>, kind: ErrorKind, what: &str) -> Error {
    match result {
        Ok(_) => panic!("{what} must fail as {kind}"),
        Err(e) => {
            assert_eq!(e.kind(), kind, "{what}: {e}");
            e
        }
    }
}
