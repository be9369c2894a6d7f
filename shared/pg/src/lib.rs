//! PostgreSQL as a source and as a target. The only crate that speaks its protocol.
//!
//! Always holds: one TLS implementation and one set of roots, for our own sessions and for `pg_dump`, which talks
//! to a local socket that is forwarded; every session is pinned to the same settings, so that a row has one
//! text. No error holds a row, a password or a connection string.

pub mod address;
mod errors;
mod tls;
mod wire;
mod session;
mod forward;
mod clients;
pub mod archive;
mod project;
mod describe;
mod capture;
mod load;
mod sandbox;

pub use address::Address;
pub use capture::{PgSource, SourceSettings};
pub use clients::Clients;
pub use load::{PgTarget, TargetSettings};
pub use sandbox::{PgSandbox, PgStandingServer, SandboxSettings};
