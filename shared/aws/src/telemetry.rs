//! The log: one JSON object a line on standard output, where Lambda takes it up.

use crate::settings::log_filter;
use tracing_subscriber::EnvFilter;

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// Starts the log. What `RUST_LOG` asks for is honoured (such as `debug` or `engine=debug,info`); where it is malformed, the
/// default stands, and a warning says so. Does nothing when a log was started already.
pub fn start() {
    let asked = log_filter();
    let (filter, malformed) = match asked.as_deref().map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, false),
        Some(Err(_)) => (EnvFilter::new(DEFAULT_FILTER), true),
        None => (EnvFilter::new(DEFAULT_FILTER), false),
    };
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        // The request and its trace stand in the outermost span, the backup in the innermost.
        .with_current_span(true)
        .with_span_list(true)
        .with_ansi(false)
        .with_env_filter(filter)
        .with_writer(std::io::stdout)
        .try_init();
    if started.is_ok() && malformed {
        tracing::warn!("RUST_LOG is malformed (example: engine=debug,info); logging at {DEFAULT_FILTER}");
    }
}
