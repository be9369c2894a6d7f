//! A PostgreSQL of its own for a test, started by the script that starts the developer's (`infra/local/postgres`).
//!
//! Always holds: what was started is stopped when the guard is dropped. A missing tool is a failure, never a skip.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A running server.
pub(crate) struct Postgres {
    data: TempDir,
    major: String,
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
        let mut server = Self { data, major: major.to_owned(), url: format!("postgres://127.0.0.1:{port}/postgres") };
        server.url = server.start_again();
        server
    }

    /// Starts it after a stop, and gives the URL.
    pub(crate) fn start_again(&self) -> String {
        let port = self.url.rsplit([':', '/']).nth(1).expect("a port");
        let said =
            self.control("start", &["--port", port, "--bin", &programs_of(&self.major).display().to_string()], &[]);
        said.lines().last().expect("a URL").trim().to_owned()
    }

    /// Stops it in order. Its files stay.
    pub(crate) fn stop(&self) {
        self.control("stop", &[], &[]);
    }

    /// Stops it as a loss of power would.
    pub(crate) fn crash(&self) {
        self.program("pg_ctl", &["stop", "-m", "immediate"]);
    }

    /// Runs one of PostgreSQL's programs on the stopped server's files.
    pub(crate) fn program(&self, program: &str, arguments: &[&str]) -> String {
        self.control("run", &[], &[&[program], arguments].concat())
    }

    fn control(&self, command: &str, options: &[&str], arguments: &[&str]) -> String {
        let mut control = Command::new(checkout("infra/local/postgres"));
        control.arg(command).arg("--data").arg(self.data.path()).args(options).args(arguments);
        succeeded(&control.output().expect("run infra/local/postgres"), command)
    }

    /// A copy of the stopped server's files, beside them.
    pub(crate) fn copy_files(&self) -> PathBuf {
        let files = self.files();
        let copy = files.with_extension("copy");
        copy_folder(&files, &copy);
        copy
    }

    /// Returns to a copy of the files. What was written since is gone.
    pub(crate) fn return_to(&self, copy: &Path) {
        let files = self.files();
        std::fs::remove_dir_all(&files).expect("deletes the files");
        copy_folder(copy, &files);
    }

    /// Adds lines to one of its files, or makes it.
    pub(crate) fn append(&self, name: &str, lines: &str) {
        let path = self.files().join(name);
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).expect("opens");
        file.write_all(lines.as_bytes()).expect("writes");
        let like = std::fs::metadata(self.files()).expect("looks");
        chown(&path, Some(like.uid()), Some(like.gid())).expect("is the server's");
    }

    /// Its data directory.
    pub(crate) fn files(&self) -> PathBuf {
        self.data.path().join("cluster").canonicalize().expect("there is a cluster")
    }

    /// Asks until the answer is yes.
    pub(crate) fn wait_until(&self, database: &str, question: &str) {
        for _ in 0..300 {
            if self.sql(database, question) == "t" {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("not within 30 s: {question}");
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

    /// A session that stays.
    pub(crate) fn session(&self, database: &str) -> Session {
        let mut psql = Command::new(programs().join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname"]).arg(self.database(database));
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut psql = psql.spawn().expect("run psql");
        let (statements, answers) = (psql.stdin.take().expect("piped"), psql.stdout.take().expect("piped"));
        Session { psql, statements, answers: BufReader::new(answers) }
    }

    /// Lets a database remember its backups, as the script for the role does.
    pub(crate) fn remember(&self, database: &str) {
        let script = std::fs::read_to_string(checkout("infra/sql/backup_role.sql")).expect("reads");
        let (role, lineage) = script.split_at(script.find("create schema").expect("the lineage's part"));
        let role = role.replace(":password", "'reader'");
        if self.sql("postgres", "select count(*) from pg_roles where rolname = 'backup_reader'") == "0" {
            self.sql("postgres", &role);
        }
        self.sql(database, lineage);
    }

    /// Whether a text stands anywhere in the files of a database, once all is written.
    pub(crate) fn holds_bytes(&self, text: &str, database: &str) -> bool {
        self.sql(database, "checkpoint");
        let oid = self.sql(database, "select oid from pg_database where datname = current_database()");
        let files = std::fs::read_dir(self.files().join("base").join(oid)).expect("lists the files");
        files
            .map(|f| std::fs::read(f.expect("a file").path()).expect("reads"))
            .any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
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
        compare
            .args(["--left", &self.database(left), "--right", &self.database(right), "--bin"])
            .arg(programs())
            .args(["--exclude-schema", "backup_lineage"]);
        let said = succeeded(&compare.output().expect("run infra/local/compare"), "compare the databases");
        assert!(said.trim_end().ends_with("identical"), "{said}");
    }
}

/// A `psql` that stays, so that many statements cost no process each.
pub(crate) struct Session {
    psql: Child,
    statements: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Printed when everything before it was done, with the last error if there was one.
const DONE: &str = "<<done>>";

impl Session {
    /// Runs statements; answers whether all of them succeeded.
    pub(crate) fn run(&mut self, statements: &str) -> bool {
        self.send(statements);
        self.answer().1.is_empty()
    }

    /// Runs statements that must succeed; gives what they print, unaligned.
    pub(crate) fn ask(&mut self, statements: &str) -> String {
        self.send(statements);
        let (printed, error) = self.answer();
        assert_eq!(error, "", "{statements}");
        printed
    }

    /// Begins to run statements, and does not wait for their end: [`Self::wait`] does.
    pub(crate) fn send(&mut self, statements: &str) {
        writeln!(self.statements, "\\set LAST_ERROR_MESSAGE ''\n{statements};").expect("psql listens");
    }

    /// Waits until all is done.
    pub(crate) fn wait(&mut self) {
        self.answer();
    }

    fn answer(&mut self) -> (String, String) {
        writeln!(self.statements, "\\echo {DONE} :LAST_ERROR_MESSAGE").expect("psql listens");
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).expect("psql answers") > 0, "psql ended");
            if let Some(error) = line.strip_prefix(DONE) {
                return (printed, error.trim().to_owned());
            }
            printed.push_str(&line);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It holds nothing that would be missed.
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

/// With owners, rights and times.
fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("--archive").arg(from).arg(to).output().expect("run cp");
    succeeded(&copied, "copy the files");
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
