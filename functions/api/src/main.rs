//! `api`: tells the mobile app what the catalog knows.

mod answer;
mod handler;

use aws::clients::Clients;
use aws::settings::{Need, Settings};
use lambda_http::Error;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    aws::telemetry::start();
    let settings = Settings::from_environment(&[Need::Catalog])
        .inspect_err(|e| tracing::error!(error = %e, "settings are wrong"))?;
    let clients = Clients::connect(Arc::new(settings)).await;
    lambda_http::run(handler::router(clients.catalog()?)).await
}
