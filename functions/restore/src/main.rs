//! `restore`: restores a snapshot from any one vault into an empty database, or in place of what one holds, and proves it.

mod handler;

use aws::settings::Need;
use handler::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let needs = [Need::Vaults, Need::Key, Need::Target];
    frame::serve(&needs, |clients, settings| Function { clients, settings }, Function::handle).await
}
