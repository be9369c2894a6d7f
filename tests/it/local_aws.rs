//! A local AWS of its own for each test that needs one: MiniStack on a free port, and the command line clients on it.
//!
//! Owns the processes and a folder. Always holds: what was started is ended, even when the test is killed. Never: calls
//! anything outside this machine, or lets a test pass when a tool is missing.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Leads the process group. Its input ends when the test ends, however that comes about; then it ends the group, first
/// kindly, so that state is written.
const GUARD: &str = r#"trap : TERM; "$0" </dev/null & read -r _; kill -TERM 0; wait; wait; kill -KILL 0"#;
const WAIT: Duration = Duration::from_millis(50);
/// Waits until MiniStack answers: a minute, as a loaded machine starts slowly.
const READY_WAITS_MAX: u32 = 1_200;
const END_WAITS_MAX: u32 = 200;

/// A running MiniStack.
pub(crate) struct LocalAws {
    guard: Child,
    port: u16,
    folder: PathBuf,
}

impl LocalAws {
    /// Starts one for a test, and waits until it answers.
    pub(crate) fn start(test: &str) -> Self {
        Self::start_with(test, &[])
    }

    /// Starts one that enforces policies.
    pub(crate) fn start_strict(test: &str) -> Self {
        Self::start_with(test, &[("AUTH", "true")])
    }

    fn start_with(test: &str, variables: &[(&str, &str)]) -> Self {
        let folder = new_folder(test);
        let port = free_port();
        let log = std::fs::File::create(folder.join("ministack.log")).expect("create the log of MiniStack");
        let guard = Command::new("sh")
            .args([OsStr::new("-c"), OsStr::new(GUARD), tool("ministack").as_os_str()])
            .envs([("BIND_HOST", "127.0.0.1"), ("MINISTACK_HOST", "localhost")])
            .envs([("SFTP_ENABLED", "0"), ("IOT_MTLS_ENABLED", "0")])
            .envs(variables.iter().copied())
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", endpoint(port))
            .env("STATE_DIR", folder.join("state"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("share the log of MiniStack"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("start MiniStack");
        let aws = Self { guard, port, folder };
        aws.wait_until_ready();
        aws
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    /// An empty folder of this test's own, inside the build's.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a tool against it.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, name: &str, args: impl IntoIterator<Item = S>) -> Output {
        self.run_as(("test", "test"), name, args)
    }

    /// Runs a tool against it with somebody's access key.
    pub(crate) fn run_as<S: AsRef<OsStr>>(
        &self,
        (id, secret): (&str, &str),
        name: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Output {
        Command::new(tool(name))
            .args(args)
            .envs([("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_PAGER", "")])
            .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_DEFAULT_REGION", "eu-west-1")])
            .envs([("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")])
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env_remove("AWS_PROFILE")
            .current_dir(&self.folder)
            .output()
            .unwrap_or_else(|e| panic!("run {name}: {e}"))
    }

    /// Runs a tool that must succeed, and gives what it printed.
    pub(crate) fn run_well<S: AsRef<OsStr>>(&self, name: &str, args: impl IntoIterator<Item = S>) -> String {
        let output = self.run(name, args);
        assert!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a tool prints UTF-8").trim_end().to_owned()
    }

    /// Runs `aws` in a region, and gives what the JMESPath query finds, as text.
    pub(crate) fn aws<'a>(&self, region: &'a str, query: &'a str, args: impl IntoIterator<Item = &'a str>) -> String {
        self.run_well("aws", args.into_iter().chain(["--region", region, "--query", query, "--output", "text"]))
    }

    fn wait_until_ready(&self) {
        for _ in 0..READY_WAITS_MAX {
            if self.answers().unwrap_or(false) {
                return;
            }
            sleep(WAIT);
        }
        let log = std::fs::read_to_string(self.folder.join("ministack.log")).unwrap_or_default();
        panic!("MiniStack did not answer on port {}; its log:\n{log}", self.port);
    }

    fn answers(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ministack/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b" 200"))
    }
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let ended = |guard: &mut Child| matches!(guard.try_wait(), Ok(Some(_)));
        let mut waits = 0;
        while !ended(&mut self.guard) && waits < END_WAITS_MAX {
            sleep(WAIT);
            waits += 1;
        }
        if waits == END_WAITS_MAX {
            // The guard itself hangs: end its group from outside.
            let group = format!("-{}", self.guard.id());
            let _ = Command::new("sh").args(["-c", r#"kill -KILL -- "$0""#, &group]).status();
            let _ = self.guard.wait();
        }
        // What a failed test left is there to be looked at.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a free port");
    listener.local_addr().expect("the port that was bound").port()
}

fn new_folder(test: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("{test}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // A process id comes again; what an earlier run left is not this test's.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("create the folder of the test");
    folder
}

/// A tool, by the name it has in the folder that `BACKUP_TEST_TOOLS` names.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where their tools are")]
fn tool(name: &str) -> PathBuf {
    let tools = std::env::var_os("BACKUP_TEST_TOOLS")
        .expect("BACKUP_TEST_TOOLS must name the folder whose bin/ holds ministack, aws and aws-encryption-cli");
    let tool = Path::new(&tools).join("bin").join(name);
    assert!(tool.is_file(), "{} is missing: this test needs it, and does not pass without it", tool.display());
    tool
}
