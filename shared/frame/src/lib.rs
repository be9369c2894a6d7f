//! What all functions have in common on Lambda: they read their settings once, are called with events, and say what was wrong; and
//! those that take orders from a queue say which of them must come again.
//!
//! Knows the runtime and the adapters, and no operation.

mod orders;

pub use orders::{Answer, Event, Failure, Orders};

use aws::clients::Clients;
use aws::settings::{Need, Settings};
use engine::error::Result;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Reads the settings that the function needs, makes it, and calls it with each event until the platform ends it.
///
/// # Errors
/// When the settings are wrong; those of the runtime.
pub async fn serve<F, E, A>(
    needs: &[Need],
    make: impl FnOnce(Clients, Arc<Settings>) -> F,
    handle: impl AsyncFn(&F, LambdaEvent<E>) -> Result<A>,
) -> std::result::Result<(), Error>
where
    E: DeserializeOwned,
    A: Serialize,
{
    aws::telemetry::start();
    let settings = Settings::from_environment(needs);
    let settings = Arc::new(settings.inspect_err(|e| tracing::error!(error = %e, "settings are wrong"))?);
    let function = make(Clients::connect(Arc::clone(&settings)).await, settings);
    let (function, handle) = (&function, &handle);
    let answer = |event: LambdaEvent<E>| async move {
        let answered = handle(function, event).await;
        answered.map_err(|e| Diagnostic { error_type: e.kind().to_string(), error_message: e.to_string() })
    };
    lambda_runtime::run(service_fn(answer)).await
}
