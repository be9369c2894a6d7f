//! What of a snapshot may be seen where it is restored, and how the rest is masked on its way.

use crate::catalog::Warning;
use crate::digest::{RowMeter, RowTally};
use crate::error::{Error, Result};
use crate::manifest::{Manifest, TableManifest};
use crate::mask::Masking;
use crate::policy::{Policies, Rule, TableMask};
use crate::scope::{RelationName, Scope};
use crate::source::{RowStream, Table};
use crate::target::{EXCLUDED, Rows, TableOutline};
use futures::{StreamExt, stream};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Masks rows, and remembers what it sent of each table.
pub(super) struct Masker {
    /// What is masked; nothing without.
    policies: Option<Arc<Policies>>,
    masking: Arc<Masking>,
    /// By the tables' object ids.
    sent: Mutex<HashMap<u32, RowTally>>,
}

impl Masker {
    pub(super) fn new(policies: Option<Arc<Policies>>, masking: Masking) -> Self {
        Self { policies, masking: Arc::new(masking), sent: Mutex::default() }
    }

    /// What becomes of a table's columns, if not all are kept as they are.
    pub(super) fn rules(&self, table: &Table) -> Option<Arc<[Rule]>> {
        match self.policies.as_ref()?.mask_of(table) {
            TableMask::Rules(rules) if rules.iter().any(|r| *r != Rule::Keep) => Some(rules.into()),
            _ => None,
        }
    }

    /// What comes of the rows of each table.
    pub(super) fn outlines(&self, manifest: &Manifest) -> Vec<TableOutline> {
        let outline =
            |t: &TableManifest| TableOutline { table: t.table.clone(), count: t.tally.rows, rows: self.rows(t) };
        manifest.tables.iter().map(outline).collect()
    }

    fn rows(&self, table: &TableManifest) -> Rows {
        if let Some(class) = &table.excluded {
            return Rows::LeftOut(format!("the class `{class}` excludes them from backups"));
        }
        match self.policies.as_ref().map(|p| p.mask_of(&table.table)) {
            Some(TableMask::LeaveOut) => Rows::LeftOut("they stay in production".to_owned()),
            Some(TableMask::Refused(why)) => Rows::Refused(why),
            Some(TableMask::Rules(_)) | None if table.taken_at.is_some() => Rows::Older,
            Some(TableMask::Rules(_)) | None => Rows::All,
        }
    }

    /// The rows of a table, masked by its rules, and counted once they were sent to the end.
    pub(super) fn apply(self: &Arc<Self>, oid: u32, rules: Option<Arc<[Rule]>>, rows: RowStream) -> RowStream {
        let Some(rules) = rules else { return rows };
        let masked = self.masking.apply(&rules, rows);
        let state = (masked, RowMeter::default(), Arc::clone(self));
        Box::pin(stream::try_unfold(state, move |(mut rows, mut meter, masker)| async move {
            match rows.next().await.transpose()? {
                Some(chunk) => {
                    meter.write(&chunk);
                    Ok(Some((chunk, (rows, meter, masker))))
                }
                None => {
                    let tally = meter.finish()?;
                    let mut sent = masker.sent.lock().unwrap_or_else(PoisonError::into_inner);
                    let sum = sent.entry(oid).or_default();
                    *sum = sum.plus(tally);
                    Ok(None)
                }
            }
        }))
    }

    /// All rows of a table that were sent.
    pub(super) fn sent(&self, oid: u32) -> RowTally {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).get(&oid).copied().unwrap_or_default()
    }
}

/// Adds the tables of the classes that a scope names.
///
/// # Errors
/// `NotFound` for a class that there is not.
pub(super) fn resolve_classes(scope: &mut Scope, policies: &Policies, manifest: &Manifest) -> Result<()> {
    for name in std::mem::take(&mut scope.classes) {
        policies.class(&name)?;
        let tables = manifest.tables.iter().map(|t| &t.table);
        let of_class = tables.filter(|t| policies.class_of(t).is_some_and(|c| c.name == name));
        let named = of_class.map(|t| RelationName { schema: t.schema.clone(), name: t.name.clone() });
        let named: Vec<RelationName> = named.filter(|n| !scope.tables.contains(n)).collect();
        scope.tables.extend(named);
    }
    match scope.has_no_rows() && scope.buckets.is_empty() {
        true => Err(Error::invalid("`include` chooses classes that no table of the backup belongs to")),
        false => Ok(()),
    }
}

/// Leaves out the rows that the request leaves out.
///
/// # Errors
/// `NotFound` for a class that there is not; `Invalid` for what names nothing of the backup.
pub(super) fn exclude(
    tables: &mut [TableOutline],
    scope: Option<Scope>,
    policies: &Policies,
    manifest: &Manifest,
) -> Result<()> {
    let Some(mut scope) = scope else { return Ok(()) };
    if !scope.classes.is_empty() {
        resolve_classes(&mut scope, policies, manifest)?;
    }
    let there = |of: &dyn Fn(&Table) -> bool| manifest.tables.iter().any(|t| of(&t.table));
    let is = |name: &RelationName, table: &Table| (&name.schema, &name.name) == (&table.schema, &table.name);
    let schemas = scope.schemas.iter().filter(|schema| !there(&|t| t.schema == **schema)).cloned();
    let named = scope.tables.iter().filter(|name| !there(&|t| is(name, t))).map(|name| String::from(name.clone()));
    if let Some(unknown) = schemas.chain(named).next() {
        return Err(Error::invalid(format!("`exclude` names {unknown}, and the backup has no rows of that")));
    }
    let excluded = |t: &Table| scope.schemas.contains(&t.schema) || scope.tables.iter().any(|name| is(name, t));
    for outline in tables.iter_mut().filter(|outline| excluded(&outline.table)) {
        outline.rows = Rows::LeftOut(EXCLUDED.to_owned());
    }
    Ok(())
}

/// What a person must know of rows that do not come, or are older than the others.
pub(super) fn warnings(manifest: &Manifest, tables: &[TableOutline]) -> Vec<Warning> {
    let name = |table: &Table| format!("{}.{}", table.schema, table.name);
    let left_out = tables.iter().filter_map(|t| match &t.rows {
        Rows::LeftOut(why) => Some(Warning {
            code: "rows_left_out".to_owned(),
            message: format!("the rows of {} are not restored: {why}", name(&t.table)),
        }),
        _ => None,
    });
    let older = manifest.tables.iter().filter_map(|t| {
        let taken_at = t.taken_at?;
        Some(Warning {
            code: "rows_older".to_owned(),
            message: format!(
                "the rows of {} are of {taken_at}; the backup is of {}",
                name(&t.table),
                manifest.taken_at
            ),
        })
    });
    left_out.chain(older).collect()
}
