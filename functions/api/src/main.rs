//! `api`: tells the mobile app what the catalog knows, and takes what people ask for.
//!
//! `api openapi` prints the document of the API, and does nothing else.

mod answer;
mod extract;
mod house;
mod openapi;
mod outside;
mod page;
mod person;
mod problem;
mod request;
mod router;
mod routes;
#[cfg(test)]
mod tests;
mod write;

use aws::clients::Clients;
use aws::machine::{SystemClock, SystemEntropy};
use aws::settings::{Need, Settings};
use house::{Api, House};
use lambda_http::Error;
use outside::Outside;
use person::{Keys, Tokens};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    if std::env::args().nth(1).as_deref() == Some("openapi") {
        println!("{}", openapi::document()?);
        return Ok(());
    }
    aws::telemetry::start();
    let needs = [Need::Catalog, Need::Vaults, Need::Key, Need::Policy, Need::Api];
    let settings =
        Settings::from_environment(&needs).inspect_err(|e| tracing::error!(error = %e, "settings are wrong"))?;
    let clients = Clients::connect(Arc::new(settings.clone())).await;
    let clock = Arc::new(SystemClock);
    let issuer = settings.api()?.issuer.clone();
    if issuer.is_none() {
        tracing::warn!("BACKUP_AUTH_ISSUER is not set: nobody is let in");
    }
    let api = Api {
        catalog: Arc::new(Outside(clients.catalog()?)),
        backups: clients.queue().map(|queue| Arc::new(Outside(queue)) as _),
        restores: clients.restore_queue().map(|queue| Arc::new(Outside(queue)) as _),
        prunes: clients.prune_queue().map(|queue| Arc::new(Outside(queue)) as _),
        tokens: issuer.map(|issuer| Tokens {
            keys: Keys::new(Arc::new(aws::issuer_keys::IssuerKeys::new(issuer.keys_url)), Arc::clone(&clock) as _),
            issuer: issuer.name,
            audience: issuer.audience,
        }),
        house: House::of(&settings)?,
        clock,
        entropy: Arc::new(SystemEntropy),
    };
    lambda_http::run(router::router(Arc::new(api))).await
}
