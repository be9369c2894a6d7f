//! `prune`: lets backups expire by the policy, and deletes what no backup needs any more.

mod handler;

use aws::settings::Need;
use handler::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let needs = [Need::Vaults, Need::Catalog, Need::Policy];
    frame::serve(&needs, |clients, settings| Function { clients, settings }, Function::handle).await
}
