//! What happens once all rows are there. Every step may be done again after an interruption.

use super::before::{run_section, write_temporary};
use super::{PgLoading, Phase, enter};
use crate::capture::literal;
use crate::describe::some_of;
use crate::wire::{Wire, parsed, text};
use engine::catalog::Warning;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::limits::SCHEMA_BYTES_MAX;
use engine::source::{LargeObject, MaterializedView, Sequence, quote_identifier};
use std::collections::HashSet;

pub(super) async fn complete(loading: &PgLoading, coordinator: &mut Wire, warnings: &mut Vec<Warning>) -> Result<()> {
    let rows = coordinator.query("select phase from backup_restore.restore").await?;
    let row = rows.first().ok_or_else(|| Error::internal("the target forgot the restore"))?;
    let again = Phase::parse(text(row, 0)?)? == Phase::Completing;
    enter(coordinator, Phase::Completing).await?;
    let outline = &loading.outline;
    large_objects(coordinator, &outline.large_objects, warnings).await.context("make the large objects")?;
    sequences(coordinator, &outline.sequences).await.context("set the sequences")?;
    after_rows(loading, coordinator, again).await?;
    require_everything(loading).await?;
    materialized_views(coordinator, &outline.materialized_views).await.context("fill the materialised views")?;
    analyze(coordinator).await.context("gather statistics")
}

/// Gathers statistics of what was restored; of the server's own catalogs autovacuum does.
async fn analyze(coordinator: &mut Wire) -> Result<()> {
    let rows = coordinator
        .query(
            "select format('%I.%I', n.nspname, c.relname)
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backup_restore')
            order by c.oid",
        )
        .await?;
    let names = rows.iter().map(|row| text(row, 0)).collect::<Result<Vec<_>>>()?;
    for some in names.chunks(1_000) {
        coordinator.query(&format!("analyze {}", some.join(", "))).await?;
    }
    Ok(())
}

/// The first server that knows every setting that the clients say at their start.
const CLIENT_SERVER_MIN: u32 = 170_000;
/// In a smaller database the sessions take longer to begin than they save.
const SEVERAL_SESSIONS_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Indexes, constraints, triggers, policies: by `pg_restore` in several sessions, or by ourselves in one transaction where the
/// database is small, the server does not know the client's settings, or the order is not a simple one.
///
/// Three steps, because of partitions of partitions: an index attached to its parent in one session while another attaches
/// that one to its own leaves the topmost invalid, since neither sees the other. So all are made first, then attached
/// one after the other, then the rest follows.
async fn after_rows(loading: &PgLoading, coordinator: &mut Wire, again: bool) -> Result<()> {
    let rows =
        coordinator.query("select current_setting('server_version_num'), pg_database_size(current_database())").await?;
    let row = rows.first().ok_or_else(|| Error::internal("the target did not tell its version"))?;
    let (version, bytes): (u32, u64) = (parsed(row, 0)?, parsed(row, 1)?);
    let archive = loading.archive.path();
    let several = version >= CLIENT_SERVER_MIN && (again || bytes >= SEVERAL_SESSIONS_BYTES_MIN);
    let list = match several {
        true => loading.clients.read_archive(archive, &["--list", "--section=post-data"]).await?,
        false => String::new(),
    };
    let steps = if several { steps(&list) } else { None };
    let Some([make, attach, rest]) = steps else {
        // An interrupted one left nothing.
        return run_section(coordinator, &loading.clients, archive, "--section=post-data").await;
    };
    restore_listed(loading, &make, loading.sessions, again).await.context("make the indexes")?;
    restore_listed(loading, &attach, 1, again).await.context("attach the indexes of partitions")?;
    restore_listed(loading, &rest, loading.sessions, again).await.context("make what depends on indexes")
}

/// What stands among indexes and constraints only because it needs one of them, such as a view that groups by a primary key.
/// Another index may need it in turn.
const IN_BETWEEN: [&str; 6] = ["MATERIALIZED VIEW ", "VIEW ", "FUNCTION ", "PROCEDURE ", "AGGREGATE ", "TABLE "];

/// A list of contents, cut into what is made first, what is attached then, and the rest. `None` when it cannot be cut.
fn steps(list: &str) -> Option<[Vec<&str>; 3]> {
    let mut steps = [Vec::new(), Vec::new(), Vec::new()];
    for line in list.lines() {
        let Some(entry) = entry(line) else { continue };
        if IN_BETWEEN.iter().any(|kind| entry.starts_with(kind)) {
            return None;
        }
        let step = match entry {
            e if e.starts_with("INDEX ATTACH ") => 1,
            e if e.starts_with("INDEX ") || e.starts_with("CONSTRAINT ") => 0,
            _ => 2,
        };
        steps[step].push(line);
    }
    Some(steps)
}

/// Makes the objects of some lines of a list of contents, each in a transaction of its own.
async fn restore_listed(loading: &PgLoading, lines: &[&str], sessions: usize, again: bool) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let list = write_temporary(lines.join("\n").as_bytes())?;
    let mut arguments = vec![format!("--use-list={}", list.path().display()), format!("--jobs={sessions}")];
    if !again {
        arguments.push("--exit-on-error".to_owned());
        return loading.clients.restore(&loading.address, loading.archive.path(), &arguments).await;
    }
    // Part of it may be there: each is dropped before it is made. Some cannot be dropped by themselves (the constraints
    // of a partition go with their parent's), so complaints are expected, and `require_everything` has the last word.
    arguments.extend(["--clean", "--if-exists"].map(str::to_owned));
    match loading.clients.restore(&loading.address, loading.archive.path(), &arguments).await {
        Err(e) if e.kind() == ErrorKind::Invalid => {
            tracing::info!(complaints = %e, "some objects of the interrupted restore were there already");
            Ok(())
        }
        other => other,
    }
}

/// Every object of the archive is in the target: both lists of contents are compared.
async fn require_everything(loading: &PgLoading) -> Result<()> {
    let arguments = [
        "--format=custom",
        "--schema-only",
        "--compress=none",
        "--exclude-schema=backup_restore",
        "--exclude-schema=backup_lineage",
    ]
    .map(str::to_owned);
    let made = loading
        .clients
        .dump(&loading.address, &arguments, SCHEMA_BYTES_MAX)
        .await
        .context("read the target's schema")?;
    let file = write_temporary(&made)?;
    let made = loading.clients.read_archive(file.path(), &["--list"]).await?;
    let wanted = loading.clients.read_archive(loading.archive.path(), &["--list"]).await?;
    let made: HashSet<&str> = made.lines().filter_map(entry).collect();
    let missing: Vec<String> =
        wanted.lines().filter_map(entry).filter(|e| !made.contains(e)).map(str::to_owned).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("the target lacks {} of the backup's objects: {}", missing.len(), some_of(&missing))))
}

/// An object of a list of contents, without its numbers: `INDEX public orders_pkey postgres`.
fn entry(line: &str) -> Option<&str> {
    let (numbers, object) = line.split_once("; ")?;
    // Lines of the list's head have no number.
    (!numbers.is_empty() && numbers.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
    object.splitn(3, ' ').nth(2)
}

async fn large_objects(coordinator: &mut Wire, objects: &[LargeObject], warnings: &mut Vec<Warning>) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    coordinator.query("begin").await?;
    coordinator.query("select lo_unlink(oid) from pg_largeobject_metadata").await?;
    for some in objects.chunks(1_000) {
        let oids = some.iter().map(|o| o.oid.to_string()).collect::<Vec<_>>().join(", ");
        coordinator.query(&format!("select lo_create(o) from unnest(array[{oids}]::oid[]) as o")).await?;
    }
    coordinator
        .query(
            "select count(lo_put(p.loid, p.pageno::bigint * (current_setting('block_size')::int / 4), p.data))
            from backup_restore.large_object_page as p",
        )
        .await?;
    coordinator.query("commit").await?;
    for object in objects {
        let mut statements =
            vec![format!("alter large object {} owner to {}", object.oid, quote_identifier(&object.owner))];
        statements.extend(object.grants.iter().cloned());
        if let Some(comment) = &object.comment {
            statements.push(format!("comment on large object {} is {}", object.oid, literal(comment)));
        }
        for statement in statements {
            match coordinator.query(&statement).await {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e),
                Err(e) => warnings.push(Warning {
                    code: "large_object".to_owned(),
                    message: format!("large object {}: {e}", object.oid),
                }),
            }
        }
    }
    Ok(())
}

async fn sequences(coordinator: &mut Wire, sequences: &[Sequence]) -> Result<()> {
    for some in sequences.chunks(500) {
        let calls: Vec<String> = some
            .iter()
            .map(|s| {
                let name = format!("{}.{}", quote_identifier(&s.schema), quote_identifier(&s.name));
                format!("setval({}, {}, {})", literal(&name), s.last_value, s.is_called)
            })
            .collect();
        coordinator.query(&format!("select {}", calls.join(", "))).await?;
    }
    Ok(())
}

/// Fills them in order; one that reads another which is not filled yet comes again after it.
async fn materialized_views(coordinator: &mut Wire, views: &[MaterializedView]) -> Result<()> {
    let mut left: Vec<&MaterializedView> = views.iter().collect();
    while !left.is_empty() {
        let (mut later, mut last) = (Vec::new(), None);
        for view in &left {
            let name = format!("{}.{}", quote_identifier(&view.schema), quote_identifier(&view.name));
            match coordinator.query(&format!("refresh materialized view {name}")).await {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e),
                Err(e) => {
                    last = Some(e.context(format!("refresh {name}")));
                    later.push(*view);
                }
            }
        }
        if later.len() == left.len() {
            return Err(last.unwrap_or_else(|| Error::internal("no materialised view could be filled")));
        }
        left = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = ";\n; Archive created at 2026-11-22\n;\n\
        3443; 2606 16390 CONSTRAINT public orders orders_pkey postgres\n\
        3444; 1259 16391 INDEX public orders_at_idx postgres\n\
        3450; 0 0 INDEX ATTACH public orders_1_pkey postgres\n\
        3460; 2606 16400 FK CONSTRAINT public orders orders_customer_fkey postgres\n\
        3461; 0 0 COMMENT public INDEX orders_at_idx postgres\n";

    #[test]
    fn indexes_come_before_what_attaches_them_and_that_before_the_rest() {
        let steps = steps(LIST).expect("can be cut");
        let numbers = steps.map(|lines| lines.iter().map(|line| &line[..4]).collect::<Vec<_>>());
        assert_eq!(numbers, [vec!["3443", "3444"], vec!["3450"], vec!["3460", "3461"]]);
    }

    #[test]
    fn a_list_with_a_view_among_the_indexes_is_not_cut() {
        let list = format!("{LIST}3470; 1259 16410 MATERIALIZED VIEW public totals postgres\n");
        assert!(steps(&list).is_none());
    }
}
