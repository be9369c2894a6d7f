//! Reads the catalogs: what there is, as the transaction snapshot sees it.

use crate::project;
use crate::session::{APPLICATION, PINNED};
use crate::wire::{Row, Wire, parsed, text};
use engine::catalog::Warning;
use engine::error::{Error, Result, ResultExt};
use engine::source::{
    Coverage, CoverageState, Description, LargeObject, Lineage, MaterializedView, Role, Sequence, Server, Table,
    TableKind, quote_identifier,
};
use engine::stage::Sha256;
use serde_json::Value;

/// The oldest server with TID range scans.
const SERVER_VERSION_MIN: u32 = 140_000;
/// So many sequences are asked about in one query.
const SEQUENCES_AT_ONCE: usize = 500;

/// Refuses a server that is too old, from what it said at start-up.
pub(crate) fn require_version(wire: &Wire) -> Result<()> {
    let said = version_said(wire);
    if major_of(said) * 10_000 < SERVER_VERSION_MIN {
        return Err(Error::unsupported(format!(
            "the server is PostgreSQL {said}; {APPLICATION} needs {} or newer",
            SERVER_VERSION_MIN / 10_000
        )));
    }
    Ok(())
}

/// What the server said of its version at start-up, such as `18.6` or `19beta1`.
pub(crate) fn version_said(wire: &Wire) -> &str {
    wire.parameters.get("server_version").map_or("", String::as_str)
}

/// The major version of what a server said; 0 when it said nothing.
pub(crate) fn major_of(said: &str) -> u32 {
    said.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

pub(crate) async fn server(wire: &mut Wire) -> Result<Server> {
    let rows = wire.query(include_str!("describe/server.sql")).await.context("describe the server")?;
    let row = rows.first().ok_or_else(|| Error::internal("the server did not describe itself"))?;
    Ok(Server {
        product: "PostgreSQL".to_owned(),
        version_num: parsed(row, 0)?,
        version: text(row, 1)?.to_owned(),
        system_identifier: text(row, 2)?.to_owned(),
        timeline: parsed(row, 3)?,
        database: text(row, 4)?.to_owned(),
        database_oid: parsed(row, 5)?,
        encoding: text(row, 6)?.to_owned(),
        block_bytes: parsed(row, 7)?,
        transaction_snapshot: text(row, 8)?.to_owned(),
        transaction_id: parsed(row, 9)?,
        oldest_transaction_id: parsed(row, 10)?,
        wal_lsn: text(row, 11)?.to_owned(),
    })
}

/// The attempts that the database remembers.
pub(crate) async fn lineage(wire: &mut Wire) -> Result<Lineage> {
    let rows = wire.query(include_str!("describe/lineage.sql")).await.context("look for the lineage")?;
    if let Some(why) = rows.first().and_then(|row| row.first().cloned().flatten()) {
        return Ok(Lineage::Unknown(why));
    }
    let rows = wire.query("select id from backup_lineage.attempt").await.context("read the lineage")?;
    // Whatever else somebody put there is no attempt of ours.
    Ok(Lineage::Known(rows.iter().filter_map(|row| text(row, 0).ok()?.parse().ok()).collect()))
}

/// The tables, with the files they have in the transaction snapshot and no sizes yet. Refuses those that this role would
/// not see whole.
pub(crate) async fn tables(wire: &mut Wire) -> Result<Vec<Table>> {
    let rows = wire.query(include_str!("describe/tables.sql")).await.context("describe the tables")?;
    let (mut tables, mut filtered, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new(), Vec::new());
    for row in &rows {
        let table = table(row)?;
        if text(row, 6)? == "t" {
            filtered.push(table.quoted());
        }
        if text(row, 7)? != "t" {
            unreadable.push(table.quoted());
        }
        tables.push(table);
    }
    if !unreadable.is_empty() {
        return Err(Error::denied(format!(
            "the role may not read {}; grant it pg_read_all_data (infra/sql/backup_role.sql does)",
            some_of(&unreadable)
        )));
    }
    if !filtered.is_empty() {
        return Err(Error::denied(format!(
            "row security would hide rows of {} from the role; give it bypassrls (infra/sql/backup_role.sql does)",
            some_of(&filtered)
        )));
    }
    Ok(tables)
}

fn table(row: &Row) -> Result<Table> {
    let (schema, access_method) = (text(row, 1)?, text(row, 5)?);
    let marked = row.get(10).cloned().flatten();
    // As its extension wrote it, with its `where`.
    let condition = marked.clone().filter(|c| !c.trim().is_empty());
    let unplaced = match access_method {
        // Neither is a run's fingerprint that of the rows that are copied, nor are these unchanged when their own rows are.
        _ if condition.is_some() => {
            Some("its extension decides by a condition which of its rows are copied".to_owned())
        }
        "heap" => None,
        other => Some(format!("its access method is {other}, not heap")),
    };
    Ok(Table {
        schema: schema.to_owned(),
        name: text(row, 2)?.to_owned(),
        kind: match &marked {
            _ if schema == "pg_catalog" => TableKind::LargeObjectPages,
            Some(_) => TableKind::ExtensionTable,
            None => TableKind::Table,
        },
        oid: parsed(row, 0)?,
        relfilenode: parsed(row, 8)?,
        columns: strings(row, 3)?,
        condition,
        // The session's settings decide too.
        definition: Sha256::of(format!("{PINNED}\n{}", text(row, 4)?).as_bytes()).to_string(),
        blocks: 0,
        bytes_on_disk: 0,
        unplaced,
        unsteady: row.get(9).cloned().flatten(),
    })
}

/// The sizes of the tables, now that they are locked; largest first. Gives `Conflict` for one whose file is not that of
/// the transaction snapshot: a `truncate` or a rewriting `alter table` that committed between the snapshot and the lock
/// leaves a table empty to the snapshot.
pub(crate) async fn measure(wire: &mut Wire, tables: &mut [Table]) -> Result<()> {
    let oids = tables.iter().map(|t| t.oid.to_string()).collect::<Vec<_>>().join(", ");
    let rows = wire
        .query(&format!(
            "select
                o.oid,
                coalesce(pg_relation_filenode(o.oid), 0),
                coalesce(pg_relation_size(o.oid, 'main') / current_setting('block_size')::int, 0),
                coalesce(pg_table_size(o.oid), 0)
            from unnest(array[{oids}]::oid[]) with ordinality as o(oid, n)
            order by o.n"
        ))
        .await
        .context("measure the tables")?;
    for (row, table) in rows.iter().zip(tables.iter_mut()) {
        let (oid, file): (u32, u32) = (parsed(row, 0)?, parsed(row, 1)?);
        // The catalog names no file of a mapped relation; those cannot be rewritten under a lock.
        if oid != table.oid || (table.relfilenode != 0 && file != table.relfilenode) {
            return Err(Error::conflict(format!(
                "{} was truncated or rewritten while the backup began",
                table.quoted()
            )));
        }
        table.relfilenode = file;
        table.blocks = parsed(row, 2)?;
        table.bytes_on_disk = parsed(row, 3)?;
    }
    tables.sort_by(|a, b| b.bytes_on_disk.cmp(&a.bytes_on_disk).then(a.oid.cmp(&b.oid)));
    Ok(())
}

/// Everything but the server and the tables.
pub(crate) async fn rest(wire: &mut Wire, server: Server, tables: Vec<Table>) -> Result<Description> {
    let mut description = Description {
        server,
        lineage: lineage(wire).await?,
        tables,
        sequences: sequences(wire).await.context("read the sequences")?,
        roles: roles(wire).await.context("read the roles")?,
        large_objects: large_objects(wire).await.context("describe the large objects")?,
        materialized_views: materialized_views(wire).await.context("describe the materialised views")?,
        stored_objects: None,
        coverage: Vec::new(),
        warnings: Vec::new(),
    };
    cover(wire, &mut description).await.context("describe the schemas")?;
    Ok(description)
}

async fn sequences(wire: &mut Wire) -> Result<Vec<Sequence>> {
    let names = wire
        .query(
            "select n.nspname, c.relname
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind = 'S' and c.relpersistence <> 't' and n.nspname not in ('backup_restore', 'backup_lineage')
                and (
                    exists (select from pg_extension as x where c.oid = any (x.extconfig))
                    or not exists (
                        select from pg_depend as p where p.classid = 'pg_class'::regclass and p.objid = c.oid and p.deptype = 'e'
                    )
                )
            order by 1, 2",
        )
        .await?;
    let mut sequences = Vec::with_capacity(names.len());
    for some in names.chunks(SEQUENCES_AT_ONCE) {
        let mut selects = Vec::with_capacity(some.len());
        for row in some {
            let name = format!("{}.{}", quote_identifier(text(row, 0)?), quote_identifier(text(row, 1)?));
            selects.push(format!("select last_value, is_called from {name}"));
        }
        let values = wire.query(&selects.join(" union all ")).await?;
        if values.len() != some.len() {
            return Err(Error::internal("the server did not tell where each sequence stands"));
        }
        for (name, value) in some.iter().zip(&values) {
            sequences.push(Sequence {
                schema: text(name, 0)?.to_owned(),
                name: text(name, 1)?.to_owned(),
                last_value: parsed(value, 0)?,
                is_called: text(value, 1)? == "t",
            });
        }
    }
    Ok(sequences)
}

async fn roles(wire: &mut Wire) -> Result<Vec<Role>> {
    let rows = wire.query(include_str!("describe/roles.sql")).await?;
    let role = |row: &Row| {
        Ok(Role {
            name: text(row, 0)?.to_owned(),
            options: strings(row, 1)?,
            member_of: strings(row, 2)?,
            settings: strings(row, 3)?,
        })
    };
    rows.iter().map(role).collect()
}

async fn large_objects(wire: &mut Wire) -> Result<Vec<LargeObject>> {
    let rows = wire.query(include_str!("describe/large_objects.sql")).await?;
    let object = |row: &Row| {
        Ok(LargeObject {
            oid: parsed(row, 0)?,
            owner: text(row, 1)?.to_owned(),
            grants: strings(row, 2)?,
            comment: row.get(3).cloned().flatten(),
        })
    };
    rows.iter().map(object).collect()
}

async fn materialized_views(wire: &mut Wire) -> Result<Vec<MaterializedView>> {
    let rows = wire
        .query(
            "select n.nspname, c.relname
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind = 'm' and c.relispopulated
            order by c.oid",
        )
        .await?;
    rows.iter()
        .map(|row| Ok(MaterializedView { schema: text(row, 0)?.to_owned(), name: text(row, 1)?.to_owned() }))
        .collect()
}

/// Says of each schema and of each other part what became of it.
async fn cover(wire: &mut Wire, description: &mut Description) -> Result<()> {
    let mut put = |part: &str, state, detail: &str| {
        description.coverage.push(Coverage { part: part.to_owned(), state, detail: detail.to_owned() });
    };
    let mut warnings = Vec::new();
    let is_supabase = project::is_project(wire).await?;
    for row in wire.query(include_str!("describe/schemas.sql")).await? {
        let (schema, foreign, unmarked) = (text(&row, 0)?.to_owned(), parsed::<u64>(&row, 1)?, strings(&row, 2)?);
        put(&schema, CoverageState::BackedUp, if is_supabase { project::detail(&schema) } else { "" });
        if foreign > 0 {
            warnings.push(Warning {
                code: "foreign_table".to_owned(),
                message: format!("schema {schema} has {foreign} foreign tables: their definitions are backed up, their rows belong to another server"),
            });
        }
        if !unmarked.is_empty() {
            warnings.push(Warning {
                code: "extension_table".to_owned(),
                message: format!(
                    "schema {schema}: the rows of {} are not backed up, because their extension did not mark them as its owner's",
                    some_of(&unmarked)
                ),
            });
        }
    }
    put("roles", CoverageState::BackedUp, "without passwords: set them again after a restore");
    put("sequences", CoverageState::BackedUp, "");
    let objects =
        if description.large_objects.is_empty() { CoverageState::NotApplicable } else { CoverageState::BackedUp };
    put("large objects", objects, "");
    if is_supabase {
        for (part, state, detail) in project::not_exportable() {
            put(part, state, detail);
        }
        description.stored_objects = Some(project::count_objects(wire).await?);
    }
    description.warnings = warnings;
    Ok(())
}

fn strings(row: &Row, column: usize) -> Result<Vec<String>> {
    let wrong = || Error::internal(format!("column {column} of a catalog query is not a list of texts"));
    let value: Value = serde_json::from_str(text(row, column)?).map_err(|e| wrong().with_source(e))?;
    let values = value.as_array().ok_or_else(wrong)?;
    values.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

/// At most five names, and how many more there are.
pub(crate) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
