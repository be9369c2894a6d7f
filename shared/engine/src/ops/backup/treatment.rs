//! What a backup does with each table, by the class that it belongs to and by what was asked for.

use super::Backup;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::manifest::{Origin, TableManifest};
use crate::policy::Policies;
use crate::queue::EVERYTHING;
use crate::reuse::{Kept, Reusable};
use crate::scope::RelationName;
use crate::segment::Segment;
use crate::source::{Coverage, CoverageState, Description, Table};
use crate::storage::StoredObject;
use std::collections::HashSet;
use std::sync::Arc;

/// What a bucket's name is written after, where a part of the source may be named.
const BUCKET: &str = "bucket:";
/// The schema in which Storage lists its objects.
const STORAGE_SCHEMA: &str = "storage";
/// Words for the whole source, where a part of it may be named.
const WHOLE: [&str; 3] = [EVERYTHING, "automatic", "database"];

/// What is done with a table.
#[derive(Clone, Debug)]
pub(super) enum Treatment {
    /// It is read.
    Read,
    /// It is not its turn: the snapshot holds what the last one holds.
    Keep(Arc<Kept>),
    /// Its rows are never read. Names the class.
    Exclude(String),
}

impl Treatment {
    /// What is kept is believed no more.
    pub(super) fn read_if_kept(&mut self) {
        if matches!(self, Self::Keep(_)) {
            *self = Self::Read;
        }
    }
}

impl Kept {
    /// Its segments, each with who copied it if it has rows.
    pub(super) fn with_origins(&self) -> impl Iterator<Item = (Segment, Option<Origin>)> {
        let mut origins = self.origins.iter();
        self.segments
            .iter()
            .map(move |s| (s.clone(), if s.extents.is_empty() { None } else { origins.next().copied() }))
    }
}

impl Backup {
    /// What is done with each table of a source.
    ///
    /// # Errors
    /// `Invalid` when `part` names nothing of it.
    pub(super) fn treatments(
        &self,
        part: Option<&str>,
        description: &Description,
        objects: Option<&[StoredObject]>,
        reusable: &Reusable,
        now: Timestamp,
    ) -> Result<Vec<Treatment>> {
        let policies = &self.settings.policies;
        let part = match part {
            Some(name) if name == self.settings.source => Some(Part::Everything),
            Some(name) => Some(Part::parse(name, policies, &description.tables, objects)?),
            None => None,
        };
        let treatment = |table: &Table| {
            let class = policies.class_of(table);
            if let Some(class) = class.filter(|c| c.exclude) {
                return Treatment::Exclude(class.name.clone());
            }
            let Some(kept) = reusable.kept(table) else { return Treatment::Read };
            let its_turn = match &part {
                Some(part) => part.has(table, policies),
                None => class.and_then(|c| c.every).is_none_or(|every| {
                    // A schedule is never quite on time: what would be due a little later is due.
                    let span = every.seconds() * 1_000;
                    now.since(kept.taken_at) >= span - span / 10
                }),
            };
            if its_turn { Treatment::Read } else { Treatment::Keep(Arc::new(kept.clone())) }
        };
        Ok(description.tables.iter().map(treatment).collect())
    }
}

/// A part of a source, as a person names it.
enum Part {
    /// Also what is not due.
    Everything,
    Class(String),
    Schema(String),
    Table(RelationName),
    /// What Storage lists; which bucket of it is the objects' matter.
    Bucket,
}

/// The bucket that a part of the source is.
pub(super) fn bucket_of(part: &str) -> Option<&str> {
    part.strip_prefix(BUCKET)
}

impl Part {
    /// Without a Storage that is set up, no part is a bucket.
    fn parse(name: &str, policies: &Policies, tables: &[Table], objects: Option<&[StoredObject]>) -> Result<Self> {
        if WHOLE.contains(&name) {
            return Ok(Self::Everything);
        }
        if let Some(bucket) = bucket_of(name) {
            let objects = objects.ok_or_else(|| {
                Error::invalid(
                    "the objects of Storage are not backed up, so no bucket is: set BACKUP_STORAGE_SECRET_ARN",
                )
            })?;
            if objects.iter().any(|object| object.bucket == bucket) {
                return Ok(Self::Bucket);
            }
        }
        let parts = [
            Some(Self::Class(name.to_owned())),
            Some(Self::Schema(name.to_owned())),
            RelationName::try_from(name.to_owned()).ok().map(Self::Table),
        ];
        let there = |part: &Self| tables.iter().any(|table| part.has(table, policies));
        parts.into_iter().flatten().find(there).ok_or_else(|| {
            let classes: HashSet<&str> = tables.iter().filter_map(|t| policies.class_of(t)).map(|c| c.name.as_str()).collect();
            let mut classes: Vec<&str> = classes.into_iter().collect();
            classes.sort_unstable();
            Error::invalid(format!(
                "the source has no class, schema, table or bucket `{}`; name a table with its schema, such as public.orders, and a \
                 bucket such as bucket:avatars; there are these classes: {}",
                name.chars().filter(|c| !c.is_control()).take(120).collect::<String>(),
                if classes.is_empty() { "none".to_owned() } else { classes.join(", ") }
            ))
        })
    }

    fn has(&self, table: &Table, policies: &Policies) -> bool {
        match self {
            Self::Class(name) => policies.class_of(table).is_some_and(|c| c.name == *name),
            Self::Schema(schema) => table.schema == *schema,
            Self::Everything => true,
            Self::Bucket => table.schema == STORAGE_SCHEMA,
            Self::Table(name) => table.schema == name.schema && table.name == name.name,
        }
    }
}

/// What the coverage says of tables that were not read.
pub(super) fn coverage(tables: &[TableManifest]) -> impl Iterator<Item = Coverage> {
    tables.iter().filter_map(|t| {
        let part = format!("{}.{}", t.table.schema, t.table.name);
        match (&t.excluded, t.taken_at) {
            (Some(class), _) => Some(Coverage {
                part,
                state: CoverageState::NotConfigured,
                detail: format!("its class `{class}` excludes its rows; its structure is backed up"),
            }),
            (None, Some(taken_at)) => Some(Coverage {
                part,
                state: CoverageState::BackedUp,
                detail: format!("its rows are of {taken_at}: it was not its turn"),
            }),
            (None, None) => None,
        }
    })
}
