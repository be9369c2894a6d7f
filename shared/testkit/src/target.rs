//! A target in memory: it keeps rows and remembers segments, as a database does. One that is replaced shows nothing of it before
//! the end.

use crate::faults::FaultScript;
use crate::lock;
use crate::source::server;
use bytes::Bytes;
use engine::catalog::Warning;
use engine::error::{Error, Result};
use engine::id::SnapshotId;
use engine::source::{RowStream, Run, Server, Table};
use engine::target::{Batch, Loading, Outline, Standing, Target};
use futures::{StreamExt, stream};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

/// A target that survives whoever writes to it.
#[derive(Clone, Debug)]
pub struct MemoryTarget {
    state: Arc<Mutex<State>>,
    faults: FaultScript,
}

#[derive(Clone, Debug, Default)]
struct State {
    snapshot: Option<SnapshotId>,
    rows: BTreeMap<String, Vec<String>>,
    loaded: HashSet<u64>,
    completed: bool,
    proven: bool,
    finished: bool,
}

impl MemoryTarget {
    /// An empty one.
    pub fn new(faults: FaultScript) -> Self {
        Self { state: Arc::default(), faults }
    }

    /// One that is in use.
    pub fn in_use(rows: BTreeMap<String, Vec<String>>, faults: FaultScript) -> Self {
        let state = State { rows, finished: true, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), faults }
    }

    /// Its rows, by table, sorted; tables without rows are left out.
    pub fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let mut rows = lock(&self.state).rows.clone();
        rows.values_mut().for_each(|rows| rows.sort());
        rows
    }

    /// Whether a restore into it was ended.
    pub fn is_finished(&self) -> bool {
        lock(&self.state).finished
    }
}

#[async_trait::async_trait]
impl Target for MemoryTarget {
    async fn inspect(&self, outline: &Outline) -> Result<Standing> {
        let Server { system_identifier, database_oid, .. } = server();
        let inspect = || {
            let state = lock(&self.state);
            let same = state.finished && outline.replace && state.snapshot == Some(outline.snapshot);
            let replaced = same.then(|| "the target was replaced by this snapshot already".to_owned());
            Ok(Standing { system_identifier, database_oid, in_use: state.finished, replaced })
        };
        self.faults.call("target", "inspect", "", inspect).await
    }

    async fn begin(&self, outline: Outline) -> Result<Box<dyn Loading>> {
        let begin = || {
            let mut state = lock(&self.state);
            if state.finished && outline.replace {
                if state.snapshot == Some(outline.snapshot) {
                    return Err(Error::conflict("the target was replaced by this snapshot already"));
                }
                let made = State { snapshot: Some(outline.snapshot), ..State::default() };
                return Ok(MemoryLoading {
                    state: Arc::new(Mutex::new(made)),
                    target: self.clone(),
                    loaded: HashSet::new(),
                    proven: false,
                });
            }
            if state.finished || state.snapshot.is_some_and(|s| s != outline.snapshot) {
                return Err(Error::invalid("the target is not empty"));
            }
            state.snapshot = Some(outline.snapshot);
            Ok(MemoryLoading {
                state: Arc::clone(&self.state),
                target: self.clone(),
                loaded: state.loaded.clone(),
                proven: state.proven,
            })
        };
        let loading = self.faults.call("target", "begin", "", begin).await?;
        Ok(Box::new(loading))
    }
}

struct MemoryLoading {
    /// The target's own, or what takes its place in the end.
    state: Arc<Mutex<State>>,
    target: MemoryTarget,
    loaded: HashSet<u64>,
    /// When it was begun or taken up.
    proven: bool,
}

#[async_trait::async_trait]
impl Loading for MemoryLoading {
    fn takes(&self, _table: &Table) -> bool {
        true
    }

    fn loaded(&self) -> &HashSet<u64> {
        &self.loaded
    }

    async fn load(&self, batch: &Batch, mut rows: RowStream) -> Result<u64> {
        let mut text = Vec::new();
        while let Some(chunk) = rows.next().await {
            text.extend_from_slice(&chunk?);
        }
        let text = String::from_utf8(text).map_err(|e| Error::invalid("rows that are not text").with_source(e))?;
        let new: Vec<String> = text.lines().map(str::to_owned).collect();
        let effect = || {
            let mut state = lock(&self.state);
            let count = new.len() as u64;
            for segment in &batch.segments {
                if !state.loaded.insert(*segment) {
                    return Err(Error::invalid(format!("segment {segment} is there already")));
                }
            }
            let rows = state.rows.entry(batch.table.name.clone()).or_default();
            if batch.whole && !rows.is_empty() {
                return Err(Error::invalid(format!("{} is not empty", batch.table.name)));
            }
            rows.extend(new);
            Ok(count)
        };
        self.target.faults.call("target", "load", format!("{:?}", batch.segments), effect).await
    }

    async fn complete(&self) -> Result<Vec<Warning>> {
        let effect = || {
            lock(&self.state).completed = true;
            Ok(Vec::new())
        };
        self.target.faults.call("target", "complete", "", effect).await
    }

    async fn runs(&self, _table: &Table) -> Result<Vec<Option<Run>>> {
        self.target.faults.call("target", "runs", "", || Ok(vec![None])).await
    }

    async fn read_back(&self, table: &Table, _run: Option<Run>) -> Result<RowStream> {
        let effect = || {
            let rows = lock(&self.state).rows.get(&table.name).cloned().unwrap_or_default();
            let text: String = rows.into_iter().flat_map(|row| [row, "\n".to_owned()]).collect();
            Ok(Box::pin(stream::iter([Ok(Bytes::from(text))])) as RowStream)
        };
        self.target.faults.call("target", "read_back", &table.name, effect).await
    }

    fn is_proven(&self) -> bool {
        self.proven
    }

    async fn note_proven(&self) -> Result<()> {
        let effect = || {
            let mut state = lock(&self.state);
            if !state.completed {
                return Err(Error::internal("a restore was proven before it was complete"));
            }
            state.proven = true;
            Ok(())
        };
        self.target.faults.call("target", "note_proven", "", effect).await
    }

    async fn finish(&self) -> Result<Vec<Warning>> {
        let effect = || {
            let finished = {
                let mut state = lock(&self.state);
                if !state.proven {
                    return Err(Error::internal("a restore was ended before it was proven"));
                }
                state.finished = true;
                state.clone()
            };
            *lock(&self.target.state) = finished;
            Ok(Vec::new())
        };
        self.target.faults.call("target", "finish", "", effect).await
    }
}
