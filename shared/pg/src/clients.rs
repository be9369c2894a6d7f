//! `pg_dump` and `pg_restore`: found, checked, and run against a forwarded socket.

use crate::address::Address;
use crate::forward::{Forward, PORT};
use bytes::Bytes;
use engine::error::{Error, Result, ResultExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// How the clients are seen in `pg_stat_activity`.
pub(crate) const CLIENT: &str = "backup client";
/// Of what a client says about its failure, so much is shown.
const COMPLAINT_BYTES_MAX: usize = 2_000;

/// Where the two programs are.
#[derive(Clone, Debug)]
pub struct Clients {
    folder: PathBuf,
}

impl Clients {
    /// In a folder, such as a Lambda layer's `/opt/bin`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The major version of both.
    ///
    /// # Errors
    /// `Invalid` when one of them is missing, does not start, or is of another version than the other.
    pub async fn major_version(&self) -> Result<u32> {
        let dump = self.version_of("pg_dump").await?;
        let restore = self.version_of("pg_restore").await?;
        if dump != restore {
            return Err(Error::invalid(format!(
                "pg_dump in {} is of version {dump} and pg_restore of version {restore}; install one version",
                self.folder.display()
            )));
        }
        Ok(dump)
    }

    async fn version_of(&self, program: &str) -> Result<u32> {
        let path = self.folder.join(program);
        let wrong = |why: String| {
            Error::invalid(format!(
                "{} {why}; BACKUP_PG_BIN must name the folder with pg_dump and pg_restore",
                path.display()
            ))
        };
        let output = Command::new(&path).arg("--version").stdin(Stdio::null()).output().await;
        let output = output.map_err(|e| wrong(format!("does not start: {e}")).with_source(e))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // `pg_dump (PostgreSQL) 18.6` or `… 18beta1 (Debian …)`.
        let version = said.split(") ").nth(1).map(|v| v.chars().take_while(char::is_ascii_digit).collect::<String>());
        version.and_then(|v| v.parse().ok()).ok_or_else(|| {
            let why = complaint(&output.stderr);
            wrong(format!("does not tell its version: {}", if why.is_empty() { said.trim().to_owned() } else { why }))
        })
    }

    /// Runs `pg_dump` and gives what it writes.
    pub(crate) async fn dump(&self, address: &Address, arguments: &[String], bytes_max: usize) -> Result<Bytes> {
        let run = Run::begin(address)?;
        let mut command = run.command(&self.folder.join("pg_dump"), address);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().map_err(|e| unstarted("pg_dump", e))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let read = async {
            let mut archive = Vec::new();
            if let Some(out) = out {
                out.take(bytes_max as u64 + 1).read_to_end(&mut archive).await?;
            }
            Ok::<_, std::io::Error>(archive)
        };
        let (archive, complaints) = tokio::join!(read, read_complaints(err));
        let archive = archive.map_err(|e| Error::unavailable("read what pg_dump writes").with_source(e))?;
        if archive.len() > bytes_max {
            return Err(Error::exhausted(format!("the schema's archive is larger than {bytes_max} bytes")));
        }
        ended("pg_dump", child.wait().await, &complaints)?;
        Ok(archive.into())
    }

    /// Runs `pg_restore` on an archive, into a database.
    pub(crate) async fn restore(&self, address: &Address, archive: &Path, arguments: &[String]) -> Result<()> {
        let run = Run::begin(address)?;
        let mut command = run.command(&self.folder.join("pg_restore"), address);
        command.arg("--dbname").arg(&address.database).args(arguments).arg(archive);
        let mut child = command.stdout(Stdio::null()).spawn().map_err(|e| unstarted("pg_restore", e))?;
        let complaints = read_complaints(child.stderr.take()).await;
        ended("pg_restore", child.wait().await, &complaints)
    }

    /// What `pg_restore` makes of an archive without a database: a section's statements, or a list.
    pub(crate) async fn read_archive(&self, archive: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = bare(&self.folder.join("pg_restore"));
        command.args(arguments).args(["--file", "-"]).arg(archive);
        let output = command.output().await.map_err(|e| unstarted("pg_restore", e))?;
        ended("pg_restore", Ok(output.status), &output.stderr)?;
        String::from_utf8(output.stdout).map_err(|e| Error::unsupported("the schema is not in UTF-8").with_source(e))
    }
}

/// A client's socket, in a temporary folder that only this user may enter.
struct Run {
    forward: Forward,
    _folder: TempDir,
}

impl Run {
    fn begin(address: &Address) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pg-").tempdir();
        let folder = folder.map_err(|e| Error::internal("make a temporary folder").with_source(e))?;
        Ok(Self { forward: Forward::open(address.clone(), folder.path())?, _folder: folder })
    }

    fn command(&self, program: &Path, address: &Address) -> Command {
        let mut command = bare(program);
        command
            .arg("--host")
            .arg(self.forward.folder())
            .arg("--port")
            .arg(PORT.to_string())
            .arg("--username")
            .arg(&address.user);
        command.arg("--no-password");
        if program.ends_with("pg_dump") {
            command.arg("--dbname").arg(&address.database);
        }
        command
    }
}

/// A client with an environment of its own, that ends when it is let go of.
fn bare(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PGAPPNAME", CLIENT).env("LC_ALL", "C").env("PGCONNECT_TIMEOUT", "20");
    if let Some(libraries) = program.parent().and_then(Path::parent).map(|p| p.join("lib")) {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn read_complaints(err: Option<tokio::process::ChildStderr>) -> Vec<u8> {
    let mut complaints = Vec::new();
    if let Some(mut err) = err {
        // Read to the end so that the client is never blocked; a broken pipe ends it as well.
        let _ = err.read_to_end(&mut complaints).await;
    }
    complaints
}

fn unstarted(program: &str, e: std::io::Error) -> Error {
    Error::invalid(format!("{program} does not start: {e}; BACKUP_PG_BIN must name the folder it is in")).with_source(e)
}

fn ended(program: &str, status: std::io::Result<std::process::ExitStatus>, complaints: &[u8]) -> Result<()> {
    let status = status.map_err(|e| Error::internal(format!("wait for {program}")).with_source(e))?;
    if status.success() {
        return Ok(());
    }
    let said = complaint(complaints);
    let lost = ["server closed the connection", "could not connect", "statement timeout", "lock timeout"];
    let lost = lost.iter().any(|sign| said.contains(sign));
    let message = format!("{program} ended with {status}: {said}");
    Err(if lost { Error::unavailable(message) } else { Error::invalid(message) }).context("run the PostgreSQL client")
}

/// The lines of a client's complaint that say what is wrong; not the statements and details that it quotes.
fn complaint(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines = text
        .lines()
        .filter(|l| l.contains("error:") || l.contains("ERROR:") || l.contains("FATAL:") || l.contains("warning:"));
    let mut said = lines.collect::<Vec<_>>().join("; ");
    if said.is_empty() {
        said = text.lines().next().unwrap_or("").to_owned();
    }
    let end = said.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|end| *end <= COMPLAINT_BYTES_MAX).last();
    said.truncate(end.unwrap_or(0));
    said
}
