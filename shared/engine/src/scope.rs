//! What of a snapshot is restored: everything, or some schemas and tables.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is wanted. Whatever it needs comes with it: types, functions, the tables that a chosen view reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scope {
    /// Whole schemas.
    #[serde(default)]
    pub schemas: Vec<String>,
    /// Single tables, with their partitions, or views.
    #[serde(default)]
    pub tables: Vec<RelationName>,
    /// All tables of some classes of data.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub classes: Vec<String>,
    /// The objects of some buckets of Storage.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub buckets: Vec<String>,
    /// Leaves out foreign keys to tables that are not chosen. Without it they are reported, and nothing is restored.
    #[serde(default)]
    pub leave_out_references: bool,
}

impl Scope {
    /// Requires that anything is chosen.
    ///
    /// # Errors
    /// `Invalid` when nothing is.
    pub fn check(&self) -> Result<()> {
        if self.has_no_rows() && self.buckets.is_empty() {
            return Err(Error::invalid(
                "`include` chooses nothing; name schemas, tables, classes or buckets, such as {\"tables\":[\"public.orders\"]}, or leave it out",
            ));
        }
        Ok(())
    }

    /// Whether nothing of the database is chosen.
    pub fn has_no_rows(&self) -> bool {
        self.schemas.is_empty() && self.tables.is_empty() && self.classes.is_empty()
    }
}

/// The name of a table or view with its schema. Written `schema.name`; a part that holds a dot or a quote stands in double quotes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelationName {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl utoipa::PartialSchema for RelationName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let part = r#"("([^"]|"")+"|[^".]+)"#;
        let schema = utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(format!(r"^{part}\.{part}$")))
            .description(Some("The name of a table or view with its schema, such as `public.orders`."));
        schema.build().into()
    }
}

impl ToSchema for RelationName {}

impl TryFrom<String> for RelationName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let wrong =
            || Error::invalid(format!("`{text}` names no table; write it with its schema, such as public.orders"));
        let (schema, rest) = part(&text).ok_or_else(wrong)?;
        let (name, rest) = rest.strip_prefix('.').and_then(part).ok_or_else(wrong)?;
        if !rest.is_empty() || schema.is_empty() || name.is_empty() {
            return Err(wrong());
        }
        Ok(Self { schema, name })
    }
}

/// A name up to a dot or the end, with or without quotes, and what follows it.
fn part(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        return (!name.contains('"')).then(|| (name.to_owned(), rest));
    };
    let (mut name, mut rest) = (String::new(), quoted);
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

impl std::fmt::Display for RelationName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |name: &str| match name.contains(['.', '"']) {
            true => crate::source::quote_identifier(name),
            false => name.to_owned(),
        };
        write!(f, "{}.{}", part(&self.schema), part(&self.name))
    }
}

impl From<RelationName> for String {
    fn from(name: RelationName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (text, schema, name) in [
            ("public.orders", "public", "orders"),
            ("Gás Rápido.Pedidos con espacios", "Gás Rápido", "Pedidos con espacios"),
            ("\"a.b\".\"c\"\"d\"", "a.b", "c\"d"),
        ] {
            let read = RelationName::try_from(text.to_owned()).expect("reads");
            assert_eq!((read.schema.as_str(), read.name.as_str()), (schema, name));
            assert_eq!(read.to_string(), text);
        }
        for text in ["orders", "", ".", "a.", ".b", "a.b.c", "\"a.b", "a\"b.c", "\"a\"b.c"] {
            let error = RelationName::try_from(text.to_owned()).expect_err(text);
            assert!(error.to_string().contains("public.orders"), "{error}");
        }
    }

    #[test]
    fn a_choice_of_nothing_is_refused() {
        assert!(Scope::default().check().is_err());
        let scope: Scope = serde_json::from_str(r#"{"tables":["public.orders"]}"#).expect("parses");
        scope.check().expect("chooses");
        assert!(serde_json::from_str::<Scope>(r#"{"table":["public.orders"]}"#).is_err());
    }
}
