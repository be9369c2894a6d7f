//! The PostgreSQL that is backed up and restored into, started by the script that starts the developer's.

use crate::Result;
use crate::measure::worked_s;
use crate::options::Place;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A running server. Stopped, and its data deleted, with its guard.
pub(crate) struct Server {
    place: Place,
    url: String,
}

impl Server {
    pub(crate) fn start(place: &Place) -> Result<Self> {
        // What an interrupted run left behind.
        stop(place);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut start = Command::new(script(place));
        start.arg("start").arg("--bin").arg(&place.programs).arg("--data").arg(data(place));
        let said = output(start.args(["--port", &port.to_string()]), "start PostgreSQL")?;
        let url = said.lines().last().ok_or("PostgreSQL did not say where it is")?.trim().to_owned();
        Ok(Self { place: place.clone(), url })
    }

    /// The URL of a database, password included.
    pub(crate) fn url(&self, database: &str) -> String {
        let end = self.url.rfind('/').unwrap_or(self.url.len());
        format!("{}/{database}", &self.url[..end])
    }

    /// The URL without the password, and the password: a command line is open to all.
    pub(crate) fn address(&self, database: &str) -> Result<(String, String)> {
        let url = self.url(database);
        let parts = url.split_once('@').and_then(|(who, rest)| Some((who.rsplit_once(':')?, rest)));
        let ((who, password), rest) = parts.ok_or("PostgreSQL's URL has no password")?;
        Ok((format!("{who}@{rest}"), password.to_owned()))
    }

    /// One of PostgreSQL's programs, told which database.
    pub(crate) fn program(&self, name: &str, database: &str) -> Result<Command> {
        let (url, password) = self.address(database)?;
        let mut command = Command::new(self.place.programs.join(name));
        command.env("PGPASSWORD", password).args(["--dbname", &url]);
        Ok(command)
    }

    /// Runs a statement, outside of a transaction.
    pub(crate) fn sql(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = self.program("psql", database)?;
        psql.args(["-XAtq", "--set=ON_ERROR_STOP=1", "--command", statement]);
        Ok(output(&mut psql, statement)?.trim().to_owned())
    }

    /// Makes a database anew, empty.
    pub(crate) fn empty(&self, database: &str) -> Result<()> {
        self.drop(database)?;
        self.sql("postgres", &format!("create database {database} template template0"))?;
        Ok(())
    }

    pub(crate) fn drop(&self, database: &str) -> Result<()> {
        self.sql("postgres", &format!("drop database if exists {database} with (force)"))?;
        Ok(())
    }

    /// Makes a database with the sample project, of about so many megabytes.
    pub(crate) fn load(&self, database: &str, megabytes: u32) -> Result<()> {
        self.empty(database)?;
        let mut load = Command::new(self.place.root.join("infra/local/sample/load"));
        load.args(["--url", &self.url(database), "--mb", &megabytes.to_string(), "--psql"]);
        output(load.arg(self.place.programs.join("psql")), "load the sample")?;
        self.remember(database)?;
        // Or the first reader would pay for all others: it would write the hint bits.
        self.sql(database, "vacuum (analyze)")?;
        Ok(())
    }

    /// Lets a database remember its backups, as the script for the role does.
    fn remember(&self, database: &str) -> Result<()> {
        let script = std::fs::read_to_string(self.place.root.join("infra/sql/backup_role.sql"))?;
        let lineage = script.find("create schema").ok_or("infra/sql/backup_role.sql makes no schema")?;
        let (role, lineage) = script.split_at(lineage);
        if self.sql("postgres", "select count(*) from pg_roles where rolname = 'backup_reader'")? == "0" {
            self.sql("postgres", &role.replace(":password", "'bench'"))?;
        }
        self.sql(database, lineage)?;
        Ok(())
    }

    /// The bytes of a database on the disk, indexes included.
    pub(crate) fn bytes(&self, database: &str) -> Result<u64> {
        Ok(self.sql(database, "select pg_database_size(current_database())")?.parse()?)
    }

    /// Seconds of work of the server, of sessions that have ended.
    pub(crate) fn worked_s(&self) -> f64 {
        let pid = std::fs::read_to_string(data(&self.place).join("cluster/postmaster.pid")).unwrap_or_default();
        worked_s(pid.lines().next().unwrap_or_default())
    }

    /// Lets no run pay for the writes of the one before it.
    pub(crate) fn settle(&self) -> Result<()> {
        self.sql("postgres", "checkpoint")?;
        output(&mut Command::new("sync"), "write what is dirty")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&self.place);
    }
}

/// Stops the server, if it runs, and deletes its data.
pub(crate) fn stop(place: &Place) {
    let mut stop = Command::new(script(place));
    if let Err(e) = output(stop.arg("stop").arg("--data").arg(data(place)).arg("--delete"), "stop PostgreSQL") {
        eprintln!("bench: {e}");
    }
}

fn script(place: &Place) -> PathBuf {
    place.root.join("infra/local/postgres")
}

fn data(place: &Place) -> PathBuf {
    place.out.join("postgres")
}

/// Runs a command that must succeed, and gives what it printed.
pub(crate) fn output(command: &mut Command, what: &str) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{what}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{what}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
