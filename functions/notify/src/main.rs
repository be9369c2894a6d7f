//! `notify`: tells others what happened.

mod handler;

use handler::Function;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    frame::serve(&[], |clients, _| Function { clients }, Function::handle).await
}
