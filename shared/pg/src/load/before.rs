//! What happens before any row comes: checks, the lock, roles, structure.

use super::Phase;
use super::make::RESTORING;
use super::project::{self, Project};
use crate::archive::Entry;
use crate::capture::literal;
use crate::clients::{Client, Clients};
use crate::describe::{require_version, some_of, version_said};
use crate::project::{MANAGED, is_project};
use crate::wire::{Wire, parsed, text};
use engine::catalog::Warning;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::source::{Role, quote_identifier};
use engine::target::{EXCLUDED, Outline, Rows, TableOutline};
use std::collections::HashSet;
use std::time::Duration;

/// One restore at a time in a database: the key of its advisory lock.
const LOCK: i64 = 0x6261_636b_7570;
/// The sessions of a killed restore are waited for so often, and so long.
const END_WAITS_MAX: u32 = 100;
const END_WAIT: Duration = Duration::from_millis(100);

/// The server must be as new as the source's. Gives the client that reads it.
pub(super) async fn require_server(restorer: &mut Wire, outline: &Outline, clients: &Clients) -> Result<Client> {
    require_version(restorer)?;
    let rows = restorer
        .query("select current_setting('server_version_num')::int / 10000, current_setting('server_version')")
        .await?;
    let row = rows.first().ok_or_else(|| Error::internal("the target did not tell its version"))?;
    let (target, source) = (parsed::<u32>(row, 0)?, outline.server.version_num / 10_000);
    if target < source {
        return Err(Error::unsupported(format!(
            "the backup is of PostgreSQL {} and the target is PostgreSQL {}: what a newer server writes, an older one may not read; \
             restore into PostgreSQL {source} or newer",
            outline.server.version,
            text(row, 1)?
        )));
    }
    clients.for_server(target, version_said(restorer)).await
}

/// Every extension that the backup needs must be one that the target's server has.
pub(super) async fn require_extensions<'a>(restorer: &mut Wire, wanted: impl Iterator<Item = &'a Entry>) -> Result<()> {
    let rows = restorer.query("select name from pg_available_extensions").await?;
    let there = rows.iter().map(|row| text(row, 0)).collect::<Result<HashSet<_>>>()?;
    let mut missing: Vec<String> =
        wanted.map(|e| e.name.clone()).filter(|name| !there.contains(name.as_str())).collect();
    missing.sort();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "the target's server (PostgreSQL {}) lacks extensions that the backup needs: {}; nothing was changed. \
         Install them on that server, or restore into a server that has them",
        version_said(restorer),
        missing.join(", ")
    )))
}

/// What a target is before it is touched.
pub(super) struct Found {
    /// How far an interrupted restore of the same snapshot is, if there is one.
    pub(super) phase: Option<Phase>,
    /// Whether it is, or was when that restore began, a Supabase project.
    pub(super) is_project: bool,
}

/// Locks the database against other restores, and looks for an interrupted one.
pub(super) async fn lock(restorer: &mut Wire, outline: &Outline) -> Result<Found> {
    let locked = restorer.query(&format!("select pg_try_advisory_lock({LOCK})")).await?;
    if text(locked.first().ok_or_else(|| Error::internal("no answer to the lock"))?, 0)? != "t" {
        return Err(Error::unavailable("another restore into this database is running; wait until it has ended"));
    }
    end_others(restorer).await?;
    let mine = restorer.query("select to_regclass('backup_restore.restore') is not null").await?;
    if mine.first().is_some_and(|row| matches!(text(row, 0), Ok("t"))) {
        return resume(restorer, outline).await;
    }
    Ok(Found { phase: None, is_project: is_project(restorer).await? })
}

/// Requires that the database holds nothing, or nothing but what a Supabase project holds of itself.
pub(super) async fn require_empty(restorer: &mut Wire, is_project: bool) -> Result<()> {
    let names = contents(restorer, is_project).await?;
    if !names.is_empty() {
        return Err(Error::invalid(format!(
            "the target is not empty: it holds {}; nothing was changed. Restore into an empty database, or say in the request that you \
             want to `replace` what it holds",
            some_of(&names)
        )));
    }
    Ok(())
}

/// Whether it holds anything that is no interrupted restore.
pub(super) async fn is_in_use(restorer: &mut Wire, tables: &[TableOutline], is_project: bool) -> Result<bool> {
    let interrupted = restorer.query("select to_regclass('backup_restore.restore') is not null").await?;
    if interrupted.first().is_some_and(|row| matches!(text(row, 0), Ok("t"))) {
        return Ok(false);
    }
    if !contents(restorer, is_project).await?.is_empty() {
        return Ok(true);
    }
    if !is_project {
        return Ok(false);
    }
    let loadable = Project::read(restorer).await?.loadable(tables);
    Ok(!project::filled(restorer, loadable.iter()).await?.is_empty())
}

async fn contents(restorer: &mut Wire, is_project: bool) -> Result<Vec<String>> {
    let managed = if is_project { MANAGED.map(literal).join(", ") } else { String::new() };
    let contents = include_str!("contents.sql").replace("/* managed */", &managed);
    let contents = restorer.query(&contents).await.context("look at the target")?;
    contents.iter().map(|row| text(row, 0).map(str::to_owned)).collect()
}

/// Notes in the target that it is being restored into.
pub(super) async fn take(restorer: &mut Wire, outline: &Outline, is_project: bool) -> Result<Phase> {
    let begin = format!(
        "begin;
        create schema backup_restore;
        create table backup_restore.restore (
            snapshot text not null, scope text not null, is_project boolean not null, phase text not null,
            begun_at timestamptz not null default now()
        );
        -- It is still written to when the backup's publications are there, and one may be of all tables.
        alter table backup_restore.restore replica identity full;
        create table backup_restore.entry (id bigint primary key);
        create table backup_restore.segment (number bigint primary key);
        create table backup_restore.large_object_page (loid oid not null, pageno int not null, data bytea not null);
        insert into backup_restore.restore (snapshot, scope, is_project, phase) values ({}, {}, {is_project}, '{}');
        commit",
        literal(&outline.snapshot.to_string()),
        literal(&scope_of(outline)?),
        Phase::Begun.as_str()
    );
    restorer.query(&begin).await.context("note in the target that a restore begins")?;
    Ok(Phase::Begun)
}

/// A scope as text, by which an interrupted restore is known.
/// What is restored, as the mark of an interrupted restore has it: the scope, and the tables whose rows the request leaves out.
fn scope_of(outline: &Outline) -> Result<String> {
    let scope =
        serde_json::to_string(&outline.scope).map_err(|e| Error::internal("a scope is no JSON").with_source(e))?;
    let excluded = outline.tables.iter().filter(|t| matches!(&t.rows, Rows::LeftOut(why) if why == EXCLUDED));
    let excluded: Vec<String> = excluded.map(|t| t.table.quoted()).collect();
    if excluded.is_empty() {
        return Ok(scope);
    }
    Ok(format!("{scope} without {}", excluded.join(", ")))
}

/// Ends what a restore that was killed left running: it would go on making an index.
async fn end_others(restorer: &mut Wire) -> Result<()> {
    let left = format!(
        "from pg_stat_activity
        where datname = current_database() and application_name = {} and pid <> pg_backend_pid()",
        literal(RESTORING)
    );
    for _ in 0..END_WAITS_MAX {
        let rows = restorer.query(&format!("select pg_terminate_backend(pid) {left}")).await?;
        if rows.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(END_WAIT).await;
    }
    Err(Error::unavailable("an interrupted restore is still at work in the target; try again when it has ended"))
}

async fn resume(restorer: &mut Wire, outline: &Outline) -> Result<Found> {
    let rows = restorer
        .query("select snapshot, phase, scope, is_project from backup_restore.restore")
        .await
        .context("read the interrupted restore")?;
    let row = rows
        .first()
        .ok_or_else(|| Error::invalid("the target holds the schema backup_restore without a restore in it; drop it"))?;
    let snapshot = text(row, 0)?;
    if snapshot != outline.snapshot.to_string() {
        return Err(Error::invalid(format!(
            "the target holds an interrupted restore of backup {snapshot}; finish that one, or give an empty database"
        )));
    }
    if text(row, 2)? != scope_of(outline)? {
        return Err(Error::invalid(
            "the target holds an interrupted restore of other tables of this backup; finish that one, or give an empty database",
        ));
    }
    let phase = Phase::parse(text(row, 1)?)?;
    tracing::info!(backup = %outline.snapshot, phase = phase.as_str(), "taking up an interrupted restore");
    Ok(Found { phase: Some(phase), is_project: text(row, 3)? == "t" })
}

/// Makes the roles that are missing. Those that are there stay as they are. What cannot be made is told, not fatal: the
/// structure that needs it will be.
pub(super) async fn roles(restorer: &mut Wire, roles: &[Role]) -> Result<Vec<Warning>> {
    let rows = restorer.query("select rolname from pg_roles").await?;
    let there = rows.iter().map(|row| text(row, 0).map(str::to_owned)).collect::<Result<Vec<_>>>()?;
    let missing: Vec<&Role> = roles.iter().filter(|r| !there.contains(&r.name)).collect();
    let (mut statements, mut warnings) = (Vec::new(), Vec::new());
    for role in &missing {
        // Whoever could write to the source does not thereby get a superuser of the target.
        let options: Vec<&str> = role.options.iter().map(String::as_str).filter(|o| *o != "superuser").collect();
        if options.len() < role.options.len() {
            warnings.push(Warning {
                code: "role_superuser".to_owned(),
                message: format!("role {} was made without being a superuser, which it was", role.name),
            });
        }
        statements.push((role, format!("create role {} with {}", quote_identifier(&role.name), options.join(" "))));
    }
    for role in &missing {
        let name = quote_identifier(&role.name);
        for group in &role.member_of {
            statements.push((role, format!("grant {} to {name}", quote_identifier(group))));
        }
        for setting in &role.settings {
            if let Some((key, value)) = setting.split_once('=') {
                statements
                    .push((role, format!("alter role {name} set {} to {}", quote_identifier(key), literal(value))));
            }
        }
        if role.options.iter().any(|o| o == "login") {
            warnings.push(Warning {
                code: "role_password".to_owned(),
                message: format!("role {} was made without a password; set one", role.name),
            });
        }
    }
    for (role, statement) in statements {
        match restorer.attempt(&statement).await {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e),
            Err(e) => warnings.push(Warning { code: "role".to_owned(), message: format!("role {}: {e}", role.name) }),
        }
    }
    Ok(warnings)
}
