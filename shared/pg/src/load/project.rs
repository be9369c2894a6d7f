//! A Supabase project as the target. It is never quite empty: its services made schemas, which they keep up to date themselves.
//!
//! So nothing is made in those but the owner's triggers and policies; the owner's rows go into the tables that are there; and what
//! belongs to the services alone stays as it is.

use super::choice::Choice;
use crate::archive::Entry;
use crate::capture::literal;
use crate::describe::some_of;
use crate::project::{MANAGED, is_managed};
use crate::wire::{Wire, parsed, text};
use engine::catalog::Warning;
use engine::error::{Error, Result, ResultExt};
use engine::scope::RelationName;
use engine::source::{Table, quote_identifier};
use engine::target::TableOutline;
use std::collections::{HashMap, HashSet};

/// Of the managed schemas, those whose rows are the owner's.
const WITH_ROWS: [&str; 5] = ["auth", "cron", "pgmq", "storage", "supabase_functions"];
/// Tables of them in which a service notes the state of its own schema.
const NOTES: [(&str, &str); 3] =
    [("auth", "schema_migrations"), ("storage", "migrations"), ("supabase_functions", "migrations")];
/// Tables of them that hold what lies elsewhere with a service, or its log: a project's owner may not write into each.
const OF_THE_SERVICE: [(&str, &str); 8] = [
    ("cron", "job"),
    ("cron", "job_run_details"),
    ("storage", "buckets_analytics"),
    ("storage", "buckets_vectors"),
    ("storage", "iceberg_namespaces"),
    ("storage", "iceberg_tables"),
    ("storage", "vector_indexes"),
    ("supabase_functions", "hooks"),
];
/// What an owner may put on a service's tables.
const ON_MANAGED: [&str; 2] = ["TRIGGER", "POLICY"];
/// What says something of another object.
const REMARKS: [&str; 4] = ["ACL", "DEFAULT ACL", "COMMENT", "SECURITY LABEL"];

/// What the project has.
pub(super) struct Project {
    titles: HashSet<String>,
    columns: HashMap<RelationName, HashSet<String>>,
    /// Tables that the role that restores may not write into.
    closed: HashSet<RelationName>,
}

/// What of a backup goes into a project's own schemas.
#[derive(Default)]
pub(super) struct Managed {
    /// Tables that are there, whose rows are restored.
    loaded: HashSet<RelationName>,
    /// Tables whose rows stay the project's.
    kept: HashSet<RelationName>,
    /// The owner's triggers and policies on the project's tables, by their number.
    pub(super) entries: HashSet<u32>,
}

fn name_of(table: &Table) -> RelationName {
    RelationName { schema: table.schema.clone(), name: table.name.clone() }
}

fn is_one_of(name: &RelationName, tables: &[(&str, &str)]) -> bool {
    tables.contains(&(name.schema.as_str(), name.name.as_str()))
}

fn is_note(name: &RelationName) -> bool {
    is_one_of(name, &NOTES)
}

fn is_owners(name: &RelationName) -> bool {
    WITH_ROWS.contains(&name.schema.as_str()) && !is_note(name)
}

impl Managed {
    /// Whether the rows of a table go into one that the project made.
    pub(super) fn loads(&self, table: &Table) -> bool {
        self.loaded.contains(&name_of(table))
    }

    /// Whether the project keeps its own rows of a table.
    pub(super) fn keeps(&self, table: &Table) -> bool {
        self.kept.contains(&name_of(table))
    }
}

impl Project {
    pub(super) async fn read(restorer: &mut Wire) -> Result<Self> {
        let rows = restorer.query(include_str!("project.sql")).await.context("look at the project")?;
        let titles = rows.iter().map(|row| text(row, 0).map(str::to_owned)).collect::<Result<_>>()?;
        let schemas = MANAGED.map(literal).join(", ");
        let rows = restorer
            .query(&format!(
                "select n.nspname, c.relname, a.attname,
                    has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'insert')
                from pg_attribute as a join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace
                where n.nspname in ({schemas}) and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''"
            ))
            .await
            .context("look at the project's tables")?;
        let mut columns: HashMap<RelationName, HashSet<String>> = HashMap::new();
        let mut closed = HashSet::new();
        for row in &rows {
            let name = RelationName { schema: text(row, 0)?.to_owned(), name: text(row, 1)?.to_owned() };
            if text(row, 3)? == "f" {
                closed.insert(name.clone());
            }
            columns.entry(name).or_default().insert(text(row, 2)?.to_owned());
        }
        Ok(Self { titles, columns, closed })
    }

    /// The tables of a backup whose rows would go into tables that the project made.
    pub(super) fn loadable(&self, tables: &[TableOutline]) -> Vec<RelationName> {
        let named = tables.iter().map(|t| name_of(&t.table)).filter(|name| self.columns.contains_key(name));
        named.filter(|n| is_owners(n) && !self.closed.contains(n)).collect()
    }

    /// Takes out of a choice what the project has or makes itself; not what an interrupted restore `made`.
    ///
    /// # Errors
    /// `Unsupported` when a table of the project lacks a column of the backup's; `Denied` when the role may not write into one of
    /// the tables that hold the owner's rows.
    pub(super) fn narrow(&self, choice: &mut Choice, tables: &[TableOutline], made: &HashSet<u32>) -> Result<Managed> {
        let mut managed = Managed::default();
        let (mut left, mut absent, mut older, mut closed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for TableOutline { table, count, .. } in
            tables.iter().filter(|t| is_managed(&t.table.schema) && choice.takes(&t.table))
        {
            let name = name_of(table);
            let is_owners = is_owners(&name);
            match self.columns.get(&name) {
                Some(there) if is_owners && !self.closed.contains(&name) => {
                    let missing = table.columns.iter().filter(|c| !there.contains(*c));
                    older.extend(missing.map(|c| format!("{name}.{c}")));
                    managed.loaded.insert(name);
                    continue;
                }
                _ if *count == 0 || is_note(&name) => {}
                None if is_owners => absent.push(name.to_string()),
                Some(_) if is_owners && !is_one_of(&name, &OF_THE_SERVICE) => closed.push(name.to_string()),
                _ => left.push(name.to_string()),
            }
            managed.kept.insert(name);
        }
        if !older.is_empty() {
            return Err(Error::unsupported(format!(
                "the project lacks columns that the backup has: {}; nothing was changed. Its services are of an older version than \
                 those of the source: bring the project up to date",
                some_of(&older)
            )));
        }
        if !closed.is_empty() {
            return Err(Error::denied(format!(
                "the role that restores may not write into {} of the project; nothing was changed. Restore as `postgres`, grant it \
                 `insert` on them, or leave their rows out by `exclude`",
                some_of(&closed)
            )));
        }
        if !left.is_empty() {
            choice.warnings.push(Warning {
                code: "managed_rows".to_owned(),
                message: format!(
                    "the rows of {} stay in the backup: the project's services keep these tables themselves",
                    some_of(&left)
                ),
            });
        }
        if !absent.is_empty() {
            choice.warnings.push(Warning {
                code: "managed_absent".to_owned(),
                message: format!("the rows of {} stay in the backup: the project has no such tables", some_of(&absent)),
            });
        }
        choice.entries.retain(|entry| self.is_missing(entry, made, &mut managed.entries));
        Ok(managed)
    }

    /// Whether an entry must be made.
    fn is_missing(&self, entry: &Entry, made: &HashSet<u32>, on_managed: &mut HashSet<u32>) -> bool {
        let kind = entry.kind.as_str();
        let there = self.titles.contains(&entry.title()) && !made.contains(&entry.id);
        let managed = is_managed(&entry.schema) || (kind == "SCHEMA" && is_managed(&entry.name));
        match kind {
            _ if REMARKS.contains(&kind) => {
                let of_schema = entry.name.strip_prefix("SCHEMA ").is_some_and(is_managed);
                let of_extension = kind == "COMMENT" && self.titles.contains(&entry.name);
                !(managed || of_schema || of_extension || entry.owner.starts_with("supabase_"))
            }
            _ if there => false,
            _ if managed && ON_MANAGED.contains(&kind) => {
                on_managed.insert(entry.id);
                true
            }
            _ => !managed,
        }
    }
}

/// Requires that the tables that are loaded hold nothing yet, and that whoever restores can load them.
pub(super) async fn require_empty(restorer: &mut Wire, managed: &Managed) -> Result<()> {
    if managed.loaded.is_empty() {
        return Ok(());
    }
    let filled = filled(restorer, managed.loaded.iter()).await?;
    if !filled.is_empty() {
        return Err(Error::invalid(format!(
            "the project is not empty: {} hold rows; nothing was changed. Restore into a new project",
            some_of(&filled)
        )));
    }
    // For a superuser another role makes what comes, and it has no rights in the services' schemas.
    let rows = restorer.query("show is_superuser").await.context("look at the role that restores")?;
    if rows.first().is_some_and(|row| matches!(text(row, 0), Ok("on"))) {
        return Err(Error::invalid(
            "a superuser cannot restore into a project's own tables; nothing was changed. Restore as the project's owner, `postgres`",
        ));
    }
    Ok(())
}

/// Those of some tables that hold rows.
pub(super) async fn filled<'a>(
    restorer: &mut Wire,
    tables: impl Iterator<Item = &'a RelationName>,
) -> Result<Vec<String>> {
    let mut filled = Vec::new();
    for name in tables {
        let rows = restorer.query(&format!("select exists (select from only {})", quoted(name))).await?;
        if rows.first().is_some_and(|row| matches!(text(row, 0), Ok("t"))) {
            filled.push(name.to_string());
        }
    }
    filled.sort();
    Ok(filled)
}

fn quoted(name: &RelationName) -> String {
    format!("{}.{}", quote_identifier(&name.schema), quote_identifier(&name.name))
}

/// The project's foreign keys did not check the rows as they came: they are checked now. The source may have had such rows.
pub(super) async fn check_references(restorer: &mut Wire, managed: &Managed) -> Result<Vec<Warning>> {
    if managed.loaded.is_empty() {
        return Ok(Vec::new());
    }
    let tables = managed.loaded.iter().map(|n| literal(&quoted(n))).collect::<Vec<_>>().join(", ");
    let rows = restorer
        .query(&format!(
            "select k.conname, k.conrelid::regclass, k.confrelid::regclass,
                (
                    select string_agg(format('f.%I = p.%I', a.attname, b.attname), ' and ')
                    from unnest(k.conkey, k.confkey) as c(a, b)
                    join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = c.a
                    join pg_attribute as b on b.attrelid = k.confrelid and b.attnum = c.b
                ),
                (
                    select string_agg(format('f.%I is not null', a.attname), ' and ')
                    from unnest(k.conkey) as c(a) join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = c.a
                )
            from pg_constraint as k
            where k.contype = 'f' and k.conrelid = any (array[{tables}]::regclass[])
            order by 2, 1"
        ))
        .await
        .context("look at the project's foreign keys")?;
    let mut warnings = Vec::new();
    for row in rows {
        let (key, from, to) = (text(&row, 0)?, text(&row, 1)?, text(&row, 2)?);
        let count = format!(
            "select count(*) from {from} as f where {} and not exists (select from {to} as p where {})",
            text(&row, 4)?,
            text(&row, 3)?
        );
        let found = restorer.query(&count).await.context(format!("check {key}"))?;
        let orphans: u64 = found.first().map_or(Ok(0), |row| parsed(row, 0))?;
        if orphans > 0 {
            warnings.push(Warning {
                code: "reference".to_owned(),
                message: format!("{orphans} rows of {from} refer to rows that {to} does not have ({key})"),
            });
        }
    }
    Ok(warnings)
}
