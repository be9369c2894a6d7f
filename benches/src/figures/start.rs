//! From the start of a function's process to its first request for work, on a runtime API of our own. The programs are
//! those in the zips.

use super::zips;
use crate::Result;
use crate::measure::percentile;
use crate::options::Place;
use crate::report::{Bound, Row};
use crate::server::output;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const STARTS: usize = 30;
const MS_MAX: f64 = 30.0;
const WAIT_MAX: Duration = Duration::from_secs(10);
const FIRST_REQUEST: &str = "GET /2018-06-01/runtime/invocation/next";
/// What a function is told on Lambda. Nothing is called: the first request for work comes before any.
const ENVIRONMENT: [(&str, &str); 22] = [
    ("AWS_ACCESS_KEY_ID", "bench"),
    ("AWS_SECRET_ACCESS_KEY", "bench"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("BACKUP_PROVIDER", "aws"),
    ("BACKUP_ENCRYPTION_KEY_ID", "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"),
    ("BACKUP_BUCKET_PRIMARY", "bench-eu-west-1"),
    ("BACKUP_BUCKET_SECONDARY", "bench-us-east-1"),
    ("BACKUP_BUCKET_TERTIARY", "bench-ap-southeast-1"),
    ("BACKUP_TABLE", "bench"),
    ("BACKUP_SCHEDULE", "cron(0 3 * * ? *)"),
    ("BACKUP_RETENTION_DAYS", "35"),
    ("BACKUP_DATABASE_URL", "postgresql://bench:bench@127.0.0.1:5432/bench"),
    ("BACKUP_TARGET_STAGING_URL", "postgresql://bench:bench@127.0.0.1:5432/bench"),
    ("BACKUP_PG_BIN", "/opt/bin"),
    ("PATH", "/usr/bin:/bin"),
];

pub(super) fn rows(place: &Place, notes: &mut Vec<String>) -> Result<Vec<Row>> {
    println!("\nstart: {STARTS} starts of each function");
    let zips = zips::find(place)?;
    if zips.is_empty() {
        notes.push("no zips in target/lambda: build them with `make build`".to_owned());
    }
    let mut rows = Vec::new();
    for (function, zip) in zips {
        let program = unpacked(place, &function, &zip)?;
        let mut ms = (0..STARTS).map(|_| start(place, &program)).collect::<Result<Vec<f64>>>()?;
        for (name, share) in [("p50", 0.5), ("p90", 0.9)] {
            let value = percentile(&mut ms, share);
            rows.push(Row::alone(
                format!("{function}: process to first request, {name}, ms"),
                Some(value),
                Bound::AtMost(MS_MAX),
            ));
        }
    }
    Ok(rows)
}

fn unpacked(place: &Place, function: &str, zip: &Path) -> Result<PathBuf> {
    let folder = place.out.join("functions").join(function);
    fs::create_dir_all(&folder)?;
    let mut unzip = Command::new(place.root.join(".tools/bin/python"));
    output(unzip.args(["-m", "zipfile", "-e"]).arg(zip).arg(&folder), "unpack a function")?;
    let program = folder.join("bootstrap");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

/// Starts a function once; gives the milliseconds until it asked for work.
fn start(place: &Place, program: &Path) -> Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let log = place.out.join("function.log");
    let mut command = Command::new(program);
    command.env_clear().envs(ENVIRONMENT).env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string());
    command.stdin(Stdio::null()).stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
    let begun = Instant::now();
    let mut running = Running(command.spawn()?);
    let line = first_line(&listener, &mut running, begun)?;
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    drop(running);
    match line.starts_with(FIRST_REQUEST) {
        true => Ok(ms),
        false => Err(format!(
            "{} said `{}` instead of asking for work:\n{}",
            program.display(),
            line.trim(),
            fs::read_to_string(&log)?
        )
        .into()),
    }
}

/// The first line of the first request; empty when the function ended, or did not come in time.
fn first_line(listener: &TcpListener, running: &mut Running, begun: Instant) -> Result<String> {
    // Blocking would wait forever for a function that ended.
    listener.set_nonblocking(true)?;
    let socket = loop {
        match listener.accept() {
            Ok((socket, _)) => break socket,
            Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(e.into()),
            Err(_) if begun.elapsed() > WAIT_MAX || running.0.try_wait()?.is_some() => return Ok(String::new()),
            Err(_) => std::thread::sleep(Duration::from_micros(100)),
        }
    };
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(WAIT_MAX))?;
    let mut line = String::new();
    BufReader::new(socket.take(4_096)).read_line(&mut line)?;
    Ok(line)
}

/// A process that ends with its guard.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
