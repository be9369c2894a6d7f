//! What makes it impossible to replace schemas, found before anything is changed. Reads only.

use super::selection::Swap;
use crate::capture::literal;
use crate::describe::some_of;
use crate::wire::{Wire, text};
use engine::error::{Error, Result, ResultExt};
use engine::id::SnapshotId;
use engine::target::Outline;
use std::collections::HashSet;

/// What is noted on a schema that was put aside, by which a request that is made again is known.
pub(super) fn note(snapshot: SnapshotId, schema: &str) -> String {
    format!("replaced by backup {snapshot}; its name was {schema}")
}

fn with_schemas(query: &str, swap: &Swap) -> String {
    let schemas = swap.schemas.iter().map(|s| literal(s)).collect::<Vec<_>>().join(", ");
    query.replace("/* schemas */", &schemas)
}

/// The role may make schemas, and is no superuser: in one session it makes what came with the backup, whose code would run with
/// its rights.
pub(super) async fn require_role(wire: &mut Wire) -> Result<()> {
    let rows = wire
        .query(
            "select current_user, r.rolsuper, has_database_privilege(current_database(), 'create'), current_database()
            from pg_roles as r where r.rolname = current_user",
        )
        .await
        .context("look at the role that restores")?;
    let row = rows.first().ok_or_else(|| Error::internal("the target did not tell who restores"))?;
    let (role, database) = (text(row, 0)?, text(row, 3)?);
    if text(row, 1)? == "t" {
        return Err(Error::invalid(format!(
            "the role {role} is a superuser, and code that came with the backup would run with its rights; nothing was changed. Give the \
             URL of a role that owns the schemas and is no superuser"
        )));
    }
    if text(row, 2)? != "t" {
        return Err(Error::denied(format!(
            "the role {role} may not make schemas in this database; nothing was changed. As its owner: grant create on database \
             {database} to {role}"
        )));
    }
    Ok(())
}

/// The schemas that are replaced are the role's, and this snapshot has not replaced them before.
pub(super) async fn require_schemas(wire: &mut Wire, outline: &Outline, swap: &Swap) -> Result<()> {
    let rows = wire
        .query(
            "select n.nspname, coalesce(obj_description(n.oid, 'pg_namespace'), ''), pg_has_role(current_user, n.nspowner, 'usage'),
                pg_get_userbyid(n.nspowner)
            from pg_namespace as n order by 1",
        )
        .await
        .context("look at the schemas")?;
    let notes: Vec<String> = swap.schemas.iter().map(|schema| note(outline.snapshot, schema)).collect();
    let mut others = Vec::new();
    for row in &rows {
        let name = text(row, 0)?;
        let comment = text(row, 1)?;
        if notes.iter().any(|note| note == comment) {
            return Err(Error::conflict(format!(
                "backup {} has replaced these schemas already: what it replaced is in {name}; nothing was changed. To replace them by it \
                 once more, drop {name} or remove its comment",
                outline.snapshot
            )));
        }
        if swap.schemas.contains(name) && text(row, 2)? != "t" {
            others.push(format!("{name} of {}", text(row, 3)?));
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    Err(Error::denied(format!(
        "the role that restores does not own the schemas {}; nothing was changed. Give the URL of their owner, or choose other schemas \
         with `include`",
        some_of(&others)
    )))
}

/// Nothing outside of the schemas depends on what is in them: it would go on using what was replaced. Gives the titles of triggers and
/// policies on a project's own tables that do, and that the backup has too: those are made again.
pub(super) async fn require_independence(wire: &mut Wire, swap: &Swap) -> Result<HashSet<String>> {
    let query = with_schemas(include_str!("dependents.sql"), swap);
    let rows = wire.query(&query).await.context("look for what depends on the schemas")?;
    let (mut stale, mut dependents) = (HashSet::new(), Vec::new());
    for row in &rows {
        let title = text(row, 1)?;
        match swap.remakes(title) {
            true => {
                stale.insert(title.to_owned());
            }
            false => dependents.push(text(row, 0)?.to_owned()),
        }
    }
    if dependents.is_empty() {
        return Ok(stale);
    }
    Err(Error::invalid(format!(
        "objects outside of the schemas that are replaced depend on what is in them: {}; nothing was changed. They would go on using what \
         was replaced: drop them first, replace their schemas too, or restore into an empty database",
        some_of(&dependents)
    )))
}

/// The extensions with objects in the schemas, and their schemas: all of them can be moved to the new ones.
pub(super) async fn require_movable(wire: &mut Wire, swap: &Swap) -> Result<Vec<(String, String)>> {
    let query = with_schemas(include_str!("extensions.sql"), swap);
    let rows = wire.query(&query).await.context("look for extensions in the schemas")?;
    let (mut movable, mut fixed, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        let (name, schema) = (text(row, 0)?.to_owned(), text(row, 1)?.to_owned());
        match (text(row, 2)?, text(row, 3)?) {
            ("t", "t") => movable.push((name, schema)),
            ("t", _) => others.push(format!("{name} in {schema}")),
            _ => fixed.push(format!("{name} in {schema}")),
        }
    }
    let why = match (fixed.is_empty(), others.is_empty()) {
        (true, true) => return Ok(movable),
        (false, _) => format!("cannot be moved out of them: {}", some_of(&fixed)),
        (true, false) => {
            format!("are, or their objects are, another role's than the one that restores: {}", some_of(&others))
        }
    };
    Err(Error::unsupported(format!(
        "extensions have objects in schemas that are replaced, and {why}; nothing was changed. Let an administrator make them anew in a \
         schema of their own, choose other schemas with `include`, or restore into an empty database"
    )))
}

/// Who owns the schema public, or would in a new database.
pub(super) async fn public_owner(wire: &mut Wire) -> Result<String> {
    let rows = wire
        .query("select pg_get_userbyid(n.nspowner) from pg_namespace as n where n.nspname = 'public'")
        .await
        .context("look at the schema public")?;
    rows.first().map_or(Ok("pg_database_owner".to_owned()), |row| text(row, 0).map(str::to_owned))
}

/// What the target has outside of the schemas, under the names that an archive uses.
pub(super) async fn there(wire: &mut Wire, swap: &Swap) -> Result<HashSet<String>> {
    let mut titles = HashSet::new();
    for query in [include_str!("../project.sql").to_owned(), with_schemas(include_str!("there.sql"), swap)] {
        let rows = wire.query(&query).await.context("look at what the target has")?;
        for row in &rows {
            titles.insert(text(row, 0)?.to_owned());
        }
    }
    Ok(titles)
}
