//! `pg_dump`: found, checked, and run against a forwarded socket.

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

/// Where the program is, in each version.
#[derive(Clone, Debug)]
pub struct Clients {
    folder: PathBuf,
}

/// The program of one version.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    program: PathBuf,
}

impl Clients {
    /// In a folder, such as a Lambda layer's `/opt/bin`, which holds `pg_dump-18` and so on.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The client for a server: that of its own major version, or else the next newer one. What a newer client writes of an older
    /// server is not always what that server reads; and an older client refuses a newer server.
    ///
    /// # Errors
    /// `Invalid` when there is none at all or it does not start, `Unsupported` when all of them are older.
    pub(crate) async fn for_server(&self, major: u32, version: &str) -> Result<Client> {
        let place = self.folder.display();
        let wrong =
            |why: String| Error::invalid(format!("{place} {why}; BACKUP_PG_BIN must name the folder with pg_dump-18"));
        let files =
            std::fs::read_dir(&self.folder).map_err(|e| wrong(format!("cannot be read: {e}")).with_source(e))?;
        let names = files.flatten().map(|f| f.file_name().to_string_lossy().into_owned());
        let mut versions: Vec<u32> =
            names.filter_map(|name| name.strip_prefix("pg_dump-").and_then(|v| v.parse().ok())).collect();
        versions.sort_unstable();
        let newest = versions.last().ok_or_else(|| wrong("holds no pg_dump".to_owned()))?;
        let fitting = versions.iter().find(|v| **v >= major).ok_or_else(|| {
            Error::unsupported(format!(
                "the server is PostgreSQL {version} and the newest pg_dump is of version {newest}; deploy a client layer of \
                 version {major} or newer"
            ))
        })?;
        let client = Client { program: self.folder.join(format!("pg_dump-{fitting}")) };
        client.require_version(*fitting).await?;
        Ok(client)
    }
}

impl Client {
    /// It starts, and is what its name says.
    async fn require_version(&self, major: u32) -> Result<()> {
        let wrong = |why: String| {
            Error::invalid(format!(
                "{} {why}; BACKUP_PG_BIN must name the folder with pg_dump-18",
                self.program.display()
            ))
        };
        let output = Command::new(&self.program).arg("--version").stdin(Stdio::null()).output().await;
        let output = output.map_err(|e| wrong(format!("does not start: {e}")).with_source(e))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // `pg_dump (PostgreSQL) 18.6` or `… 18beta1 (Debian …)`.
        let version = said.split(") ").nth(1).map(|v| v.chars().take_while(char::is_ascii_digit).collect::<String>());
        if version.and_then(|v| v.parse::<u32>().ok()) == Some(major) {
            return Ok(());
        }
        let why = complaint(&output.stderr);
        Err(wrong(format!(
            "does not say that it is of version {major}: {}",
            if why.is_empty() { said.trim().to_owned() } else { why }
        )))
    }

    /// Runs `pg_dump` and gives what it writes.
    pub(crate) async fn dump(&self, address: &Address, arguments: &[String], bytes_max: usize) -> Result<Bytes> {
        let run = Run::begin(address)?;
        let mut command = run.command(&self.program, address);
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
        command.arg("--dbname").arg(&address.database);
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
