//! `notify`: tells others what happened.

mod handler;

use aws::clients::Clients;
use aws::settings::Settings;
use handler::Function;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    aws::telemetry::start();
    let settings =
        Settings::from_environment(&[]).inspect_err(|e| tracing::error!(error = %e, "settings are wrong"))?;
    let function = Function { clients: Clients::connect(Arc::new(settings)).await };
    let function = &function;
    let serve = |event: LambdaEvent<handler::Event>| async move {
        let answered = function.handle(event).await;
        answered.map_err(|e| Diagnostic { error_type: e.kind().to_string(), error_message: e.to_string() })
    };
    lambda_runtime::run(service_fn(serve)).await
}
