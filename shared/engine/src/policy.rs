//! What the owner says of each kind of data: how often it is read, how long it is kept, what is never read, what is masked.
//!
//! One file, JSON. Each table belongs to the first class that matches it, or to none. After the owner's classes come those for a Supabase
//! project's own tables, so that sessions and passwords are never restored into development by oversight.

use crate::error::{Error, Result};
use crate::source::Table;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Class names that mean something else where a part of the source is named.
const RESERVED: [&str; 3] = ["database", "automatic", "all"];
const SUPABASE: &str = include_str!("policy/supabase.json");
const PERSONAL: [&str; 28] = [
    "*email*",
    "*e_mail*",
    "*phone*",
    "*mobile*",
    "*whatsapp*",
    "*first_name*",
    "*last_name*",
    "*full_name*",
    "*surname*",
    "*display_name*",
    "*address*",
    "*street*",
    "*password*",
    "*passwd*",
    "*token*",
    "*secret*",
    "*birth*",
    "*passport*",
    "*tax_id*",
    "*national_id*",
    "*iban*",
    "*card_number*",
    "*latitude*",
    "*longitude*",
    "ip",
    "*_ip",
    "*ip_address*",
    "*user_agent*",
];

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// The editor's hint of which schema the file follows.
    #[serde(rename = "$schema", default)]
    _schema: Option<String>,
    /// In the order in which they are asked.
    #[serde(default)]
    classes: Vec<Class>,
    /// Names of columns that hold personal data, with `*` for anything. A restore that masks stops at such a column if no rule
    /// names it. Without this list there is one that knows common names.
    #[serde(default)]
    personal: Option<Vec<Pattern>>,
}

/// A kind of data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// The tables, as `schema.table`, with `*` for anything.
    #[serde(rename = "match")]
    pub tables: Vec<Pattern>,
    /// It is read no more often than this; between, a backup keeps the rows that it has.
    #[serde(default)]
    pub every: Option<Span>,
    /// How long backups are kept for its sake.
    #[serde(default)]
    pub keep: Option<Span>,
    /// Its rows are never read.
    #[serde(default)]
    pub exclude: bool,
    /// What becomes of its rows in development and staging.
    #[serde(default)]
    pub mask: Option<Mask>,
}

/// What becomes of rows that leave production.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Mask {
    /// They stay behind: `"leave_out"`.
    LeaveOut(LeaveOut),
    /// A rule for each column.
    Columns(BTreeMap<String, Rule>),
}

/// The word `leave_out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveOut {
    /// The word.
    LeaveOut,
}

/// What becomes of a column's values. Nulls and empty texts stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// As they are.
    Keep,
    /// Null.
    Null,
    /// A keyed hash: equal values stay equal, in all tables. A UUID becomes a UUID.
    Hash,
    /// A person's name.
    Name,
    /// An e-mail address at example.com.
    Email,
    /// A telephone number that nobody has.
    Phone,
    /// A street and a number.
    Address,
    /// The first characters.
    Truncate(u16),
    /// A fixed text, or an empty document or list.
    Redact,
}

/// A name in which `*` stands for anything.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Pattern(String);

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// A length of time: a number and `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    seconds: i64,
}

impl Span {
    /// Its seconds.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }
}

impl TryFrom<String> for Span {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let wrong = || Error::invalid(format!("`{text}` is no length of time; write 15m, 6h or 30d"));
        let unit = match text.chars().last() {
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        let number: u16 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        if number == 0 {
            return Err(wrong());
        }
        Ok(Self { seconds: i64::from(number) * unit })
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds {
            s if s % 86_400 == 0 => write!(f, "{}d", s / 86_400),
            s if s % 3_600 == 0 => write!(f, "{}h", s / 3_600),
            s => write!(f, "{}m", s / 60),
        }
    }
}

/// What is to be done with a table where it is masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableMask {
    /// Its rows stay behind.
    LeaveOut,
    /// A rule for each of its columns.
    Rules(Vec<Rule>),
    /// Its rows may not be restored. Says why.
    Refused(String),
}

impl Default for Policies {
    /// Those for a Supabase project's own tables.
    fn default() -> Self {
        Self { _schema: None, classes: built_in(), personal: None }
    }
}

fn built_in() -> Vec<Class> {
    serde_json::from_str(SUPABASE).expect("the built-in classes are tested")
}

impl Policies {
    /// The most days for which any class wants backups to be kept; begun ones count.
    pub fn keep_days(&self) -> u32 {
        const DAY_S: i64 = 24 * 60 * 60;
        let days = self.classes.iter().filter_map(|class| class.keep).map(|keep| (keep.seconds() + DAY_S - 1) / DAY_S);
        days.max().map_or(0, |days| u32::try_from(days).unwrap_or(u32::MAX))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// `Invalid`, naming all that is wrong in it and where.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |e: &dyn fmt::Display| {
            Error::invalid(format!("the policies are not what docs/policies.schema.json says: {e}"))
        };
        if !text.trim_start().starts_with('{') {
            return Err(wrong(&"they are no JSON object"));
        }
        let mut policies: Self = serde_json::from_str(text).map_err(|e| wrong(&e))?;
        let mut problems = Vec::new();
        let mut names = HashSet::new();
        for class in &policies.classes {
            let place = format!("class `{}`", class.name);
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
            if class.name.is_empty() || class.name.len() > 40 || !class.name.chars().all(good) {
                problems.push(format!("{place}: a name is 1 to 40 of a-z, 0-9, _ and -"));
            }
            if RESERVED.contains(&class.name.as_str()) {
                problems.push(format!("{place}: that name means something else"));
            }
            if !names.insert(&class.name) {
                problems.push(format!("{place}: there are two of that name"));
            }
            if built_in().iter().any(|b| b.name == class.name) {
                problems.push(format!("{place}: there is a built-in class of that name"));
            }
            if class.tables.is_empty() {
                problems.push(format!("{place}: `match` names no table"));
            }
            for pattern in &class.tables {
                if !pattern.0.contains('.') && pattern.0 != "*" {
                    problems
                        .push(format!("{place}: `{}` lacks the schema; write such as public.{}", pattern.0, pattern.0));
                }
            }
            if class.exclude && (class.every.is_some() || class.mask.is_some()) {
                problems.push(format!("{place}: what is excluded is neither read (`every`) nor masked (`mask`)"));
            }
            if let Some(Mask::Columns(rules)) = &class.mask {
                let empty = rules.iter().filter(|(_, r)| matches!(r, Rule::Truncate(0)));
                problems
                    .extend(empty.map(|(c, _)| format!("{place}: column `{c}` is cut to nothing; use null or redact")));
            }
        }
        if !problems.is_empty() {
            return Err(Error::invalid(format!("the policies cannot be used: {}", problems.join("; "))));
        }
        policies.classes.extend(built_in());
        Ok(policies)
    }

    /// The class of a table.
    pub fn class_of(&self, table: &Table) -> Option<&Class> {
        let name = format!("{}.{}", table.schema, table.name);
        self.classes.iter().find(|c| c.tables.iter().any(|p| p.matches(&name)))
    }

    /// All classes, in the order in which they are asked.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.iter()
    }

    /// The class of a name.
    ///
    /// # Errors
    /// `NotFound`, naming those that there are.
    pub fn class(&self, name: &str) -> Result<&Class> {
        self.classes.iter().find(|c| c.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.classes.iter().map(|c| c.name.as_str()).collect();
            Error::not_found(format!("there is no class `{name}`; there are {}", names.join(", ")))
        })
    }

    /// What is to be done with a table's rows where they are masked.
    pub fn mask_of(&self, table: &Table) -> TableMask {
        if table.kind == crate::source::TableKind::LargeObjectPages {
            return TableMask::LeaveOut;
        }
        let class = self.class_of(table);
        match class.and_then(|c| c.mask.as_ref()) {
            Some(Mask::LeaveOut(_)) => TableMask::LeaveOut,
            Some(Mask::Columns(rules)) => {
                let missing: Vec<&str> =
                    table.columns.iter().map(String::as_str).filter(|c| !rules.contains_key(*c)).collect();
                if missing.is_empty() {
                    return TableMask::Rules(table.columns.iter().filter_map(|c| rules.get(c).copied()).collect());
                }
                let class = class.map_or("", |c| c.name.as_str());
                TableMask::Refused(format!("class `{class}` has no rule for {}", missing.join(", ")))
            }
            None => {
                let personal: Vec<&str> =
                    table.columns.iter().map(String::as_str).filter(|c| self.is_personal(c)).collect();
                if personal.is_empty() {
                    return TableMask::Rules(vec![Rule::Keep; table.columns.len()]);
                }
                TableMask::Refused(format!("{} look personal and have no rule", personal.join(", ")))
            }
        }
    }

    fn is_personal(&self, column: &str) -> bool {
        let column = column.to_lowercase();
        match &self.personal {
            Some(patterns) => patterns.iter().any(|p| p.matches(&column)),
            None => PERSONAL.iter().any(|p| Pattern((*p).to_owned()).matches(&column)),
        }
    }
}

#[cfg(test)]
mod tests;
