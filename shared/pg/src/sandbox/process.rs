//! The processes and files of a server.

use crate::address::Address;
use crate::session;
use crate::wire::Wire;
use engine::error::{Error, ErrorKind, Result};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

pub(super) const PORT: u16 = 5432;
/// Whoever is nobody else, when this process is root.
const NOBODY: u32 = 65_534;
/// The folder of a server's files begins with this, and holds the number of the process that started it.
const PREFIX: &str = "backup-drill-";
const OWNER: &str = "owner";
/// A server that does not come up in this time never does.
const START_TRIES: u32 = 300;
const TRY_EVERY: Duration = Duration::from_millis(100);
const COMPLAINT_BYTES_MAX: usize = 2_000;
/// What is written is thrown away: nothing of it must survive a crash. A Lambda function has no shared memory but what is mapped.
const SETTINGS: [&str; 14] = [
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=1GB",
    "autovacuum=off",
    "max_connections=30",
    "shared_buffers=128MB",
    "maintenance_work_mem=128MB",
    "dynamic_shared_memory_type=mmap",
    "logging_collector=off",
    "timezone=UTC",
];

/// A server that runs. Dropped, it is killed, and its files are removed.
pub(super) struct Server {
    child: Child,
    programs: PathBuf,
    sockets: PathBuf,
    cluster: PathBuf,
    user: Option<u32>,
    // Last, because files are removed when nobody uses them any more.
    _files: TempDir,
}

impl Server {
    /// A new cluster, and its server. Also gives the superuser's password.
    pub(super) async fn start(server: &Path, folder: &Path) -> Result<(Self, String)> {
        let user = is_root()?.then_some(NOBODY);
        fs::create_dir_all(folder).map_err(|e| cannot("make", folder, &e))?;
        remove_leftovers(folder, server, user).await?;
        let files =
            tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder).map_err(|e| cannot("write in", folder, &e))?;
        let root = files.path().to_owned();
        let owner = root.join(OWNER);
        fs::write(&owner, std::process::id().to_string()).map_err(|e| cannot("write", &owner, &e))?;
        // Another user may not be able to reach the programs, wherever they are.
        let server = match user {
            None => server.to_owned(),
            Some(_) => {
                let copy = root.join("server");
                for part in ["bin", "lib", "share"] {
                    copy_all(&server.join(part), &copy.join(part))
                        .map_err(|e| Error::invalid(programs_missing(server)).with_source(e))?;
                }
                copy
            }
        };
        let programs = server.join("bin");
        if !programs.join("postgres").exists() {
            return Err(Error::invalid(programs_missing(&server)));
        }
        let (cluster, sockets, secret) = (root.join("cluster"), root.join("sockets"), root.join("password"));
        let password = random_password()?;
        make_private(&sockets)?;
        fs::write(&secret, &password).map_err(|e| cannot("write", &secret, &e))?;
        if let Some(user) = user {
            for path in [&root, &sockets, &secret] {
                chown(path, Some(user), Some(user)).map_err(|e| cannot("give away", path, &e))?;
            }
        }
        let mut initdb = command(&programs, "initdb", user);
        initdb.arg("--pgdata").arg(&cluster).arg("--pwfile").arg(&secret);
        initdb.args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]);
        run(initdb, "initdb").await?;
        fs::remove_file(&secret).map_err(|e| cannot("remove", &secret, &e))?;
        let log = fs::File::create(root.join("log")).map_err(|e| cannot("write in", &root, &e))?;
        let mut postgres = command(&programs, "postgres", user);
        postgres.arg("-D").arg(&cluster).arg("-k").arg(&sockets);
        for setting in SETTINGS {
            postgres.arg("-c").arg(setting);
        }
        let child = postgres.stderr(log).kill_on_drop(true).spawn();
        let child = child.map_err(|e| Error::invalid(programs_missing(&server)).with_source(e))?;
        Ok((Self { child, programs, sockets, cluster, user, _files: files }, password))
    }

    pub(super) fn socket_folder(&self) -> &Path {
        &self.sockets
    }

    /// Waits until it answers.
    pub(super) async fn connect(&self, address: &Address) -> Result<Wire> {
        let mut last = Error::unavailable("it was never asked");
        for _ in 0..START_TRIES {
            match session::connect(address).await {
                Ok(wire) => return Ok(wire),
                Err(e) if e.kind() == ErrorKind::Unavailable => last = e,
                Err(e) => return Err(e),
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
        let log = fs::read_to_string(self.cluster.with_file_name("log")).unwrap_or_default();
        let tail: String = log.chars().skip(log.chars().count().saturating_sub(COMPLAINT_BYTES_MAX)).collect();
        Err(last.context(format!("the server did not come up: {}", tail.trim())))
    }

    /// Ends it as it wants to be ended, which gives back what it had of the machine.
    pub(super) async fn stop(mut self) -> Result<()> {
        let mut stop = command(&self.programs, "pg_ctl", self.user);
        stop.arg("stop").arg("-D").arg(&self.cluster).args(["--mode=fast", "--timeout=30", "--silent"]);
        let stopped = run(stop, "pg_ctl").await;
        if stopped.is_err() {
            self.child.kill().await.map_err(|e| Error::unavailable("the server could not be ended").with_source(e))?;
        }
        stopped
    }
}

/// Ends and removes what processes left that were stopped without a word: a function's storage may outlive it.
async fn remove_leftovers(folder: &Path, server: &Path, user: Option<u32>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| cannot("read", folder, &e))?.flatten() {
        let root = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let owner = fs::read_to_string(root.join(OWNER)).ok().and_then(|pid| pid.parse::<u32>().ok());
        // A process has one at a time, and after a restart may have the number of the one before. A folder that says no owner was
        // removed in part.
        let is_used =
            owner.is_some_and(|pid| pid != std::process::id() && Path::new("/proc").join(pid.to_string()).exists());
        if !is_ours || is_used {
            continue;
        }
        let own = root.join("server");
        let programs = if own.exists() { own } else { server.to_owned() }.join("bin");
        if root.join("cluster/postmaster.pid").exists() {
            let mut stop = command(&programs, "pg_ctl", user);
            stop.arg("stop").arg("-D").arg(root.join("cluster")).args(["--mode=immediate", "--silent"]);
            // One that does not run any more cannot be stopped.
            let _ = run(stop, "pg_ctl").await;
        }
        fs::remove_dir_all(&root).map_err(|e| cannot("remove", &root, &e))?;
        tracing::warn!(folder = %root.display(), "what an earlier drill left was removed");
    }
    Ok(())
}

fn command(programs: &Path, name: &str, user: Option<u32>) -> Command {
    let mut command = Command::new(programs.join(name));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").env_clear();
    command.env("LC_ALL", "C").env("LD_LIBRARY_PATH", library_path(programs));
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command
}

/// The layer's libraries, and those that come with the server.
fn library_path(programs: &Path) -> std::ffi::OsString {
    let own = programs.with_file_name("lib");
    [own.as_os_str(), std::ffi::OsStr::new("/opt/lib")].join(std::ffi::OsStr::new(":"))
}

async fn run(mut command: Command, name: &str) -> Result<()> {
    let failed = |e: std::io::Error| Error::invalid(format!("{name} does not start")).with_source(e);
    let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().map_err(failed)?;
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut said).await;
    }
    let status = child.wait().await.map_err(failed)?;
    match status.success() {
        true => Ok(()),
        false => {
            Err(Error::unavailable(said.trim().chars().take(COMPLAINT_BYTES_MAX).collect::<String>()).context(name))
        }
    }
}

fn is_root() -> Result<bool> {
    let own = fs::metadata("/proc/self").map_err(|e| cannot("look at", Path::new("/proc/self"), &e))?;
    Ok(own.uid() == 0)
}

fn make_private(folder: &Path) -> Result<()> {
    fs::DirBuilder::new().mode(0o700).create(folder).map_err(|e| cannot("make", folder, &e))
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, to) = (entry?, to);
        let to = to.join(entry.file_name());
        match fs::metadata(entry.path())?.is_dir() {
            true => copy_all(&entry.path(), &to)?,
            false => drop(fs::copy(entry.path(), to)?),
        }
    }
    Ok(())
}

/// 256 bits, of which nobody needs to know anything.
fn random_password() -> Result<String> {
    let mut bytes = [0; 32];
    let mut random = fs::File::open("/dev/urandom").map_err(|e| cannot("open", Path::new("/dev/urandom"), &e))?;
    std::io::Read::read_exact(&mut random, &mut bytes).map_err(|e| cannot("read", Path::new("/dev/urandom"), &e))?;
    Ok(bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}

fn programs_missing(server: &Path) -> String {
    format!(
        "{} holds no PostgreSQL server; BACKUP_PG_SERVER must name a folder with bin/postgres, lib and share",
        server.display()
    )
}

fn cannot(verb: &str, path: &Path, e: &std::io::Error) -> Error {
    let message = format!("could not {verb} {}: {e}", path.display());
    match e.kind() {
        std::io::ErrorKind::StorageFull => Error::exhausted(message),
        _ => Error::unavailable(message),
    }
}
