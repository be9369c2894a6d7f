//! What is made of an archive, when, and by whom. Decides only; [`super::make`] acts.

use crate::archive::{Entry, Section};
use std::collections::{HashMap, HashSet};

/// Kinds that only set up the script that `pg_restore` would write, and the database itself: the target is another.
const LEFT_OUT: [&str; 5] = ["ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES"];
/// What the role that restores makes itself, because only a more powerful one may. These statements run nothing that came
/// with the backup: an extension's script is the server's.
const RESTORERS: [&str; 4] = ["EXTENSION", "PROCEDURAL LANGUAGE", "ACCESS METHOD", "FOREIGN DATA WRAPPER"];
/// What the role that restores makes if the builder may not: definitions, which run nothing when they are made.
const DEFINITIONS: [&str; 24] = [
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "FOREIGN TABLE",
    "FUNCTION",
    "OPERATOR",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "POLICY",
    "PROCEDURE",
    "ROW SECURITY",
    "RULE",
    "SERVER",
    "SHELL TYPE",
    "STATISTICS",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "TRANSFORM",
    "TRIGGER",
    "TYPE",
    "USER MAPPING",
    "VIEW",
];
/// What comes last, once everything has its owner. Each may be refused to a role that is not powerful enough; then it is left out
/// with a warning.
const LAST: [&str; 10] = [
    "COMMENT",
    "SECURITY LABEL",
    "PUBLICATION",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
    "SUBSCRIPTION",
    "SUBSCRIPTION TABLE",
    "ACL",
    "DEFAULT ACL",
    "EVENT TRIGGER",
];
/// What needs the rows and the keys, and nothing that is made before needs.
const REFERENCES: [&str; 4] = ["CHECK CONSTRAINT", "FK CONSTRAINT", "STATISTICS", "DEFAULT"];
/// What would run when rows or views are filled or references checked, or hide rows from that.
const RULES: [&str; 4] = ["TRIGGER", "RULE", "POLICY", "ROW SECURITY"];
/// The name of the rule that is a view. A view that groups by a key is first made without rows, and gets this rule after the key.
const VIEW_RULE: &str = " _RETURN";
/// What has an owner of its own: not the parts of a table.
const OWNED: [&str; 24] = [
    "TABLE",
    "AGGREGATE",
    "COLLATION",
    "CONVERSION",
    "DOMAIN",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "FUNCTION",
    "MATERIALIZED VIEW",
    "OPERATOR",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "PROCEDURE",
    "SCHEMA",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TYPE",
    "VIEW",
    "PUBLICATION",
];

/// Who makes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// The builder, always: whatever may run code that came with the backup.
    Builder,
    /// The builder, or if it may not, the role that restores.
    Either,
    /// The role that restores.
    Restorer,
}

/// Who makes objects of a kind.
pub(super) fn maker(kind: &str) -> Maker {
    match kind {
        _ if RESTORERS.contains(&kind) || LAST.contains(&kind) => Maker::Restorer,
        _ if DEFINITIONS.contains(&kind) => Maker::Either,
        _ => Maker::Builder,
    }
}

/// The entries of an archive, cut into steps. Within a step they stand in the archive's order, which is one of dependence.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Everything that rows need.
    pub(super) before: Vec<Entry>,
    /// Indexes and keys, and whatever else they need or follows no rule of the later steps, such as a view that groups by a key.
    pub(super) keys: Vec<Entry>,
    /// Indexes of partitions are attached one after the other: an index attached to its parent in one session while another
    /// attaches that one to its own leaves the topmost invalid, since neither sees the other.
    pub(super) attached: Vec<Entry>,
    /// What refers to other tables, and is checked against their rows when it is made.
    pub(super) references: Vec<Entry>,
    /// What would run when rows or views are filled or references checked, or would hide rows from that.
    pub(super) rules: Vec<Entry>,
    /// Comments, publications, privileges, event triggers.
    pub(super) last: Vec<Entry>,
}

impl Plan {
    /// `optional` are those that may be refused.
    pub(super) fn new(entries: Vec<Entry>, optional: &HashSet<u32>) -> Self {
        let keys = needed_by_keys(&entries);
        let mut plan = Self::default();
        for entry in entries {
            let kind = entry.kind.as_str();
            let of_database = LAST.contains(&kind) && entry.name.starts_with("DATABASE ");
            if LEFT_OUT.contains(&kind) || of_database || entry.section == Section::Rows {
                continue;
            }
            let step = match entry.section {
                _ if LAST.contains(&kind) || optional.contains(&entry.id) => &mut plan.last,
                Section::After if kind == "INDEX ATTACH" => &mut plan.attached,
                Section::After if keys.contains(&entry.id) => &mut plan.keys,
                Section::After if REFERENCES.contains(&kind) => &mut plan.references,
                Section::After => &mut plan.rules,
                _ => &mut plan.before,
            };
            step.push(entry);
        }
        // Event triggers after everything that they would hear of.
        plan.last.sort_by_key(|e| LAST.iter().position(|kind| *kind == e.kind));
        plan
    }

    /// Everything that is made, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        [&self.before, &self.keys, &self.attached, &self.references, &self.rules, &self.last].into_iter().flatten()
    }

    /// The extensions that the backup needs.
    pub(super) fn extensions(&self) -> impl Iterator<Item = &Entry> {
        self.before.iter().filter(|e| e.kind == "EXTENSION")
    }

    /// The tablespaces that the backup names.
    pub(super) fn tablespaces(&self) -> HashSet<String> {
        self.entries().map(|e| e.tablespace.clone()).filter(|space| !space.is_empty()).collect()
    }

    /// The statements that give everything its owner; tables first, because their sequences follow them.
    pub(super) fn owners(&self) -> Vec<Ownership> {
        let mut owners: Vec<Ownership> = self.entries().filter_map(Ownership::of).collect();
        owners.sort_by_key(|o| !o.title.starts_with("TABLE "));
        owners
    }
}

/// Of the entries after the rows, those of no later step, and all that these need.
fn needed_by_keys(entries: &[Entry]) -> HashSet<u32> {
    let after: HashMap<u32, &Entry> =
        entries.iter().filter(|e| e.section == Section::After).map(|e| (e.id, e)).collect();
    let mut needed: HashSet<u32> = HashSet::new();
    let later = |e: &Entry| match e.kind.as_str() {
        "INDEX ATTACH" => true,
        "RULE" => !e.name.ends_with(VIEW_RULE),
        kind => REFERENCES.contains(&kind) || RULES.contains(&kind),
    };
    let mut open: Vec<u32> = after.values().filter(|e| !later(e)).map(|e| e.id).collect();
    while let Some(id) = open.pop() {
        if let Some(entry) = after.get(&id)
            && needed.insert(id)
        {
            open.extend(&entry.depends_on);
        }
    }
    needed
}

/// Who owns an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ownership {
    /// The object, for people.
    pub(super) title: String,
    /// The object as SQL, such as `TABLE public.orders`.
    pub(super) object: String,
    /// The role.
    pub(super) owner: String,
}

impl Ownership {
    /// `None` for what has no owner of its own.
    fn of(entry: &Entry) -> Option<Self> {
        if entry.owner.is_empty() || !OWNED.contains(&entry.kind.as_str()) {
            return None;
        }
        // The archive names an object, with its arguments, where it drops it. The schema `public` is never dropped.
        let dropped = entry.drop.trim().strip_prefix("DROP ").and_then(|d| d.strip_suffix(';'));
        let object = match dropped {
            Some(object) => object.to_owned(),
            None if entry.kind == "SCHEMA" => format!("SCHEMA {}", engine::source::quote_identifier(&entry.name)),
            None => return None,
        };
        Some(Self { title: entry.title(), object, owner: entry.owner.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32, kind: &str, name: &str, depends_on: &[u32]) -> Entry {
        let after = [
            "INDEX",
            "CONSTRAINT",
            "FK CONSTRAINT",
            "INDEX ATTACH",
            "MATERIALIZED VIEW",
            "RULE",
            "TRIGGER",
            "EVENT TRIGGER",
        ];
        Entry {
            id,
            kind: kind.to_owned(),
            schema: "public".to_owned(),
            name: name.to_owned(),
            owner: "shop".to_owned(),
            section: match kind {
                "COMMENT" | "ACL" => Section::None,
                _ if after.contains(&kind) => Section::After,
                _ => Section::Before,
            },
            make: String::new(),
            drop: format!("DROP {kind} public.{name};"),
            tablespace: String::new(),
            access_method: String::new(),
            relation_kind: None,
            depends_on: depends_on.to_vec(),
        }
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|e| e.name.as_str()).collect()
    }

    #[test]
    fn keys_come_before_what_attaches_them_and_that_before_what_refers_to_them() {
        let plan = Plan::new(
            vec![
                entry(1, "TABLE", "orders", &[]),
                entry(9, "EVENT TRIGGER", "watch", &[]),
                entry(2, "CONSTRAINT", "orders orders_pkey", &[1]),
                entry(3, "FK CONSTRAINT", "orders orders_customer_fkey", &[1, 2]),
                entry(4, "INDEX ATTACH", "orders_1_pkey", &[2]),
                entry(5, "RULE", "grouped _RETURN", &[2]),
                entry(6, "MATERIALIZED VIEW", "grouped", &[5]),
                entry(7, "INDEX", "grouped_key", &[6]),
                entry(8, "COMMENT", "TABLE orders", &[1]),
                entry(10, "TRIGGER", "orders told", &[1]),
                entry(11, "RULE", "totals _RETURN", &[1]),
            ],
            &HashSet::new(),
        );
        assert_eq!(names(&plan.before), ["orders"]);
        assert_eq!(
            names(&plan.keys),
            ["orders orders_pkey", "grouped _RETURN", "grouped", "grouped_key", "totals _RETURN"]
        );
        assert_eq!(names(&plan.attached), ["orders_1_pkey"]);
        assert_eq!(names(&plan.references), ["orders orders_customer_fkey"]);
        assert_eq!(names(&plan.rules), ["orders told"]);
        assert_eq!(names(&plan.last), ["TABLE orders", "watch"]);
    }

    #[test]
    fn tables_get_their_owner_before_the_sequences_that_follow_them() {
        let mut public = entry(3, "SCHEMA", "public", &[]);
        public.drop = "-- *not* dropping schema".to_owned();
        let plan = Plan::new(
            vec![
                entry(1, "SEQUENCE", "ids", &[]),
                entry(2, "TABLE", "orders", &[]),
                public,
                entry(4, "INDEX", "i", &[2]),
            ],
            &HashSet::new(),
        );
        let owners: Vec<String> = plan.owners().into_iter().map(|o| o.object).collect();
        assert_eq!(owners, ["TABLE public.orders", "SEQUENCE public.ids", "SCHEMA \"public\""]);
    }

    #[test]
    fn whatever_may_run_code_of_the_backup_is_made_by_the_builder() {
        for kind in
            ["TABLE", "INDEX", "CONSTRAINT", "FK CONSTRAINT", "MATERIALIZED VIEW", "DEFAULT", "TABLE ATTACH", "DOMAIN"]
        {
            assert_eq!(maker(kind), Maker::Builder, "{kind}");
        }
        assert_eq!(
            (maker("FUNCTION"), maker("EXTENSION"), maker("ACL")),
            (Maker::Either, Maker::Restorer, Maker::Restorer)
        );
    }
}
