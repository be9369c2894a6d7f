//! A queue in memory.

use crate::faults::FaultScript;
use crate::lock;
use engine::error::Result;
use engine::queue::{BackupOrder, BackupQueue};
use std::collections::VecDeque;
use std::sync::Mutex;

/// Orders, in the order in which they came.
#[derive(Debug)]
pub struct MemoryQueue {
    orders: Mutex<VecDeque<BackupOrder>>,
    faults: FaultScript,
}

impl MemoryQueue {
    /// An empty one.
    pub fn new(faults: FaultScript) -> Self {
        Self { orders: Mutex::default(), faults }
    }

    /// Takes the first order out.
    pub fn take(&self) -> Option<BackupOrder> {
        lock(&self.orders).pop_front()
    }
}

#[async_trait::async_trait]
impl BackupQueue for MemoryQueue {
    async fn send(&self, order: &BackupOrder) -> Result<()> {
        let send = || {
            lock(&self.orders).push_back(order.clone());
            Ok(())
        };
        self.faults.call("queue", "send", order.hand_overs, send).await
    }
}
