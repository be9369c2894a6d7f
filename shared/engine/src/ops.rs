//! The operations: what the functions do.

pub mod backup;
pub mod rebuild;
pub mod replicate;
pub mod restore;
pub mod rotate;
pub mod prune;
pub mod verify;
pub mod drill;
pub mod watch;
pub mod notify;
