//! What is made on tables that stay and that others are using: foreign keys to them, triggers and policies on them, publications.
//!
//! Each locks such a table until the commit. So it comes last, and a lock that is not had soon is asked for again instead of waited
//! for: whoever comes after a waiting one waits behind it.

use super::names::Renaming;
use super::selection::Swap;
use super::{is_kind, is_lock};
use crate::archive::Entry;
use crate::capture::literal;
use crate::describe::{major_of, some_of, version_said};
use crate::load::plan::Plan;
use crate::wire::{Wire, text};
use engine::catalog::Warning;
use engine::error::{ErrorKind, Result, ResultExt};
use engine::source::quote_identifier;
use std::time::Duration;

/// A lock is asked for so often.
const TRIES: u32 = 6;
const TRY_PAUSE: Duration = Duration::from_millis(500);
/// The first server with publications of whole schemas.
const SCHEMA_PUBLICATIONS_MIN: u32 = 15;
/// In the order in which they are made. What remarks on them comes after them.
const ORDER: [&str; 3] = ["FK CONSTRAINT", "TRIGGER", "POLICY"];

/// The statements for an entry. One that is in the target already takes the place of that; nobody but a table's owner may drop a trigger,
/// but whoever may make one may replace it.
fn statements(entry: &Entry, swap: &Swap) -> String {
    if !swap.stale.contains(&entry.title()) {
        return entry.make.clone();
    }
    match entry.make.trim_start().strip_prefix("CREATE TRIGGER ") {
        Some(rest) => format!("CREATE OR REPLACE TRIGGER {rest}"),
        None => format!("{}\n{}", entry.drop, entry.make),
    }
}

/// Tries what must succeed in the end, and takes it back.
pub(super) async fn probe(wire: &mut Wire, swap: &Swap) -> Result<()> {
    for entry in swap.live.iter().filter(|e| swap.stale.contains(&e.title())) {
        wire.query("savepoint probe").await?;
        let tried = wire.query(&statements(entry, swap)).await;
        if !wire.in_step {
            return tried.map(|_| ());
        }
        wire.query("rollback to savepoint probe; release savepoint probe").await?;
        match tried {
            // Somebody uses the table at this moment.
            Err(e) if is_lock(&e) => {}
            tried => tried
                .map(|_| ())
                .context(format!("make {} again, which calls what is replaced; nothing was changed", entry.title()))?,
        }
    }
    Ok(())
}

/// Makes all of it. Gives what could not be made, and need not be.
pub(super) async fn make(wire: &mut Wire, swap: &Swap) -> Result<Vec<Warning>> {
    let mut live: Vec<&Entry> = swap.live.iter().collect();
    live.sort_by_key(|e| ORDER.iter().position(|kind| *kind == e.kind).unwrap_or(ORDER.len()));
    let mut warnings = Vec::new();
    for entry in live {
        let title = entry.title();
        let must = is_kind(entry, &["FK CONSTRAINT"]) || swap.stale.contains(&title);
        match patiently(wire, &statements(entry, swap)).await {
            Ok(()) => {}
            Err(e) if must && e.to_string().contains("23503") => {
                return Err(e.context(format!(
                    "{title} refers to rows that the target does not have: tables of schemas that are not replaced stay as they are. Put \
                     those rows back first, or leave the key out with `leaveOutReferences`"
                )));
            }
            Err(e) if must || e.kind() == ErrorKind::Unavailable => return Err(e.context(format!("make {title}"))),
            Err(e) => warnings.push(Warning { code: "left_out".to_owned(), message: format!("make {title}: {e}") }),
        }
    }
    Ok(warnings)
}

async fn patiently(wire: &mut Wire, statements: &str) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        match wire.attempt(statements).await {
            Err(e) if is_lock(&e) && wire.in_step && tries < TRIES => tokio::time::sleep(TRY_PAUSE).await,
            tried => return tried.map(|_| ()),
        }
    }
}

/// Takes replaced tables out of publications that get the new ones in their place.
pub(super) async fn leave_publications(wire: &mut Wire, renaming: &[Renaming], plan: &Plan) -> Result<Vec<Warning>> {
    if renaming.is_empty() {
        return Ok(Vec::new());
    }
    let names = renaming.iter().map(|r| literal(&r.aside)).collect::<Vec<_>>().join(", ");
    let rows = wire
        .query(&format!(
            "select p.pubname, n.nspname, c.relname
            from pg_publication_rel as r join pg_publication as p on p.oid = r.prpubid
            join pg_class as c on c.oid = r.prrelid join pg_namespace as n on n.oid = c.relnamespace
            where n.nspname in ({names}) order by 1, 2, 3"
        ))
        .await
        .context("look at the publications")?;
    let mut kept = Vec::new();
    for row in &rows {
        let (publication, aside, table) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        let name = renaming.iter().find(|r| r.aside == aside).map_or("", |r| r.name.as_str());
        let comes_again = plan
            .last
            .iter()
            .any(|e| e.kind == "PUBLICATION TABLE" && e.schema == name && e.name == format!("{publication} {table}"));
        let drop = format!(
            "alter publication {} drop table {}.{}",
            quote_identifier(publication),
            quote_identifier(aside),
            quote_identifier(table)
        );
        if !comes_again || wire.attempt(&drop).await.is_err() {
            kept.push(format!("{aside}.{table} by {publication}"));
        }
    }
    if major_of(version_said(wire)) >= SCHEMA_PUBLICATIONS_MIN {
        let rows = wire
            .query(&format!(
                "select format('all of %s by %s', n.nspname, p.pubname)
                from pg_publication_namespace as r join pg_publication as p on p.oid = r.pnpubid
                join pg_namespace as n on n.oid = r.pnnspid
                where n.nspname in ({names}) order by 1"
            ))
            .await
            .context("look at the publications of schemas")?;
        kept.extend(rows.iter().map(|row| text(row, 0).map(str::to_owned)).collect::<Result<Vec<_>>>()?);
    }
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    let message = format!("what was replaced is still published: {}", some_of(&kept));
    Ok(vec![Warning { code: "publication".to_owned(), message }])
}
