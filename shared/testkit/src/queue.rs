//! A queue in memory.

use crate::faults::FaultScript;
use crate::lock;
use engine::error::Result;
use engine::queue::Queue;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Mutex;

/// Orders, in the order in which they came. None is kept back: whoever takes one decides when.
#[derive(Debug)]
pub struct MemoryQueue<O> {
    orders: Mutex<VecDeque<O>>,
    faults: FaultScript,
}

impl<O> MemoryQueue<O> {
    /// An empty one.
    pub fn new(faults: FaultScript) -> Self {
        Self { orders: Mutex::default(), faults }
    }

    /// Takes the first order out.
    pub fn take(&self) -> Option<O> {
        lock(&self.orders).pop_front()
    }
}

#[async_trait::async_trait]
impl<O: Clone + Debug + Send + Sync> Queue<O> for MemoryQueue<O> {
    async fn send(&self, order: &O, _after_s: u32) -> Result<()> {
        let send = || {
            lock(&self.orders).push_back(order.clone());
            Ok(())
        };
        self.faults.call("queue", "send", format!("{order:?}"), send).await
    }
}
