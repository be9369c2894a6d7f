//! What happens before any row comes: checks, the lock, roles, structure.

use super::{Phase, enter};
use crate::capture::literal;
use crate::clients::{CLIENT, Clients};
use crate::describe::{require_version, some_of};
use crate::session;
use crate::wire::{Wire, parsed, text};
use engine::catalog::Warning;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::source::{Role, quote_identifier};
use engine::target::Outline;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

/// One restore at a time in a database: the key of its advisory lock.
const LOCK: i64 = 0x6261_636b_7570;
/// The sessions of a killed restore's clients are waited for so often, and so long.
const CLIENT_WAITS_MAX: u32 = 100;
const CLIENT_WAIT: Duration = Duration::from_millis(100);

/// The server must be as new as the source's, and the client as the archive's.
pub(super) async fn require_server(coordinator: &mut Wire, outline: &Outline, clients: &Clients) -> Result<()> {
    require_version(coordinator)?;
    let rows = coordinator
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
    clients.major_version().await.map(|_| ())
}

/// Takes the database: locks it, and finds it empty, or with an interrupted restore of the same snapshot in it.
pub(super) async fn take(coordinator: &mut Wire, outline: &Outline) -> Result<Phase> {
    let locked = coordinator.query(&format!("select pg_try_advisory_lock({LOCK})")).await?;
    if text(locked.first().ok_or_else(|| Error::internal("no answer to the lock"))?, 0)? != "t" {
        return Err(Error::conflict("another restore into this database is running; wait until it has ended"));
    }
    end_clients(coordinator).await?;
    let mine = coordinator.query("select to_regclass('backup_restore.restore') is not null").await?;
    if mine.first().is_some_and(|row| matches!(text(row, 0), Ok("t"))) {
        return resume(coordinator, outline).await;
    }
    let contents = coordinator.query(include_str!("contents.sql")).await.context("look at the target")?;
    let names = contents.iter().map(|row| text(row, 0).map(str::to_owned)).collect::<Result<Vec<_>>>()?;
    if !names.is_empty() {
        return Err(Error::invalid(format!(
            "the target is not empty: it holds {}; nothing was changed. Restore into an empty database",
            some_of(&names)
        )));
    }
    let begin = format!(
        "begin;
        create schema backup_restore;
        create table backup_restore.restore (snapshot text not null, phase text not null, begun_at timestamptz not null default now());
        create table backup_restore.segment (number bigint primary key);
        create table backup_restore.large_object_page (loid oid not null, pageno int not null, data bytea not null);
        insert into backup_restore.restore (snapshot, phase) values ({}, '{}');
        commit",
        literal(&outline.snapshot.to_string()),
        Phase::Begun.as_str()
    );
    coordinator.query(&begin).await.context("note in the target that a restore begins")?;
    Ok(Phase::Begun)
}

/// Ends what the clients of a restore that was killed left running: they would go on making indexes.
async fn end_clients(coordinator: &mut Wire) -> Result<()> {
    let left = format!(
        "from pg_stat_activity where datname = current_database() and usename = current_user and application_name = {}",
        literal(CLIENT)
    );
    for _ in 0..CLIENT_WAITS_MAX {
        let rows = coordinator.query(&format!("select pg_terminate_backend(pid) {left}")).await?;
        if rows.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(CLIENT_WAIT).await;
    }
    Err(Error::unavailable(
        "pg_restore of an interrupted restore is still at work in the target; try again when it has ended",
    ))
}

async fn resume(coordinator: &mut Wire, outline: &Outline) -> Result<Phase> {
    let rows = coordinator
        .query("select snapshot, phase from backup_restore.restore")
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
    let phase = Phase::parse(text(row, 1)?)?;
    if phase > Phase::Begun {
        tracing::info!(backup = %outline.snapshot, phase = phase.as_str(), "taking up an interrupted restore");
        return Ok(phase);
    }
    // The structure is made in one transaction: either nothing of it is there, or all.
    let contents = coordinator.query(include_str!("contents.sql")).await.context("look at the target")?;
    if contents.is_empty() {
        return Ok(Phase::Begun);
    }
    enter(coordinator, Phase::Loading).await?;
    Ok(Phase::Loading)
}

/// An archive as a file, as `pg_restore` reads it.
pub(super) fn write_temporary(archive: &[u8]) -> Result<NamedTempFile> {
    let write = || {
        let mut file = NamedTempFile::new()?;
        file.write_all(archive)?;
        file.flush()?;
        Ok::<_, std::io::Error>(file)
    };
    write().map_err(|e| Error::exhausted(format!("write an archive to the temporary folder: {e}")).with_source(e))
}

/// Makes the roles that are missing. Those that are there stay as they are. What cannot be made is told, not fatal: the
/// structure that needs it will be.
pub(super) async fn roles(coordinator: &mut Wire, roles: &[Role]) -> Result<Vec<Warning>> {
    let rows = coordinator.query("select rolname from pg_roles").await?;
    let there = rows.iter().map(|row| text(row, 0).map(str::to_owned)).collect::<Result<Vec<_>>>()?;
    let missing: Vec<&Role> = roles.iter().filter(|r| !there.contains(&r.name)).collect();
    let (mut statements, mut warnings) = (Vec::new(), Vec::new());
    for role in &missing {
        statements
            .push((role, format!("create role {} with {}", quote_identifier(&role.name), role.options.join(" "))));
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
        match coordinator.query(&statement).await {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e),
            Err(e) => warnings.push(Warning { code: "role".to_owned(), message: format!("role {}: {e}", role.name) }),
        }
    }
    Ok(warnings)
}

/// Schemas, types, functions, tables: everything that rows need, in one transaction.
pub(super) async fn structure(coordinator: &mut Wire, clients: &Clients, archive: &Path) -> Result<()> {
    run_section(coordinator, clients, archive, "--section=pre-data").await.context("make the tables")?;
    enter(coordinator, Phase::Loading).await
}

/// Runs a section's statements in one transaction of our own session: nothing of them is read by `psql`, and a server
/// that is older than the client is not told of settings that it does not know.
pub(super) async fn run_section(
    coordinator: &mut Wire,
    clients: &Clients,
    archive: &Path,
    section: &str,
) -> Result<()> {
    let script = clients.read_archive(archive, &[section]).await?;
    let ran = coordinator.query(&format!("begin;\n{}\n;commit", statements(&script))).await;
    if let Err(e) = ran {
        if coordinator.in_step {
            coordinator.query("rollback").await?;
        }
        return Err(e);
    }
    // The script leaves settings of its own behind.
    coordinator.query(session::PINNED).await.map(|_| ())
}

/// The script without what only `psql` or a newer server understands: the pair of `\\restrict` lines at its ends, and one
/// setting that servers before 17 do not have. They stand before the first object, outside of any literal.
fn statements(script: &str) -> String {
    let token = script.lines().find_map(|line| line.strip_prefix("\\restrict "));
    let mut head = true;
    let kept = script.lines().filter(|line| {
        // Objects begin with a comment that names them.
        head &= !line.starts_with("-- Name:");
        let fence =
            token.is_some_and(|t| line.strip_prefix("\\restrict ").or(line.strip_prefix("\\unrestrict ")) == Some(t));
        !(fence || head && *line == "SET transaction_timeout = 0;")
    });
    kept.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_loses_only_what_the_server_would_not_understand() {
        let script = "--\n-- PostgreSQL database dump\n--\n\n\\restrict Ab1\n\nSET statement_timeout = 0;\nSET transaction_timeout = 0;\n\n\
            --\n-- Name: f(); Type: FUNCTION\n--\n\nCREATE FUNCTION f() AS $$\nSET transaction_timeout = 0;\n\\restrict other\n$$;\n\n\\unrestrict Ab1\n";
        let kept = statements(script);
        assert!(!kept.contains("Ab1"), "{kept}");
        assert_eq!(kept.matches("transaction_timeout").count(), 1, "{kept}");
        assert!(kept.contains("\\restrict other") && kept.contains("SET statement_timeout = 0;"), "{kept}");
    }
}
