//! `rotate`: seals again what a former key sealed.

mod handler;

use aws::settings::Need;
use handler::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let needs = [Need::Vaults, Need::Key, Need::Catalog];
    frame::serve(&needs, |clients, settings| Function { clients, settings }, Function::handle).await
}
