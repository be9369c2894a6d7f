//! The engine: the words, the ports and the operations of a backup.
//!
//! Modules are declared from the ground up, in the order in which data flows through them; a module uses only modules
//! declared above it. The engine knows no AWS SDK, no Postgres client, no clock and no environment: those come in
//! through the ports ([`keyring::KeyService`], [`vault::Vault`], [`catalog::Catalog`], [`source::Source`],
//! [`target::Target`], [`sandbox::Sandbox`], [`clock::Clock`], [`clock::Entropy`]).

// The ground.
pub mod error;
pub mod limits;
pub mod clock;
pub mod id;
pub mod environment;
pub mod schedule;
// What may be stored, and how it is transformed.
pub mod stage;
pub mod compress;
pub mod envelope;
pub mod keyring;
pub mod message;
pub mod layout;
pub mod object;
// The ports on the outside world.
pub mod catalog;
pub mod queue;
pub mod claim;
pub mod quota;
pub mod audit;
pub mod vault;
pub mod versions;
pub mod digest;
pub mod storage;
pub mod source;
pub mod scope;
pub mod policy;
pub mod mask;
pub mod target;
pub mod sandbox;
// What a snapshot is.
pub mod extent;
pub mod segment;
pub mod pack;
mod packing;
pub mod blob;
pub mod manifest;
pub mod inventory;
pub mod contents;
pub mod moves;
// What of it may go, and what may be used again.
pub mod retention;
pub mod checkpoint;
pub mod reuse;
// What the functions do.
pub mod ops;
