//! The benchmark: every figure that the product promises, measured beside its peer, in one run, on one machine.
//!
//! Always holds: ours and its peers run by turns, each several times, and the medians are compared; what prepares a run
//! (an empty bucket, an empty database, a checkpoint of the server) is not timed, for ours as for the peers. Backup and
//! restore run in processes of their own, as functions do, so that their memory is theirs alone.
//!
//! Never: fails because a bound is missed, or leaves a row out because its peer is missing. It says so.

mod figures;
mod measure;
mod options;
mod peers;
mod product;
mod report;
mod server;
mod store;

use crate::options::Options;
use std::error::Error;

/// Anything that ends the benchmark.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Failure>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("s3") => store::serve(&arguments[1..]).await,
        Some("backup") => product::back_up().await,
        Some("restore") => product::restore().await,
        _ => all(Options::parse(&arguments)?).await,
    }
}

async fn all(options: Options) -> Result<()> {
    let place = options.place.clone();
    let bench = tokio::task::spawn_blocking(move || figures::all(&options));
    tokio::select! {
        done = bench => done?,
        _ = tokio::signal::ctrl_c() => {
            server::stop(&place);
            eprintln!("bench: interrupted; PostgreSQL is stopped");
            std::process::exit(130);
        }
    }
}
