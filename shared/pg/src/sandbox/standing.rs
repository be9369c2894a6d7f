//! A server that stands somewhere, for drills of what the function's own storage or server cannot take: a database is made in it for
//! each, and dropped.

use super::Database;
use crate::address::Address;
use crate::clients::Clients;
use crate::session;
use crate::wire::{Wire, text};
use engine::error::{Result, ResultExt};
use engine::sandbox::{Answer, Constraints, Sandbox, SandboxServer};
use engine::source::quote_identifier;
use engine::target::Target;
use std::sync::Arc;

/// Databases of drills begin with this, and with nothing else does one.
const PREFIX: &str = "backup_drill_";

/// Makes databases for drills in a server that stands.
pub struct PgStandingServer {
    address: Address,
    clients: Clients,
    sessions: usize,
}

impl PgStandingServer {
    /// Connects to nothing yet. The role must be allowed to make databases.
    pub fn new(address: Address, clients: Clients, sessions: usize) -> Self {
        Self { address, clients, sessions }
    }
}

#[async_trait::async_trait]
impl Sandbox for PgStandingServer {
    fn kind(&self) -> &'static str {
        "a database of its own in the server that was set up for drills"
    }

    fn room_bytes(&self) -> u64 {
        u64::MAX
    }

    async fn start(&self) -> Result<Box<dyn SandboxServer>> {
        let mut wire = session::connect(&self.address).await.context("connect to the server for drills")?;
        let left = wire
            .query(&format!("select datname from pg_database where datname like '{}%'", PREFIX.replace('_', r"\_")))
            .await?;
        for row in &left {
            drop_database(&mut wire, text(row, 0)?).await.context("remove what an earlier drill left")?;
        }
        let rows = wire.query("select to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS')").await?;
        let name = format!("{PREFIX}{}", rows.first().map_or(Ok("1"), |row| text(row, 0))?);
        wire.query(&format!("create database {} template template0 encoding 'UTF8'", quote_identifier(&name)))
            .await
            .context("make a database for the drill")?;
        let database = Database {
            address: self.address.with_database(&name),
            clients: self.clients.clone(),
            sessions: self.sessions,
        };
        Ok(Box::new(Made { database, server: self.address.clone(), name }))
    }
}

/// The database of one drill.
struct Made {
    database: Database,
    server: Address,
    name: String,
}

#[async_trait::async_trait]
impl SandboxServer for Made {
    fn target(&self) -> Arc<dyn Target> {
        self.database.target()
    }

    async fn ask(&self, query: &str, seconds: u32) -> Result<Answer> {
        self.database.ask(query, seconds).await
    }

    async fn constraints(&self) -> Result<Constraints> {
        self.database.constraints().await
    }

    async fn end(self: Box<Self>) -> Result<()> {
        drop_database(&mut session::connect(&self.server).await?, &self.name).await
    }
}

async fn drop_database(wire: &mut Wire, name: &str) -> Result<()> {
    wire.query(&format!("drop database if exists {} with (force)", quote_identifier(name))).await.map(|_| ())
}
