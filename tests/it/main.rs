//! The integration tests: one binary of modules, over real parts.

mod local_aws;
mod postgres;
mod deployment;
mod envelope;
mod faults;
mod round_trip;
