//! `drill`: restores a backup into an empty server of its own, and says whether it could.

mod handler;

use aws::settings::Need;
use handler::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let needs = [Need::Vaults, Need::Key, Need::Catalog, Need::Drill];
    frame::serve(&needs, |clients, settings| Function { clients, settings }, Function::handle).await
}
