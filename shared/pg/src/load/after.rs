//! What happens once all rows are there. Every step may be done again after an interruption.

use super::make::{Making, require_all};
use super::project;
use super::{PgLoading, Phase, enter, rights};
use crate::archive;
use crate::capture::literal;
use crate::project::{MANAGED, is_managed};
use crate::wire::{Wire, text};
use engine::catalog::Warning;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::limits::SCHEMA_BYTES_MAX;
use engine::source::{LargeObject, MaterializedView, Sequence, quote_identifier};

pub(super) async fn complete(loading: &PgLoading, warnings: &mut Vec<Warning>) -> Result<()> {
    if loading.phase < Phase::Giving {
        build(loading, warnings).await?;
    }
    warnings.extend(rights::give(&mut *loading.restorer.lock().await, &loading.plan.owners()).await?);
    let making = loading.making();
    making.as_far_as_may_be(&loading.plan.last).await?;
    warnings.extend(making.left_out());
    require_everything(loading, &making).await
}

/// Makes all that is made before everything has its owner.
async fn build(loading: &PgLoading, warnings: &mut Vec<Warning>) -> Result<()> {
    let (outline, plan, making) = (&loading.outline, &loading.plan, loading.making());
    {
        let mut restorer = loading.restorer.lock().await;
        enter(&mut restorer, Phase::Completing).await?;
        if loading.choice.takes_large_objects() {
            large_objects(&mut restorer, &outline.large_objects, warnings).await.context("make the large objects")?;
        }
        let wanted = |s: &&Sequence| loading.choice.takes_relation(&s.schema, &s.name);
        let (managed, own): (Vec<&Sequence>, Vec<&Sequence>) =
            outline.sequences.iter().filter(wanted).partition(|s| loading.is_project && is_managed(&s.schema));
        sequences(&mut restorer, &own).await.context("set the sequences")?;
        for sequence in managed {
            // The project may have others.
            if let Err(e) = sequences(&mut restorer, &[sequence]).await {
                let message = format!("sequence {}.{}: {e}", sequence.schema, sequence.name);
                warnings.push(Warning { code: "sequence".to_owned(), message });
            }
        }
        warnings.extend(project::check_references(&mut restorer, &loading.managed).await?);
    }
    making.in_sessions(&plan.keys, loading.sessions).await?;
    making.in_order(&plan.attached).await?;
    {
        // Before any policy could hide a row from whoever fills a view.
        let mut builder = loading.builders.lend().await?;
        let wanted = |v: &&MaterializedView| loading.choice.takes_relation(&v.schema, &v.name);
        let views = outline.materialized_views.iter().filter(wanted).collect();
        materialized_views(builder.wire()?, views).await.context("fill the materialised views")?;
        warnings.extend(analyze(builder.wire()?, "").await.context("gather statistics")?);
    }
    making.in_sessions(&plan.references, loading.sessions).await?;
    making.in_sessions(&plan.rules, loading.sessions).await?;
    enter(&mut *loading.restorer.lock().await, Phase::Giving).await
}

/// Gathers statistics of what was restored; of the server's own catalogs autovacuum does. Without them nothing is missing, so
/// what cannot be read, such as a foreign table below a parent, is told and no failure. A `condition` on the schema `n` narrows it.
pub(super) async fn analyze(builder: &mut Wire, condition: &str) -> Result<Vec<Warning>> {
    let rows = builder
        .query(&format!(
            "select format('%I.%I', n.nspname, c.relname)
            from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'm') and c.relowner = (select r.oid from pg_roles as r where r.rolname = current_user)
                and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backup_restore') {condition}
            order by c.oid"
        ))
        .await?;
    let names = rows.iter().map(|row| text(row, 0)).collect::<Result<Vec<_>>>()?;
    let mut warnings = Vec::new();
    for some in names.chunks(1_000) {
        if builder.attempt(&format!("analyze {}", some.join(", "))).await.is_ok() {
            continue;
        }
        for name in some {
            match builder.attempt(&format!("analyze {name}")).await {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e),
                Err(e) => warnings.push(Warning { code: "statistics".to_owned(), message: format!("{name}: {e}") }),
            }
        }
    }
    Ok(warnings)
}

/// Every object that was made is in the target, as its own schema says.
async fn require_everything(loading: &PgLoading, making: &Making<'_>) -> Result<()> {
    let mut arguments = [
        "--format=custom",
        "--schema-only",
        "--compress=0",
        "--exclude-schema=backup_restore",
        "--exclude-schema=backup_lineage",
    ]
    .map(str::to_owned)
    .to_vec();
    if loading.is_project {
        // Not everybody who may fill the project's own tables may also lock them.
        arguments.extend(MANAGED.map(|schema| format!("--exclude-schema={schema}")));
    }
    let dumped = loading.client.dump(&loading.address, &arguments, SCHEMA_BYTES_MAX).await;
    let there = archive::contents(&dumped.context("read the target's schema")?)?;
    let wanted = |e: &&archive::Entry| making.is_made(e) && !loading.managed.entries.contains(&e.id);
    require_all(loading.plan.entries().filter(wanted), &there)
}

async fn large_objects(restorer: &mut Wire, objects: &[LargeObject], warnings: &mut Vec<Warning>) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    restorer.query("begin").await?;
    restorer.query("select lo_unlink(oid) from pg_largeobject_metadata").await?;
    for some in objects.chunks(1_000) {
        let oids = some.iter().map(|o| o.oid.to_string()).collect::<Vec<_>>().join(", ");
        restorer.query(&format!("select lo_create(o) from unnest(array[{oids}]::oid[]) as o")).await?;
    }
    restorer
        .query(
            "select count(lo_put(p.loid, p.pageno::bigint * (current_setting('block_size')::int / 4), p.data))
            from backup_restore.large_object_page as p",
        )
        .await?;
    restorer.query("commit").await?;
    for object in objects {
        let mut statements =
            vec![format!("alter large object {} owner to {}", object.oid, quote_identifier(&object.owner))];
        statements.extend(object.grants.iter().cloned());
        if let Some(comment) = &object.comment {
            statements.push(format!("comment on large object {} is {}", object.oid, literal(comment)));
        }
        for statement in statements {
            match restorer.query(&statement).await {
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

pub(super) async fn sequences(restorer: &mut Wire, sequences: &[&Sequence]) -> Result<()> {
    for some in sequences.chunks(500) {
        let calls: Vec<String> = some
            .iter()
            .map(|s| {
                let name = format!("{}.{}", quote_identifier(&s.schema), quote_identifier(&s.name));
                format!("setval({}, {}, {})", literal(&name), s.last_value, s.is_called)
            })
            .collect();
        restorer.query(&format!("select {}", calls.join(", "))).await?;
    }
    Ok(())
}

/// Fills them in order; one that reads another which is not filled yet comes again after it.
pub(super) async fn materialized_views(restorer: &mut Wire, views: Vec<&MaterializedView>) -> Result<()> {
    let mut left = views;
    while !left.is_empty() {
        let (mut later, mut last) = (Vec::new(), None);
        for view in &left {
            let name = format!("{}.{}", quote_identifier(&view.schema), quote_identifier(&view.name));
            match restorer.attempt(&format!("refresh materialized view {name}")).await {
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
