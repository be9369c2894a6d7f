//! `verify`: reads back what the vaults hold, and says what is wrong.

mod handler;

use aws::settings::Need;
use handler::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let needs = [Need::Vaults, Need::Key, Need::Catalog, Need::Policy];
    frame::serve(&needs, |clients, settings| Function { clients, settings }, Function::handle).await
}
