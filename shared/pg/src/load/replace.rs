//! A target that is in use: its schemas are replaced, all in one transaction of one session.
//!
//! Each schema that is replaced is renamed, and made anew under its name. Until the commit everybody else sees the old ones and goes on
//! reading and writing them; the commit is the swap. Always holds: before it nothing has changed, however the restore ends; what was
//! replaced is kept, with everything that was written meanwhile. Never: anything of a schema that is not replaced is written, but for
//! triggers and policies that would otherwise go on calling what was replaced.
//!
//! Order: checks, renaming, structure, rows, keys, views, references; the proof; then in [`Loading::finish`] rules, owners, privileges,
//! and at the very end whatever locks a table that others are using.

mod checks;
mod live;
mod names;
mod selection;

use super::choice::{Comes, require_allowed};
use super::make::{self, Making, Sessions};
use super::plan::Plan;
use super::{TargetSettings, after, before, destination, feed, rights, runs_of};
use crate::archive::{self, Entry};
use crate::capture::{copy_query, literal};
use crate::session::{self, Pool, copy_out};
use crate::wire::{Wire, text};
use engine::catalog::Warning;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::source::{MaterializedView, RowStream, Run, Sequence, Table, TableKind, quote_identifier};
use engine::target::{Batch, Loading, Outline};
use futures::{StreamExt, stream};
use names::Renaming;
use selection::Swap;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

/// What the session says of itself beside [`make::MAKING`]. A lock that is not had soon is an error, so that nobody waits behind it; and
/// a session whose client is gone ends, so that its locks do too.
const REPLACING: &str = "
    set lock_timeout = '5s';
    set tcp_keepalives_idle = 15;
    set tcp_keepalives_interval = 5;
    set tcp_keepalives_count = 3";
/// Settings that not every server has.
const WHERE_KNOWN: [&str; 2] = ["set client_connection_check_interval = '1s'", "set transaction_timeout = 0"];

struct Replacing {
    outline: Outline,
    swap: Swap,
    comes: Comes,
    renaming: Vec<Renaming>,
    /// Whose the schema `public` is, which an archive leaves unsaid if it is the database's owner's.
    public_owner: String,
    plan: Plan,
    tablespaces: HashSet<String>,
    made: Mutex<HashSet<u32>>,
    left: Mutex<BTreeMap<u32, String>>,
    unchecked: Mutex<BTreeMap<u32, String>>,
    loaded: HashSet<u64>,
    warnings: Vec<Warning>,
    /// Of one session, in whose transaction everything is done. It also holds the target's lock.
    session: Arc<Pool>,
}

/// Whether the target could be replaced. Changes nothing.
pub(super) async fn check(wire: &mut Wire, outline: &Outline, is_project: bool) -> Result<()> {
    let (swap, _) = chosen(outline, is_project)?;
    checks::require_role(wire).await?;
    checks::require_schemas(wire, outline, &swap).await?;
    checks::require_independence(wire, &swap).await?;
    checks::require_movable(wire, &swap).await.map(|_| ())
}

/// What is replaced, and what of the backup may come here.
fn chosen(outline: &Outline, is_project: bool) -> Result<(Swap, Comes)> {
    let mut entries = archive::contents(&outline.schema)?;
    let comes = Comes::new(&mut entries, outline);
    let swap = Swap::new(entries, outline.scope.as_ref(), is_project)?;
    require_allowed(outline, |table| swap.takes(table) && comes.has_rows_of(table))?;
    Ok((swap, comes))
}

/// Replaces, as far as the structure is concerned.
pub(super) async fn begin(settings: &TargetSettings, outline: Outline) -> Result<Box<dyn Loading>> {
    let mut wire = session::connect(&settings.address).await?;
    wire.query(make::MAKING).await?;
    wire.query(REPLACING).await?;
    for setting in WHERE_KNOWN {
        let _ = wire.query(setting).await;
    }
    before::require_server(&mut wire, &outline, &settings.clients).await?;
    let found = before::lock(&mut wire, &outline).await?;
    wire.query("begin").await?;
    let (swap, comes) = chosen(&outline, found.is_project)?;
    checks::require_role(&mut wire).await?;
    checks::require_schemas(&mut wire, &outline, &swap).await?;
    let stale = checks::require_independence(&mut wire, &swap).await?;
    let extensions = checks::require_movable(&mut wire, &swap).await?;
    let there = checks::there(&mut wire, &swap).await?;
    let mut swap = swap.narrow(&there, &stale, &extensions);
    let plan = Plan::new(std::mem::take(&mut swap.entries), &HashSet::new());
    before::require_extensions(&mut wire, plan.extensions()).await?;

    let public_owner = checks::public_owner(&mut wire).await?;
    let renaming = rename(&mut wire, &outline, &swap).await?;
    move_extensions(&mut wire, &extensions).await?;
    let mut warnings = comes.warnings.clone();
    warnings.append(&mut swap.warnings);
    warnings.extend(before::roles(&mut wire, &outline.roles).await?);
    let rows = wire.query("select spcname from pg_tablespace").await?;
    let there = rows.iter().map(|row| text(row, 0).map(str::to_owned)).collect::<Result<HashSet<_>>>()?;
    let replacing = Replacing {
        tablespaces: there.intersection(&plan.tablespaces()).cloned().collect(),
        warnings: [warnings, stays(&outline, &swap)].concat(),
        outline,
        swap,
        comes,
        renaming,
        public_owner,
        plan,
        made: Mutex::default(),
        left: Mutex::default(),
        unchecked: Mutex::default(),
        loaded: HashSet::new(),
        session: Pool::new(vec![wire]),
    };
    replacing.making().in_order(&replacing.plan.before).await.context("nothing was changed")?;
    // What would be refused only at the very end is tried while nothing is lost yet, and taken back: it would hold locks.
    let mut lent = replacing.session.lend().await?;
    live::probe(lent.wire()?, &replacing.swap).await?;
    drop(lent);
    Ok(Box::new(replacing))
}

/// Puts the schemas that are replaced aside, each with a note of what replaced it, and makes `public` as an empty database has it.
async fn rename(wire: &mut Wire, outline: &Outline, swap: &Swap) -> Result<Vec<Renaming>> {
    let named = swap.schemas.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
    let rows = wire
        .query(&format!(
            "select n.nspname, to_char(now() at time zone 'UTC', 'YYYYMMDD\"t\"HH24MISS')
            from pg_namespace as n where n.nspname in ({named}) order by 1"
        ))
        .await
        .context("look for the schemas that are replaced")?;
    let there = rows.iter().map(|row| text(row, 0).map(str::to_owned)).collect::<Result<Vec<_>>>()?;
    let suffix = rows.first().map_or(Ok(""), |row| text(row, 1))?;
    let renaming = names::aside(&there, suffix);
    for Renaming { name, aside } in &renaming {
        let (old, new) = (quote_identifier(name), quote_identifier(aside));
        let note = literal(&checks::note(outline.snapshot, name));
        wire.query(&format!("alter schema {old} rename to {new}; comment on schema {new} is {note}"))
            .await
            .context(format!("put the schema {name} aside; nothing was changed"))?;
    }
    if swap.schemas.contains("public") {
        // The archive says only what is different from this.
        wire.query(
            "create schema public; grant usage on schema public to public; comment on schema public is 'standard public schema'",
        )
        .await
        .context("make the schema public; nothing was changed")?;
    }
    Ok(renaming)
}

/// Extensions stay, and go where the new objects look for them.
async fn move_extensions(wire: &mut Wire, extensions: &[(String, String)]) -> Result<()> {
    for (name, schema) in extensions {
        let (extension, into) = (quote_identifier(name), quote_identifier(schema));
        // One that is made with a backup's other schemas is not there yet.
        wire.query(&format!("create schema if not exists {into}; alter extension {extension} set schema {into}"))
            .await
            .context(format!(
                "move the extension {name} to the new schema {schema}; nothing was changed. Let its owner move it to a schema that is not \
                 replaced"
            ))?;
    }
    Ok(())
}

/// What of the backup is not restored, because it is not in the schemas.
fn stays(outline: &Outline, swap: &Swap) -> Vec<Warning> {
    if outline.scope.is_some() {
        return Vec::new();
    }
    let warning = |message: String| Warning { code: "rows_stay".to_owned(), message };
    let mut warnings = Vec::new();
    let is_left = |t: &&Table| !swap.takes(t) && t.kind != TableKind::LargeObjectPages;
    let mut left: Vec<String> = outline.tables.iter().map(|t| &t.table).filter(is_left).map(Table::quoted).collect();
    left.sort();
    if !left.is_empty() {
        let some = crate::describe::some_of(&left);
        warnings.push(warning(format!(
            "the rows of {some} stay as the target has them: only its owner's schemas are replaced"
        )));
    }
    if !outline.large_objects.is_empty() {
        warnings.push(warning(format!(
            "the {} large objects of the backup are not restored: those of the target stay, because they are in no schema",
            outline.large_objects.len()
        )));
    }
    warnings
}

impl Replacing {
    fn making(&self) -> Making<'_> {
        Making {
            sessions: Sessions::One(&self.session),
            tablespaces: &self.tablespaces,
            done: &self.made,
            left: &self.left,
            doubtful: &self.comes.doubtful,
            unchecked: &self.unchecked,
        }
    }

    fn is_replaced(&self, schema: &str) -> bool {
        self.swap.schemas.contains(schema)
    }

    /// What a person has to know of what was put aside.
    fn aside(&self) -> Option<Warning> {
        let some: Vec<String> =
            self.renaming.iter().map(|r| format!("{} in {}", r.name, quote_identifier(&r.aside))).collect();
        let drops: Vec<String> =
            self.renaming.iter().map(|r| format!("drop schema {} cascade", quote_identifier(&r.aside))).collect();
        (!some.is_empty()).then(|| Warning {
            code: "replaced".to_owned(),
            message: format!(
                "what was replaced is kept, with what was written during the restore: {}. To return to it, rename the schemas back; when \
                 nothing of it is needed any more: {}",
                some.join(", "),
                drops.join("; ")
            ),
        })
    }
}

#[async_trait::async_trait]
impl Loading for Replacing {
    fn takes(&self, table: &Table) -> bool {
        self.swap.takes(table) && self.comes.has_rows_of(table)
    }

    fn is_proven(&self) -> bool {
        false
    }

    async fn note_proven(&self) -> Result<()> {
        // It holds as long as the transaction does.
        Ok(())
    }

    fn loaded(&self) -> &HashSet<u64> {
        &self.loaded
    }

    async fn load(&self, batch: &Batch, mut rows: RowStream) -> Result<u64> {
        let Some(first) = rows.next().await.transpose()? else {
            return Ok(0);
        };
        let mut rows: RowStream = Box::pin(stream::iter([Ok(first)]).chain(rows));
        let mut lent = self.session.lend().await?;
        let wire = lent.wire()?;
        // The table was made in this very transaction, so its rows can be frozen as they are written.
        wire.copy_in(&format!("copy {} from stdin with (freeze)", destination(&batch.table))).await?;
        feed(wire, &mut rows).await
    }

    async fn complete(&self) -> Result<Vec<Warning>> {
        let (plan, making, outline) = (&self.plan, self.making(), &self.outline);
        let mut warnings = self.warnings.clone();
        {
            let mut lent = self.session.lend().await?;
            let wanted: Vec<&Sequence> = outline.sequences.iter().filter(|s| self.is_replaced(&s.schema)).collect();
            after::sequences(lent.wire()?, &wanted).await.context("set the sequences")?;
        }
        making.in_order(&plan.keys).await?;
        making.in_order(&plan.attached).await?;
        {
            let mut lent = self.session.lend().await?;
            let wire = lent.wire()?;
            let views: Vec<&MaterializedView> =
                outline.materialized_views.iter().filter(|v| self.is_replaced(&v.schema)).collect();
            after::materialized_views(wire, views).await.context("fill the materialised views")?;
            let schemas = self.swap.schemas.iter().map(|s| literal(s)).collect::<Vec<_>>().join(", ");
            let condition = format!("and n.nspname in ({schemas})");
            warnings.extend(after::analyze(wire, &condition).await.context("gather statistics")?);
        }
        making.in_order(&plan.references).await?;
        Ok(warnings)
    }

    async fn runs(&self, table: &Table) -> Result<Vec<Option<Run>>> {
        if table.unplaced.is_some() {
            return Ok(vec![None]);
        }
        runs_of(self.session.lend().await?.wire()?, table).await
    }

    async fn read_back(&self, table: &Table, run: Option<Run>) -> Result<RowStream> {
        copy_out(self.session.lend().await?, &copy_query(table, run)).await
    }

    async fn finish(&self) -> Result<Vec<Warning>> {
        let (plan, making) = (&self.plan, self.making());
        making.in_order(&plan.rules).await?;
        let mut warnings = {
            let mut lent = self.session.lend().await?;
            let wire = lent.wire()?;
            let mut warnings = rights::give(wire, &plan.owners()).await?;
            if self.swap.leaves_public_to_its_owner(&plan.owners()) {
                let owner = format!("alter schema public owner to {}", quote_identifier(&self.public_owner));
                if let Err(e) = wire.attempt(&owner).await {
                    let message = format!("the schema public belongs to the role that restores: {e}");
                    warnings.push(Warning { code: "owner".to_owned(), message });
                }
            }
            warnings.extend(live::leave_publications(wire, &self.renaming, plan).await?);
            warnings
        };
        making.as_far_as_may_be(&plan.last).await?;
        warnings.extend(making.left_out());
        let mut lent = self.session.lend().await?;
        let wire = lent.wire()?;
        warnings.extend(live::make(wire, &self.swap).await.context("nothing was changed")?);
        wire.query("set local synchronous_commit = on; commit")
            .await
            .context("put the restored schemas in their place")?;
        drop(lent);
        for wire in self.session.drain() {
            wire.end().await;
        }
        warnings.extend(self.aside());
        Ok(warnings)
    }
}

/// A refusal of something that must be made on a table that others are using.
fn is_lock(e: &Error) -> bool {
    e.kind() == ErrorKind::Unavailable
}

/// Whether an entry is of one of some kinds.
fn is_kind(entry: &Entry, kinds: &[&str]) -> bool {
    kinds.contains(&entry.kind.as_str())
}

/// Whether a table's rows can be taken at all.
fn is_plain(table: &Table) -> bool {
    table.kind == TableKind::Table
}
