//! A PostgreSQL of its own for a test, started by the script that starts the developer's (`infra/local/postgres`).
//!
//! Always holds: what was started is stopped when the guard is dropped. A missing tool is a failure, never a skip.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A running server.
pub(crate) struct Postgres {
    data: TempDir,
    /// The URL of its database `postgres`, as the superuser.
    pub(crate) url: String,
}

/// A file of the checkout.
pub(crate) fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The folder of the programs of PostgreSQL 18, whose clients the product carries.
pub(crate) fn programs() -> PathBuf {
    programs_of("18")
}

/// The folder of the programs of a major version.
pub(crate) fn programs_of(major: &str) -> PathBuf {
    let programs = tools().join("postgres").join(major).join("bin");
    assert!(programs.join("postgres").exists(), "no PostgreSQL in {}; run `make tools`", programs.display());
    programs
}

/// The folder that `make tools` fills.
#[allow(clippy::disallowed_methods, reason = "tests are told where their tools are")]
pub(crate) fn tools() -> PathBuf {
    let tools = std::env::var("BACKUP_TEST_TOOLS");
    PathBuf::from(tools.expect("BACKUP_TEST_TOOLS must name the folder that `make tools` fills"))
}

impl Postgres {
    /// Starts one of version 18, with an empty cluster.
    pub(crate) fn start() -> Self {
        Self::start_version("18")
    }

    /// Starts one of a major version, with an empty cluster.
    pub(crate) fn start_version(major: &str) -> Self {
        let data = tempfile::Builder::new().prefix("backup-test-").tempdir().expect("make a folder");
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("find a free port").port();
        let mut start = Command::new(checkout("infra/local/postgres"));
        start.arg("start").arg("--bin").arg(programs_of(major)).arg("--data").arg(data.path());
        let output = start.args(["--port", &port.to_string()]).output().expect("run infra/local/postgres");
        let said = succeeded(&output, "start PostgreSQL");
        let url = said.lines().last().expect("a URL").trim().to_owned();
        Self { data, url }
    }

    /// The URL as another role, in another database.
    pub(crate) fn url_as(&self, role: &str, password: &str, database: &str) -> String {
        let host = self.url.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("a URL with a host");
        format!("postgres://{role}:{password}@{host}/{database}")
    }

    /// The URL of another database.
    pub(crate) fn database(&self, name: &str) -> String {
        let end = self.url.rfind('/').expect("a URL with a database");
        format!("{}/{name}", &self.url[..end])
    }

    /// Makes an empty database.
    pub(crate) fn create(&self, name: &str) -> String {
        self.sql("postgres", &format!("create database {name} template template0"));
        self.database(name)
    }

    /// Runs statements; gives what they print, unaligned.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = Command::new(programs().join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--dbname"]);
        let output = psql.arg(self.database(database)).arg("--command").arg(statements).output().expect("run psql");
        succeeded(&output, statements).trim().to_owned()
    }

    /// Fills a database with the sample project.
    pub(crate) fn load_sample(&self, database: &str, megabytes: u32) {
        let mut load = Command::new(checkout("infra/local/sample/load"));
        load.args(["--url", &self.database(database), "--mb", &megabytes.to_string(), "--psql"])
            .arg(programs().join("psql"));
        succeeded(&load.output().expect("run the sample's loader"), "load the sample");
    }

    /// Requires that two databases are identical, by a program that shares nothing with the restore.
    pub(crate) fn require_identical(&self, left: &str, right: &str) {
        let mut compare = Command::new(checkout("infra/local/compare"));
        compare.args(["--left", &self.database(left), "--right", &self.database(right), "--bin"]).arg(programs());
        let said = succeeded(&compare.output().expect("run infra/local/compare"), "compare the databases");
        assert!(said.trim_end().ends_with("identical"), "{said}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let stopped = Command::new(checkout("infra/local/postgres"))
            .arg("stop")
            .arg("--delete")
            .arg("--data")
            .arg(self.data.path())
            .output();
        if !stopped.as_ref().is_ok_and(|o| o.status.success()) {
            eprintln!("could not stop PostgreSQL: {stopped:?}");
        }
    }
}

pub(crate) fn succeeded(output: &Output, what: &str) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}
