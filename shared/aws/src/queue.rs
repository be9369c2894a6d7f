//! The queue of work for `backup`, in SQS.

use crate::errors::Call;
use aws_sdk_sqs::Client;
use engine::error::{Error, Result};
use engine::queue::{BackupOrder, BackupQueue};

const SEND: Call = Call::new("sqs", "SendMessage");

/// A queue whose messages are orders as JSON.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue of a URL.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }
}

#[async_trait::async_trait]
impl BackupQueue for SqsQueue {
    async fn send(&self, order: &BackupOrder) -> Result<()> {
        let body =
            serde_json::to_string(order).map_err(|e| Error::internal("write an order as JSON").with_source(e))?;
        let sent = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        sent.map(|_| ()).map_err(|e| SEND.failed(&e).context(format!("put an order into {}", self.url)))
    }
}
