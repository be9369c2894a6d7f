//! The queues of work, in SQS.

use crate::errors::Call;
use aws_sdk_sqs::Client;
use engine::error::{Error, Result};
use engine::queue::Queue;
use serde::Serialize;

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
impl<O: Serialize + Sync> Queue<O> for SqsQueue {
    async fn send(&self, order: &O, after_s: u32) -> Result<()> {
        let body =
            serde_json::to_string(order).map_err(|e| Error::internal("write an order as JSON").with_source(e))?;
        let send = self.client.send_message().queue_url(&self.url).message_body(body);
        let send = send.delay_seconds(i32::try_from(after_s).unwrap_or(i32::MAX));
        send.send().await.map(|_| ()).map_err(|e| SEND.failed(&e).context(format!("put an order into {}", self.url)))
    }
}
