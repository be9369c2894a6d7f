//! `backup`: makes a snapshot of the source in the primary vault.

mod handler;

use aws::settings::Need;
use handler::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let needs = [Need::Vaults, Need::Key, Need::Catalog, Need::Source, Need::Policy];
    frame::serve(&needs, |clients, settings| Function { clients, settings }, Function::handle).await
}
