//! All that the benchmark knows of the product: how its operations are put together, and what they measure of themselves.
//!
//! The same adapters as in the functions (PostgreSQL, S3 over HTTP), with two exceptions: the key and the catalog are in
//! memory, because neither moves a row. A seed gives the same key to every process.

use crate::Result;
use crate::measure::own_peak_bytes;
use aws::clients::{Clients, Credentials, loader};
use aws::machine::{SystemClock, SystemEntropy};
use aws::settings::{Need, Settings};
use engine::catalog::Trigger;
use engine::keyring::Keyring;
use engine::limits::SEGMENT_BLOCKS;
use engine::ops::backup::{Backup, BackupOutcome, BackupRequest, BackupSettings};
use engine::ops::restore::{Restore, Selection};
use engine::queue::BackupOrder;
use engine::source::Source;
use engine::vault::Vaults;
use pg::{Address, Clients as PgClients, PgSource, PgTarget, SourceSettings, TargetSettings};
use serde::{Deserialize, Serialize};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{FaultScript, MemoryCatalog, MemoryKeys};

/// Copy sessions of a backup unless a figure says otherwise, loading sessions of a restore.
pub(crate) const SESSIONS: usize = 2;
/// Where the S3 server keeps these buckets' objects, as folders.
pub(crate) const BUCKETS: [&str; 3] = ["bench-primary", "bench-secondary", "bench-tertiary"];
/// What the S3 server lets in.
pub(crate) const CREDENTIAL: &str = "bench";

const DATABASE: &str = "BENCH_DATABASE_URL";
const ENDPOINT: &str = "BENCH_S3_ENDPOINT";
const CLIENTS: &str = "BENCH_PG_BIN";
const RESULT: &str = "BENCH_RESULT";
const COPY_SESSIONS: &str = "BENCH_SESSIONS";
const KEY_SEED: u64 = 1;

/// What a backup or a restore says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) rows: u64,
    /// Bytes of rows, before compression.
    pub(crate) bytes: u64,
    /// Bytes that are stored, by this backup and by earlier ones whose rows it uses; 0 for a restore.
    pub(crate) stored: u64,
    /// Segments that were read; 0 for a restore.
    pub(crate) segments_copied: u64,
    /// Segments that earlier backups had stored; 0 for a restore.
    pub(crate) segments_reused: u64,
    /// Why a backup read everything, if it did.
    pub(crate) full_reason: Option<String>,
    /// The most memory that the process ever held.
    pub(crate) peak_bytes: u64,
}

impl Outcome {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }
}

/// The command that runs `backup` or `restore` in a process of its own.
pub(crate) fn command(
    verb: &str,
    database: &str,
    endpoint: &str,
    clients: &Path,
    result: &Path,
    copy_sessions: usize,
) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(verb).env(DATABASE, database).env(ENDPOINT, endpoint).env(CLIENTS, clients).env(RESULT, result);
    command.env(COPY_SESSIONS, copy_sessions.to_string()).envs(allocator_settings());
    Ok(command)
}

/// What the template sets of glibc's allocator for every function.
fn allocator_settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("../../infra/backup.yaml").lines();
    let set = lines.filter_map(|line| line.trim().split_once(": ")).filter(|(name, _)| name.starts_with("MALLOC_"));
    set.map(|(name, value)| (name, value.trim_matches('"')))
}

/// `bench backup`: one backup, which uses what the store holds of earlier ones.
pub(crate) async fn back_up() -> Result<()> {
    let (settings, vaults) = deployment().await?;
    let sessions = env::var(COPY_SESSIONS)?.parse()?;
    let backup = Backup {
        vaults,
        keyring: keyring(&settings)?,
        catalog: Arc::new(MemoryCatalog::new(FaultScript::new())),
        source: Arc::new(source(&env::var(DATABASE)?, &env::var(CLIENTS)?, sessions)?),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        settings: BackupSettings {
            source: settings.source.clone(),
            sessions,
            compression_level: settings.compression_level,
            segment_blocks: settings.segment_blocks,
            incremental: settings.incremental,
            full_every_days: Some(settings.full_every_days),
            policies: Arc::clone(&settings.policies),
        },
        storage: None,
        queue: None,
    };
    let outcome = backup.run(BackupRequest { order: BackupOrder::new(Trigger::Manual), deadline: None }).await?;
    let BackupOutcome::Committed(record) = outcome else { return Err("another backup runs".into()) };
    let summary = record.summary.as_ref().ok_or("the backup has no summary")?;
    tell(Outcome {
        rows: summary.rows,
        bytes: summary.bytes,
        stored: summary.size,
        segments_copied: record.progress.segments.segments_copied,
        segments_reused: record.progress.segments.segments_reused,
        full_reason: record.full_reason.clone(),
        peak_bytes: own_peak_bytes()?,
    })
}

/// `bench restore`: the newest backup into an empty database, with its proof.
pub(crate) async fn restore() -> Result<()> {
    let (settings, vaults) = deployment().await?;
    let target = TargetSettings {
        address: Address::parse(&env::var(DATABASE)?, None)?,
        clients: PgClients::new(env::var(CLIENTS)?),
        sessions: SESSIONS,
    };
    let restore = Restore {
        vault: Arc::clone(vaults.primary()),
        keyring: keyring(&settings)?,
        target: Arc::new(PgTarget::new(target)),
        storage: None,
        sessions: SESSIONS,
        policies: Arc::clone(&settings.policies),
        clock: Arc::new(SystemClock),
        catalog: None,
        orders: None,
        counters: Arc::default(),
        journal: None,
    };
    let restored = restore.run(Selection::Newest).await?;
    let peak_bytes = own_peak_bytes()?;
    tell(Outcome { rows: restored.rows, bytes: restored.bytes, peak_bytes, ..Outcome::default() })
}

/// `copy` statements for exactly the tables and columns that a backup reads.
pub(crate) async fn copy_statements(database: &str, clients: &Path) -> Result<Vec<String>> {
    let capture = source(database, clients_said(clients)?, 1)?.capture().await?;
    let statement = |table: &engine::source::Table| {
        let columns: Vec<String> = table.columns.iter().map(|c| engine::source::quote_identifier(c)).collect();
        let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
        format!("copy {}{columns} to stdout;", table.quoted())
    };
    let statements = capture.description().tables.iter().map(statement).collect();
    capture.close().await?;
    Ok(statements)
}

/// The seconds until the server has told the fingerprints of a table, which must have rows, in one session.
pub(crate) async fn fingerprint_seconds(database: &str, clients: &Path, table: &str) -> Result<f64> {
    let capture = source(database, clients_said(clients)?, 1)?.capture().await?;
    let found = capture.description().tables.iter().find(|t| t.quoted() == table);
    let table = found.ok_or_else(|| format!("there is no table {table}"))?;
    let begun = Instant::now();
    let prints = capture.fingerprints(table, SEGMENT_BLOCKS).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let rows: u64 = prints.iter().map(|print| print.fingerprint.rows).sum();
    capture.close().await?;
    match rows {
        0 => Err("the server saw no rows to fingerprint".into()),
        _ => Ok(seconds),
    }
}

fn clients_said(clients: &Path) -> Result<&str> {
    Ok(clients.to_str().ok_or("the folder of the clients is not UTF-8")?)
}

fn source(database: &str, clients: &str, sessions: usize) -> Result<PgSource> {
    Ok(PgSource::new(SourceSettings {
        address: Address::parse(database, None)?,
        clients: PgClients::new(PathBuf::from(clients)),
        sessions,
        lock_timeout: Duration::from_secs(30),
        owner: "bench".to_owned(),
    }))
}

async fn deployment() -> Result<(Arc<Settings>, Vaults)> {
    // As the functions do; the last run's log says how long each phase took.
    aws::telemetry::start();
    let endpoint = env::var(ENDPOINT)?;
    let variable = |name: &str| {
        let value = match name {
            "BACKUP_PROVIDER" => "aws",
            "AWS_REGION" => "eu-west-1",
            "AWS_ENDPOINT_URL" => endpoint.as_str(),
            "BACKUP_BUCKET_PRIMARY" => BUCKETS[0],
            "BACKUP_BUCKET_SECONDARY" => BUCKETS[1],
            "BACKUP_BUCKET_TERTIARY" => BUCKETS[2],
            _ => return None,
        };
        Some(value.to_owned())
    };
    let settings = Arc::new(Settings::parse(&variable, &[Need::Vaults])?);
    let credentials = Credentials::new(CREDENTIAL, CREDENTIAL, None, None, "bench");
    let config = loader(&settings).credentials_provider(credentials).load().await;
    let vaults = Clients::new(config, Arc::clone(&settings)).vaults()?;
    Ok((settings, vaults))
}

fn keyring(settings: &Settings) -> Result<Arc<Keyring>> {
    let [keys] = MemoryKeys::in_regions(KEY_SEED, [settings.region.as_str()], &FaultScript::new())?;
    Ok(Arc::new(Keyring::new(keys, Arc::new(SystemEntropy))))
}

fn tell(outcome: Outcome) -> Result<()> {
    Ok(std::fs::write(env::var(RESULT)?, serde_json::to_vec(&outcome)?)?)
}
