//! A sandbox in memory.

use crate::faults::FaultScript;
use crate::lock;
use crate::target::MemoryTarget;
use engine::error::{Error, Result};
use engine::sandbox::{Answer, Constraints, Sandbox, SandboxServer};
use engine::target::Target;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Starts servers in memory, and counts those that run.
#[derive(Clone, Debug)]
pub struct MemorySandbox {
    faults: FaultScript,
    room_bytes: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    running: u64,
    answers: BTreeMap<String, Answer>,
    last: Option<MemoryTarget>,
}

impl MemorySandbox {
    /// Has room for so many bytes. It knows the answer to `select 1`.
    pub fn new(room_bytes: u64, faults: FaultScript) -> Self {
        let sandbox = Self { faults, room_bytes, state: Arc::default() };
        sandbox.teach("select 1", vec![vec![Some("1".to_owned())]]);
        sandbox
    }

    /// Lets its servers know the answer to a query.
    pub fn teach(&self, query: &str, answer: Answer) {
        lock(&self.state).answers.insert(query.to_owned(), answer);
    }

    /// Servers that run.
    pub fn running(&self) -> u64 {
        lock(&self.state).running
    }

    /// What the last one held.
    pub fn last(&self) -> Option<MemoryTarget> {
        lock(&self.state).last.clone()
    }
}

#[async_trait::async_trait]
impl Sandbox for MemorySandbox {
    fn kind(&self) -> &'static str {
        "a server in memory"
    }

    fn room_bytes(&self) -> u64 {
        self.room_bytes
    }

    async fn start(&self) -> Result<Box<dyn SandboxServer>> {
        let start = || {
            let target = MemoryTarget::new(self.faults.clone());
            let mut state = lock(&self.state);
            state.running += 1;
            state.last = Some(target.clone());
            Ok(Box::new(Running { target, sandbox: self.clone() }) as _)
        };
        self.faults.call("sandbox", "start", "", start).await
    }
}

struct Running {
    target: MemoryTarget,
    sandbox: MemorySandbox,
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.sandbox.state).running -= 1;
    }
}

#[async_trait::async_trait]
impl SandboxServer for Running {
    fn target(&self) -> Arc<dyn Target> {
        Arc::new(self.target.clone())
    }

    async fn ask(&self, query: &str, _: u32) -> Result<Answer> {
        let ask = || {
            let known = lock(&self.sandbox.state).answers.get(query).cloned();
            known.ok_or_else(|| Error::invalid("syntax error"))
        };
        self.sandbox.faults.call("sandbox", "ask", query, ask).await
    }

    async fn constraints(&self) -> Result<Constraints> {
        let constraints = || Ok(Constraints { validated: 2, not_validated: Vec::new() });
        self.sandbox.faults.call("sandbox", "constraints", "", constraints).await
    }

    async fn end(self: Box<Self>) -> Result<()> {
        self.sandbox.faults.call("sandbox", "end", "", || Ok(())).await
    }
}
