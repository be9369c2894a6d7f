//! The ports of the engine over AWS: S3, KMS, DynamoDB, SQS, SNS, EventBridge, Secrets Manager, the S3 endpoint of Supabase Storage, the machine's clock and randomness.
//!
//! The only crate that knows an AWS SDK, and the only one that reads the environment ([`settings`]).
//!
//! Always holds: an error names the service, the operation, the code and the request, and never what was sent or received;
//! each vault and each key is spoken to in its own region.

pub mod settings;
pub mod telemetry;
pub mod metrics;
pub mod machine;
pub mod key_arn;

mod errors;
mod frames;
mod http;
pub mod vault;
pub mod storage;
pub mod keys;
pub mod second_key;
pub mod catalog;
pub mod secrets;
pub mod queue;
pub mod listeners;
pub mod issuer_keys;
pub mod clients;
