//! A source that hides from the backup one reason for which stored rows may not be used again.

use bytes::Bytes;
use engine::error::Result;
use engine::id::AttemptId;
use engine::source::{Capture, Description, Lineage, RowStream, Run, RunPrint, Source, Table};
use engine::storage::StoredObject;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// What can be hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// That the database has forgotten an attempt, or never knew it.
    Lineage,
    /// That the attempt's id is on disk before anything is copied.
    Remembering,
    /// That it is another cluster.
    Cluster,
    /// That it is another timeline.
    Timeline,
    /// That a table has another file.
    File,
    /// That rows are written otherwise.
    Definition,
    /// How many transactions there were.
    Age,
    /// That a run may hold rows that are newer than the copy.
    NewestRow,
    /// That the text of a row depends on something else.
    Steadiness,
}

/// What is hidden, over all backups of a history.
#[derive(Clone)]
pub(super) struct Doctored {
    hidden: Arc<[Condition]>,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    first: Option<Description>,
    attempts: BTreeSet<AttemptId>,
}

impl Doctored {
    pub(super) fn hiding(hidden: &[Condition]) -> Self {
        Self { hidden: hidden.into(), memory: Arc::default() }
    }

    pub(super) fn source(&self, inner: Arc<dyn Source>) -> Arc<dyn Source> {
        Arc::new(DoctoredSource { inner, doctored: self.clone() })
    }

    fn hides(&self, condition: Condition) -> bool {
        self.hidden.contains(&condition)
    }

    /// The description as it was in the first backup, where it is to be hidden that it changed.
    fn doctor(&self, mut now: Description) -> Description {
        let mut memory = self.memory.lock().expect("no panic");
        if self.hides(Condition::Steadiness) {
            now.tables.iter_mut().for_each(|table| table.unsteady = None);
        }
        if self.hides(Condition::Lineage) {
            now.lineage = Lineage::Known(memory.attempts.clone());
        }
        let first = memory.first.get_or_insert_with(|| now.clone());
        if self.hides(Condition::Cluster) {
            now.server.system_identifier.clone_from(&first.server.system_identifier);
        }
        if self.hides(Condition::Timeline) {
            now.server.timeline = first.server.timeline;
        }
        if self.hides(Condition::Age) {
            now.server.transaction_id = first.server.transaction_id;
        }
        for table in &mut now.tables {
            let Some(first) = first.tables.iter().find(|t| t.oid == table.oid) else { continue };
            if self.hides(Condition::File) {
                table.relfilenode = first.relfilenode;
            }
            if self.hides(Condition::Definition) {
                table.definition.clone_from(&first.definition);
            }
        }
        now
    }
}

struct DoctoredSource {
    inner: Arc<dyn Source>,
    doctored: Doctored,
}

#[async_trait::async_trait]
impl Source for DoctoredSource {
    async fn capture(&self) -> Result<Box<dyn Capture>> {
        let inner = self.inner.capture().await?;
        let description = self.doctored.doctor(inner.description().clone());
        Ok(Box::new(DoctoredCapture { inner, description, doctored: self.doctored.clone() }))
    }
}

struct DoctoredCapture {
    inner: Box<dyn Capture>,
    description: Description,
    doctored: Doctored,
}

#[async_trait::async_trait]
impl Capture for DoctoredCapture {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn stored_objects(&self) -> Result<Vec<StoredObject>> {
        self.inner.stored_objects().await
    }

    fn schema(&self) -> Bytes {
        self.inner.schema()
    }

    async fn fingerprints(&self, table: &Table, blocks: u32) -> Result<Vec<RunPrint>> {
        let mut prints = self.inner.fingerprints(table, blocks).await?;
        if self.doctored.hides(Condition::NewestRow) {
            prints.iter_mut().for_each(|print| print.newest_transaction_id = 0);
        }
        Ok(prints)
    }

    async fn remember(&self, attempt: AttemptId, keep: &BTreeSet<AttemptId>) -> Result<()> {
        self.doctored.memory.lock().expect("no panic").attempts.insert(attempt);
        match self.doctored.hides(Condition::Remembering) {
            true => Ok(()),
            false => self.inner.remember(attempt, keep).await,
        }
    }

    async fn copy(&self, table: &Table, run: Option<Run>) -> Result<RowStream> {
        self.inner.copy(table, run).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
