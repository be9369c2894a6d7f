//! What of a backup is wanted, and what that needs. Decides only.
//!
//! Whatever a chosen object depends on comes with it. Whatever belongs to a chosen table comes with it too: indexes, keys, triggers,
//! policies, comments, rights. A foreign key pulls nothing: to a table that is not chosen it is reported.

use crate::archive::Entry;
use crate::describe::some_of;
use engine::catalog::Warning;
use engine::error::{Error, Result};
use engine::scope::{RelationName, Scope};
use engine::source::{Table, TableKind};
use engine::target::{Outline, Rows, TableOutline};
use std::collections::{HashMap, HashSet};

const RELATIONS: [&str; 5] = ["TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE"];
/// Named after the relation that they belong to, and then themselves.
const NAMED_AFTER: [&str; 8] =
    ["CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "ROW SECURITY", "DEFAULT"];
/// Belong to the one relation that they depend on.
const OF_ONE: [&str; 2] = ["INDEX", "STATISTICS"];
/// Belong to all that they depend on.
const OF_ALL: [&str; 6] = ["INDEX ATTACH", "SEQUENCE OWNED BY", "SEQUENCE SET", "COMMENT", "SECURITY LABEL", "ACL"];

/// What calls others from within a database: Supabase's webhooks are triggers that do.
const CALLS: [&str; 4] = ["supabase_functions.http_request", "net.http_post", "net.http_get", "net.http_delete"];

/// The large objects, as a table that may be chosen.
const LARGE_OBJECTS: (&str, &str) = ("pg_catalog", "pg_largeobject");

/// What is wanted.
pub(super) struct Choice {
    /// In the archive's order.
    pub(super) entries: Vec<Entry>,
    /// Foreign keys that are left out.
    pub(super) warnings: Vec<Warning>,
    only: Option<Only>,
    pub(super) comes: Comes,
}

/// What of the backup may come here, whatever is chosen.
#[derive(Default)]
pub(super) struct Comes {
    /// Foreign keys between rows of different instants, or to rows that do not come: they may not hold.
    pub(super) doubtful: HashSet<u32>,
    /// What was left out.
    pub(super) warnings: Vec<Warning>,
    /// Tables whose rows do not come.
    rowless: HashSet<RelationName>,
}

impl Comes {
    /// Takes what would call others out of the entries.
    pub(super) fn new(entries: &mut Vec<Entry>, outline: &Outline) -> Self {
        let mut warnings = Vec::new();
        if outline.masked {
            let calls = |e: &Entry| e.kind == "TRIGGER" && CALLS.iter().any(|c| e.make.contains(c));
            warnings.extend(entries.iter().filter(|e| calls(e)).map(|e| Warning {
                code: "webhook_left_out".to_owned(),
                message: format!("{} calls others from within the database: it was left out", e.title()),
            }));
            entries.retain(|e| !calls(e));
        }
        let left_out = outline.tables.iter().filter(|t| matches!(t.rows, Rows::LeftOut(_)));
        Self {
            doubtful: doubtful(entries, &outline.tables),
            warnings,
            rowless: left_out.map(|t| name_of(&t.table.schema, &t.table.name)).collect(),
        }
    }

    /// Whether the rows of a table come, if it is chosen.
    pub(super) fn has_rows_of(&self, table: &Table) -> bool {
        !self.rowless.contains(&name_of(&table.schema, &table.name))
    }
}

/// Requires that all tables that are taken may be seen here.
///
/// # Errors
/// `Invalid`, naming those that may not, and why.
pub(super) fn require_allowed(outline: &Outline, takes: impl Fn(&Table) -> bool) -> Result<()> {
    let mut refused = Vec::new();
    for TableOutline { table, rows, .. } in outline.tables.iter().filter(|t| takes(&t.table)) {
        if let Rows::Refused(why) = rows {
            refused.push(format!("{}: {why}", name_of(&table.schema, &table.name)));
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} tables may not be restored here as they are: {}; nothing was changed. Say in the policies what becomes of each column",
        refused.len(),
        some_of(&refused)
    )))
}

/// The relations that are wanted, when not all are.
struct Only {
    relations: HashSet<RelationName>,
    schemas: HashSet<String>,
    large_objects: bool,
}

fn name_of(schema: &str, name: &str) -> RelationName {
    RelationName { schema: schema.to_owned(), name: name.to_owned() }
}

impl Choice {
    /// What an outline wants of an archive.
    ///
    /// # Errors
    /// `Invalid` for names that the backup does not have, for foreign keys to what is left out, if the scope does not say that
    /// these may be left out too, and for tables whose rows are refused.
    pub(super) fn new(mut entries: Vec<Entry>, outline: &Outline) -> Result<Self> {
        let comes = Comes::new(&mut entries, outline);
        let mut choice = Self::of_scope(entries, outline)?;
        choice.warnings.splice(..0, comes.warnings.iter().cloned());
        choice.comes = comes;
        require_allowed(outline, |table| choice.takes(table))?;
        Ok(choice)
    }

    fn of_scope(entries: Vec<Entry>, outline: &Outline) -> Result<Self> {
        let tables: Vec<&Table> = outline.tables.iter().map(|t| &t.table).collect();
        let everything = Self { entries, warnings: Vec::new(), only: None, comes: Comes::default() };
        let Some(scope) = &outline.scope else { return Ok(everything) };
        let Self { entries, .. } = everything;
        let large_objects = scope.tables.contains(&name_of(LARGE_OBJECTS.0, LARGE_OBJECTS.1));
        require_known(&entries, scope, &tables)?;
        let mut resolving = Resolving::new(&entries, scope);
        resolving.resolve();
        let references = resolving.references();
        let chosen = resolving.chosen;
        if !references.is_empty() && !scope.leave_out_references {
            return Err(Error::invalid(format!(
                "{} foreign keys refer to tables that are not chosen: {}; nothing was changed. Choose those tables too, \
                 or leave these keys out with `leaveOutReferences`",
                references.len(),
                references.join("; ")
            )));
        }
        let left_out = |message: String| Warning { code: "reference_left_out".to_owned(), message };
        let with_extension_tables = tables.iter().any(|t| {
            t.kind == TableKind::ExtensionTable
                && (scope.schemas.contains(&t.schema) || scope.tables.contains(&name_of(&t.schema, &t.name)))
        });
        let mut relations: HashSet<RelationName> = scope.tables.iter().cloned().collect();
        let mut kept = Vec::new();
        for entry in entries {
            // Which of the extensions a table came with is not recorded.
            if chosen.contains(&entry.id) || (with_extension_tables && entry.kind == "EXTENSION") {
                if RELATIONS.contains(&entry.kind.as_str()) {
                    relations.insert(name_of(&entry.schema, &entry.name));
                }
                kept.push(entry);
            }
        }
        Ok(Self {
            entries: kept,
            warnings: references.into_iter().map(left_out).collect(),
            comes: Comes::default(),
            only: Some(Only { relations, schemas: scope.schemas.iter().cloned().collect(), large_objects }),
        })
    }

    /// Whether the rows of a table are wanted.
    pub(super) fn takes(&self, table: &Table) -> bool {
        if !self.comes.has_rows_of(table) {
            return false;
        }
        let Some(only) = &self.only else { return true };
        match table.kind {
            TableKind::Table => only.relations.contains(&name_of(&table.schema, &table.name)),
            TableKind::LargeObjectPages => only.large_objects,
            TableKind::ExtensionTable => {
                only.schemas.contains(&table.schema) || only.relations.contains(&name_of(&table.schema, &table.name))
            }
        }
    }

    /// Whether a sequence or a view is wanted.
    pub(super) fn takes_relation(&self, schema: &str, name: &str) -> bool {
        let wanted = |only: &Only| only.schemas.contains(schema) || only.relations.contains(&name_of(schema, name));
        self.only.as_ref().is_none_or(wanted)
    }

    /// Whether large objects are wanted.
    pub(super) fn takes_large_objects(&self) -> bool {
        self.only.as_ref().is_none_or(|only| only.large_objects)
    }
}

fn require_known(entries: &[Entry], scope: &Scope, tables: &[&Table]) -> Result<()> {
    let mut relations: HashSet<RelationName> =
        entries.iter().filter(|e| RELATIONS.contains(&e.kind.as_str())).map(|e| name_of(&e.schema, &e.name)).collect();
    relations.extend(tables.iter().map(|t| name_of(&t.schema, &t.name)));
    let mut schemas: HashSet<&str> = entries.iter().map(|e| e.schema.as_str()).collect();
    schemas.extend(entries.iter().filter(|e| e.kind == "SCHEMA").map(|e| e.name.as_str()));
    let mut unknown: Vec<String> = scope
        .schemas
        .iter()
        .filter(|s| s.is_empty() || !schemas.contains(s.as_str()))
        .map(|s| format!("schema {s}"))
        .collect();
    unknown.extend(scope.tables.iter().filter(|t| !relations.contains(t)).map(|t| format!("table {t}")));
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("the backup has no {}; nothing was changed", unknown.join(", no "))))
}

/// The foreign keys of tables, or to tables, whose rows are not those of the snapshot's instant.
fn doubtful(entries: &[Entry], tables: &[TableOutline]) -> HashSet<u32> {
    let unsure = |t: &&TableOutline| matches!(t.rows, Rows::Older | Rows::LeftOut(_));
    let names: HashSet<RelationName> =
        tables.iter().filter(unsure).map(|t| name_of(&t.table.schema, &t.table.name)).collect();
    if names.is_empty() {
        return HashSet::new();
    }
    let by_id: HashMap<u32, &Entry> = entries.iter().map(|e| (e.id, e)).collect();
    let is_unsure = |e: &Entry| e.kind == "TABLE" && names.contains(&name_of(&e.schema, &e.name));
    let mut unsure: HashSet<u32> = entries.iter().filter(|e| is_unsure(e)).map(|e| e.id).collect();
    // The rows of a partition are its parent's.
    loop {
        let before = unsure.len();
        for attach in entries.iter().filter(|e| e.kind == "TABLE ATTACH") {
            unsure.extend(
                partition(attach, &by_id)
                    .filter(|(child, _)| unsure.contains(child))
                    .map(|(_, p)| p)
                    .collect::<Vec<_>>(),
            );
        }
        if unsure.len() == before {
            break;
        }
    }
    let keys = entries.iter().filter(|e| e.kind == "FK CONSTRAINT");
    let on_unsure = |e: &&Entry| {
        let through = e.depends_on.iter().filter_map(|d| by_id.get(d)).flat_map(|e| &e.depends_on);
        e.depends_on.iter().chain(through).any(|d| unsure.contains(d))
    };
    keys.filter(on_unsure).map(|e| e.id).collect()
}

struct Resolving<'a> {
    entries: &'a [Entry],
    scope: &'a Scope,
    by_id: HashMap<u32, &'a Entry>,
    /// The tables that a partition is attached to: it does not need them.
    attached_to: HashMap<u32, HashSet<u32>>,
    chosen: HashSet<u32>,
}

impl<'a> Resolving<'a> {
    fn new(entries: &'a [Entry], scope: &'a Scope) -> Self {
        let by_id: HashMap<u32, &Entry> = entries.iter().map(|e| (e.id, e)).collect();
        let mut attached_to: HashMap<u32, HashSet<u32>> = HashMap::new();
        for attach in entries.iter().filter(|e| e.kind == "TABLE ATTACH") {
            for (child, parent) in partition(attach, &by_id) {
                attached_to.entry(child).or_default().insert(parent);
            }
        }
        Self { entries, scope, by_id, attached_to, chosen: HashSet::new() }
    }

    fn resolve(&mut self) {
        for entry in self.entries {
            let kind = entry.kind.as_str();
            let belongs = NAMED_AFTER.contains(&kind) || OF_ONE.contains(&kind) || OF_ALL.contains(&kind);
            let named = RELATIONS.contains(&kind) && self.scope.tables.contains(&name_of(&entry.schema, &entry.name));
            let in_schema = self.scope.schemas.contains(&entry.schema) && !belongs && kind != "TABLE ATTACH";
            let schema = kind == "SCHEMA" && self.scope.schemas.contains(&entry.name);
            if named || in_schema || schema {
                self.choose(entry.id);
            }
        }
        loop {
            let before = self.chosen.len();
            for entry in self.entries {
                if !self.chosen.contains(&entry.id) && self.belongs(entry) {
                    self.choose(entry.id);
                }
            }
            if self.chosen.len() == before {
                return;
            }
        }
    }

    /// Chooses an entry and all that it needs.
    fn choose(&mut self, id: u32) {
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let Some(entry) = self.by_id.get(&id) else { continue };
            if !self.chosen.insert(id) {
                continue;
            }
            let not_needed = self.attached_to.get(&id);
            open.extend(entry.depends_on.iter().filter(|d| not_needed.is_none_or(|n| !n.contains(d))));
            let schema = self.entries.iter().find(|e| e.kind == "SCHEMA" && e.name == entry.schema);
            open.extend(schema.map(|s| s.id));
        }
    }

    /// The relations that an entry depends on.
    fn relations(&self, entry: &Entry) -> impl Iterator<Item = &'a Entry> {
        let found: Vec<&Entry> = entry.depends_on.iter().filter_map(|d| self.by_id.get(d).copied()).collect();
        found.into_iter().filter(|e| RELATIONS.contains(&e.kind.as_str()))
    }

    /// Whether it belongs to something that is chosen.
    fn belongs(&self, entry: &Entry) -> bool {
        let is_chosen = |e: &Entry| self.chosen.contains(&e.id);
        match entry.kind.as_str() {
            "FK CONSTRAINT" => self.owner(entry).is_some_and(is_chosen) && self.relations(entry).all(is_chosen),
            kind if NAMED_AFTER.contains(&kind) => self.owner(entry).is_some_and(is_chosen),
            kind if OF_ONE.contains(&kind) => self.relations(entry).any(is_chosen),
            "SEQUENCE" => self.relations(entry).any(|e| e.kind == "TABLE" && is_chosen(e)),
            "TABLE ATTACH" => partition(entry, &self.by_id).any(|(_, parent)| self.chosen.contains(&parent)),
            "ACL" | "COMMENT" if entry.depends_on.is_empty() => {
                // Of the schema public, which every database has.
                let schema = entry.name.strip_prefix("SCHEMA ");
                schema.is_some_and(|s| self.entries.iter().any(|e| e.schema == s && is_chosen(e)))
            }
            kind if OF_ALL.contains(&kind) => {
                !entry.depends_on.is_empty() && entry.depends_on.iter().all(|d| self.chosen.contains(d))
            }
            _ => false,
        }
    }

    /// The foreign keys of chosen tables to others.
    fn references(&self) -> Vec<String> {
        let is_chosen = |e: &&Entry| self.chosen.contains(&e.id);
        let keys = self.entries.iter().filter(|e| e.kind == "FK CONSTRAINT");
        let reference = |key: &Entry| {
            let owner = self.owner(key).filter(is_chosen)?;
            let others = self.relations(key).filter(|e| !is_chosen(e));
            let others: Vec<String> = others.map(|e| name_of(&e.schema, &e.name).to_string()).collect();
            let name = key.name.strip_prefix(&owner.name).unwrap_or(&key.name).trim();
            let from = name_of(&owner.schema, &owner.name);
            (!others.is_empty()).then(|| format!("{name} of {from} to {}", others.join(", ")))
        };
        keys.filter_map(reference).collect()
    }

    /// The relation that an entry is named after.
    fn owner(&self, entry: &Entry) -> Option<&'a Entry> {
        let named = |e: &&Entry| {
            e.schema == entry.schema
                && entry.name.strip_prefix(&e.name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        self.relations(entry).filter(named).max_by_key(|e| e.name.len())
    }
}

/// A partition and its parent, of an entry that attaches one: it is named after the partition.
fn partition<'a>(attach: &'a Entry, by_id: &HashMap<u32, &'a Entry>) -> impl Iterator<Item = (u32, u32)> {
    let of = |wanted: bool| {
        let found = attach.depends_on.iter().filter_map(|d| by_id.get(d));
        found
            .filter(|e| (e.name == attach.name && e.schema == attach.schema) == wanted)
            .map(|e| e.id)
            .collect::<Vec<_>>()
    };
    let (child, parents) = (of(true), of(false));
    child.into_iter().flat_map(move |c| parents.clone().into_iter().map(move |p| (c, p)))
}
