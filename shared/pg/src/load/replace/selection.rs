//! What of an archive is made when schemas are replaced. Decides only.
//!
//! A schema is replaced whole or not at all. What belongs to no schema, such as an extension, is made only if the target lacks it.

use super::{is_kind, is_plain};
use crate::archive::Entry;
use crate::load::plan::Ownership;
use crate::project::is_managed;
use engine::catalog::Warning;
use engine::error::{Error, Result};
use engine::scope::Scope;
use engine::source::{Table, quote_identifier};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What says something of another object.
const REMARKS: [&str; 4] = ["ACL", "DEFAULT ACL", "COMMENT", "SECURITY LABEL"];
/// What an owner may put on a service's tables.
const ON_MANAGED: [&str; 2] = ["TRIGGER", "POLICY"];
const RELATIONS: [&str; 2] = ["TABLE", "FOREIGN TABLE"];

/// What is replaced, and by what.
pub(super) struct Swap {
    /// The schemas that are replaced.
    pub(super) schemas: BTreeSet<String>,
    /// What is made in them, and for them.
    pub(super) entries: Vec<Entry>,
    /// What is made on tables that stay, at the very end: foreign keys to them, triggers and policies on them.
    pub(super) live: Vec<Entry>,
    /// Of these, the triggers and policies of the target that call something that is replaced, by their title.
    pub(super) stale: HashSet<String>,
    /// What is left out.
    pub(super) warnings: Vec<Warning>,
    is_project: bool,
    is_whole: bool,
}

impl Swap {
    /// Of an archive, before the target was looked at.
    ///
    /// # Errors
    /// `Invalid` for schemas that the backup does not have or that a project's services keep.
    pub(super) fn new(entries: Vec<Entry>, scope: Option<&Scope>, is_project: bool) -> Result<Self> {
        let keeps = |schema: &str| is_project && is_managed(schema);
        let mut known: BTreeSet<String> =
            entries.iter().filter(|e| e.kind == "SCHEMA").map(|e| e.name.clone()).collect();
        // Every database has it, and the archive names it only when it is special.
        known.insert("public".to_owned());
        let schemas: BTreeSet<String> = match scope {
            None => known.into_iter().filter(|s| !keeps(s)).collect(),
            Some(scope) => {
                if let Some(kept) = scope.schemas.iter().find(|s| keeps(s)) {
                    return Err(Error::invalid(format!(
                        "the schema {kept} is kept by the project's services and cannot be replaced; nothing was changed. Leave it out of \
                         `include`, or restore into a new project"
                    )));
                }
                if let Some(unknown) = scope.schemas.iter().find(|s| !known.contains(*s)) {
                    return Err(Error::invalid(format!("the backup has no schema {unknown}; nothing was changed")));
                }
                scope.schemas.iter().cloned().collect()
            }
        };
        let leave_out_references = scope.is_some_and(|s| s.leave_out_references);
        let mut swap = Self {
            schemas,
            entries: Vec::new(),
            live: Vec::new(),
            stale: HashSet::new(),
            warnings: Vec::new(),
            is_project,
            is_whole: scope.is_none(),
        };
        swap.entries = swap.chosen(entries, leave_out_references);
        Ok(swap)
    }

    /// Whether the rows of a table are restored.
    pub(super) fn takes(&self, table: &Table) -> bool {
        is_plain(table) && self.schemas.contains(&table.schema)
    }

    /// Whether the archive has a trigger or a policy on a table that stays, under this title.
    pub(super) fn remakes(&self, title: &str) -> bool {
        self.entries.iter().any(|e| self.is_on_managed(e) && e.title() == title)
    }

    /// Whether the schema public is replaced and the archive does not say whose it is.
    pub(super) fn leaves_public_to_its_owner(&self, owners: &[Ownership]) -> bool {
        self.schemas.contains("public") && !owners.iter().any(|o| o.title == "SCHEMA public")
    }

    fn is_on_managed(&self, entry: &Entry) -> bool {
        self.is_project && is_managed(&entry.schema) && is_kind(entry, &ON_MANAGED)
    }

    /// The entries of the schemas, and those of none.
    fn chosen(&mut self, entries: Vec<Entry>, leave_out_references: bool) -> Vec<Entry> {
        let by_id: HashMap<u32, &Entry> = entries.iter().map(|e| (e.id, e)).collect();
        let outside = |e: &Entry| {
            let mut found = e.depends_on.iter().filter_map(|d| by_id.get(d));
            found.find(|d| is_kind(d, &RELATIONS) && !self.schemas.contains(&d.schema)).map(|d| d.title())
        };
        let mut kept: HashSet<u32> = HashSet::new();
        let mut warnings = Vec::new();
        for entry in &entries {
            let inside =
                self.schemas.contains(&entry.schema) || (entry.kind == "SCHEMA" && self.schemas.contains(&entry.name));
            match outside(entry).filter(|_| inside && entry.kind == "FK CONSTRAINT" && leave_out_references) {
                Some(to) => warnings.push(Warning {
                    code: "reference_left_out".to_owned(),
                    message: format!("{} {} refers to {to}", entry.schema, entry.name),
                }),
                None if inside => {
                    kept.insert(entry.id);
                }
                None => {}
            }
        }
        // What belongs to no schema: all of it, or what the schemas need.
        let of_none = |e: &Entry| e.schema.is_empty() && e.kind != "SCHEMA" && !is_kind(e, &REMARKS);
        let mut open: Vec<&Entry> = entries.iter().filter(|e| kept.contains(&e.id)).collect();
        if self.is_whole {
            kept.extend(entries.iter().filter(|e| of_none(e)).map(|e| e.id));
        }
        while let Some(entry) = open.pop() {
            for needed in entry.depends_on.iter().filter_map(|d| by_id.get(d)) {
                if of_none(needed) && kept.insert(needed.id) {
                    open.push(needed);
                }
            }
        }
        let calls = |e: &Entry| self.is_whole || e.depends_on.iter().any(|d| kept.contains(d));
        let on_managed: Vec<u32> = entries.iter().filter(|e| self.is_on_managed(e) && calls(e)).map(|e| e.id).collect();
        kept.extend(on_managed);
        let remarks: Vec<u32> =
            entries.iter().filter(|e| is_kind(e, &REMARKS) && self.is_wanted(e, &kept)).map(|e| e.id).collect();
        kept.extend(remarks);
        self.warnings = warnings;
        entries.into_iter().filter(|e| kept.contains(&e.id)).collect()
    }

    /// Whether a remark is of something that is made. It names a schema as SQL does.
    fn is_wanted(&self, remark: &Entry, kept: &HashSet<u32>) -> bool {
        if self.is_project && remark.owner.starts_with("supabase_") {
            return false;
        }
        if remark.kind == "DEFAULT ACL" {
            return self.schemas.contains(&remark.schema) || (remark.schema.is_empty() && self.is_whole);
        }
        match remark.name.strip_prefix("SCHEMA ") {
            // Quoted there if it needs that.
            Some(of) if remark.schema.is_empty() => self.schemas.iter().any(|s| s == of || quote_identifier(s) == of),
            _ => !remark.depends_on.is_empty() && remark.depends_on.iter().all(|d| kept.contains(d)),
        }
    }

    /// Takes out what the target has, and puts aside what is made at the very end. `there` are the titles of what the target has outside
    /// of the schemas; `stale` are triggers and policies of it that call something that is replaced; `extensions` go to new schemas.
    pub(super) fn narrow(
        mut self,
        there: &HashSet<String>,
        stale: &HashSet<String>,
        extensions: &[(String, String)],
    ) -> Self {
        let entries = std::mem::take(&mut self.entries);
        let by_id: HashMap<u32, &Entry> = entries.iter().map(|e| (e.id, e)).collect();
        let (mut gone, mut live) = (HashSet::new(), HashSet::new());
        for entry in &entries {
            let title = entry.title();
            let of_none = entry.schema.is_empty() && entry.kind != "SCHEMA";
            let has = there.contains(&title) && !stale.contains(&title);
            if has && (of_none || self.is_on_managed(entry)) {
                gone.insert(entry.id);
            } else if self.is_on_managed(entry)
                // By now there is only what is chosen: whatever else a key needs is of a table that stays.
                || (entry.kind == "FK CONSTRAINT" && entry.depends_on.iter().any(|d| !by_id.contains_key(d)))
            {
                live.insert(entry.id);
            }
        }
        for remark in entries.iter().filter(|e| is_kind(e, &REMARKS)) {
            if remark.depends_on.iter().any(|d| gone.contains(d)) {
                gone.insert(remark.id);
            } else if remark.depends_on.iter().any(|d| live.contains(d)) {
                live.insert(remark.id);
            }
        }
        (self.live, self.entries) =
            entries.into_iter().filter(|e| !gone.contains(&e.id)).partition(|e| live.contains(&e.id));
        // A schema that an extension was moved to is there when its turn comes.
        let is_made = |e: &&mut Entry| e.kind == "SCHEMA" && extensions.iter().any(|(_, schema)| *schema == e.name);
        self.entries.iter_mut().filter(is_made).for_each(|e| e.make.clear());
        self.stale = stale.clone();
        self
    }
}
