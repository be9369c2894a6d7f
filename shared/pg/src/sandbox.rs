//! A PostgreSQL server for one drill, which this process starts in its own temporary storage. It listens on a socket in a folder
//! that nobody else may enter, and on no network.
//!
//! Always holds: whatever it held is gone when it ends. PostgreSQL refuses to run as root: started by root, it is run by another user.

mod process;
mod standing;

pub use standing::PgStandingServer;

use crate::address::{Address, Road};
use crate::clients::Clients;
use crate::load::{PgTarget, TargetSettings};
use crate::project::OWN_ROLES;
use crate::session;
use crate::wire::{parsed, text};
use engine::error::{Error, Result, ResultExt};
use engine::sandbox::{Answer, Constraints, Sandbox, SandboxServer};
use engine::target::Target;
use process::Server;
use std::path::PathBuf;
use std::sync::Arc;

/// The database that is restored into.
const DATABASE: &str = "drill";
const SUPERUSER: &str = "postgres";

/// How such a server is started.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// The folder of PostgreSQL's programs, libraries and shared files.
    pub server: PathBuf,
    /// Where its files are while it runs.
    pub folder: PathBuf,
    /// Bytes of a database for which there is room.
    pub room_bytes: u64,
    /// `pg_dump`, which reads the schema back.
    pub clients: Clients,
    /// Sessions that load at once.
    pub sessions: usize,
}

/// Starts servers in temporary storage.
pub struct PgSandbox {
    settings: SandboxSettings,
}

impl PgSandbox {
    /// Starts nothing yet.
    pub fn new(settings: SandboxSettings) -> Self {
        Self { settings }
    }
}

#[async_trait::async_trait]
impl Sandbox for PgSandbox {
    fn kind(&self) -> &'static str {
        "a PostgreSQL of its own"
    }

    fn room_bytes(&self) -> u64 {
        self.settings.room_bytes
    }

    async fn start(&self) -> Result<Box<dyn SandboxServer>> {
        let (server, password) = Server::start(&self.settings.server, &self.settings.folder).await?;
        let address = Address {
            road: Road::Socket { folder: server.socket_folder().to_owned(), port: process::PORT },
            user: SUPERUSER.to_owned(),
            password: Some(password),
            database: SUPERUSER.to_owned(),
            roots: None,
        };
        let mut wire = server.connect(&address).await?;
        // The source's collations may not be here: what sorts by them is made anew, and its bytes are the same.
        wire.query(&format!("create database {DATABASE} template template0 encoding 'UTF8'"))
            .await
            .context("make the database")?;
        // What belongs to a project's own roles, or is granted to them, is restored too.
        for role in OWN_ROLES {
            wire.query(&format!("create role {role} nologin")).await.context("make the roles of a project")?;
        }
        let address = address.with_database(DATABASE);
        let (clients, sessions) = (self.settings.clients.clone(), self.settings.sessions);
        Ok(Box::new(Running { database: Database { address, clients, sessions }, server }))
    }
}

/// A server of its own, which runs.
struct Running {
    database: Database,
    server: Server,
}

#[async_trait::async_trait]
impl SandboxServer for Running {
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
        self.server.stop().await
    }
}

/// The database of a drill, wherever it is.
struct Database {
    address: Address,
    clients: Clients,
    sessions: usize,
}

impl Database {
    fn target(&self) -> Arc<dyn Target> {
        Arc::new(PgTarget::new(TargetSettings {
            address: self.address.clone(),
            clients: self.clients.clone(),
            sessions: self.sessions,
        }))
    }

    async fn ask(&self, query: &str, seconds: u32) -> Result<Answer> {
        let mut wire = session::connect(&self.address).await?;
        wire.query(&format!("set statement_timeout = '{seconds}s'; begin transaction read only")).await?;
        wire.query(query).await
    }

    async fn constraints(&self) -> Result<Constraints> {
        let mut wire = session::connect(&self.address).await?;
        let rows = wire
            .query(
                "select count(*) filter (where convalidated),
                    coalesce(array_to_json(array_agg(format('%s on %s', conname, conrelid::regclass)) filter (where not convalidated)), '[]')
                from pg_catalog.pg_constraint where conrelid <> 0 and connamespace <> 'pg_catalog'::regnamespace",
            )
            .await?;
        let row = rows.first().ok_or_else(|| Error::internal("the server counted nothing"))?;
        let not_validated = serde_json::from_str(text(row, 1)?)
            .map_err(|e| Error::internal("the names of constraints are no JSON").with_source(e))?;
        Ok(Constraints { validated: parsed(row, 0)?, not_validated })
    }
}
