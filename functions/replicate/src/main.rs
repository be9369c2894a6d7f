//! `replicate`: copies what landed in the primary vault to the other two, and repairs what events missed.

mod handler;

use aws::settings::Need;
use handler::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let needs = [Need::Vaults, Need::Catalog];
    frame::serve(&needs, |clients, _| Function { clients }, Function::handle).await
}
