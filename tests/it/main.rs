//! The integration tests: one binary of modules, over real parts.

mod local_aws;
mod postgres;
mod pooler;
mod deployment;
mod cloud;
mod lossy;
mod adapters;
mod conformance;
mod envelope;
mod scene;
mod faults;
mod incremental;
mod reuse;
mod histories;
mod golden;
mod layout;
mod backup;
mod replicate;
mod restore;
mod versions;
mod project;
mod scope;
mod policies;
mod storage;
mod round_trip;
mod end_to_end;
