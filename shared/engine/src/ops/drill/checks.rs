//! What the owner knows of the data: queries, and what they must give. Pure.

use crate::error::{Error, Result};
use crate::sandbox::Answer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The checks of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// In this order.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// One query.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What it shows, such as `every order has a customer`.
    pub name: String,
    /// A query, run in a transaction that changes nothing, with an empty search path: name each table with its schema.
    pub query: String,
    /// The rows that it must give, as texts, in this order; a null is null.
    pub expected: Answer,
}

/// What came of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The check.
    pub name: String,
    /// Whether it gave what it must.
    pub passed: bool,
    /// Why not. It shows no row.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub why: Option<String>,
}

impl Checks {
    /// Reads a file of checks.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong and where.
    pub fn parse(text: &str) -> Result<Self> {
        let checks: Self = serde_json::from_str(text)
            .map_err(|e| Error::invalid(format!("the checks are not as they must be: {e}")))?;
        for (n, check) in checks.checks.iter().enumerate() {
            if check.name.trim().is_empty() || check.query.trim().is_empty() {
                return Err(Error::invalid(format!("check {} has no name or no query", n + 1)));
            }
            if checks.checks[..n].iter().any(|other| other.name == check.name) {
                return Err(Error::invalid(format!("two checks are called `{}`", check.name)));
            }
        }
        Ok(checks)
    }
}

impl Check {
    /// Compares what the query gave.
    pub fn compare(&self, answer: Result<Answer>) -> Checked {
        let why = match answer {
            Err(e) => Some(format!("the query failed: {e}")),
            Ok(answer) if answer.len() != self.expected.len() => {
                Some(format!("{} rows came and {} were expected", answer.len(), self.expected.len()))
            }
            Ok(answer) => {
                let wrong = answer.iter().zip(&self.expected).position(|(came, expected)| came != expected);
                wrong.map(|row| format!("row {} is not the one that was expected", row + 1))
            }
        };
        Checked { name: self.name.clone(), passed: why.is_none(), why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"checks":[
        {"name":"no order without a customer","query":"select 0","expected":[["0"]]},
        {"name":"nobody","query":"select null","expected":[[null]]}
    ]}"#;

    #[test]
    fn a_check_passes_when_its_rows_come() {
        let checks = Checks::parse(FILE).expect("parses");
        let came = |text: &str| Ok(vec![vec![Some(text.to_owned())]]);
        assert!(checks.checks[0].compare(came("0")).passed);
        for (answer, why) in [
            (came("1"), "row 1 is not"),
            (Ok(Vec::new()), "0 rows came and 1 were expected"),
            (Err(Error::invalid("no such table")), "the query failed: no such table"),
        ] {
            let checked = checks.checks[0].compare(answer);
            assert!(!checked.passed && checked.why.expect("says why").contains(why));
        }
        assert!(checks.checks[1].compare(Ok(vec![vec![None]])).passed);
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_with_the_place() {
        for (text, said) in [
            ("", "not as they must be"),
            (r#"{"checks":[{"name":"a","query":"select 1"}]}"#, "expected"),
            (r#"{"checks":[{"name":"a","query":" ","expected":[]}]}"#, "check 1 has no name or no query"),
            (r#"{"check":[]}"#, "check"),
            (
                r#"{"checks":[{"name":"a","query":"select 1","expected":[]},{"name":"a","query":"select 1","expected":[]}]}"#,
                "two checks are called `a`",
            ),
        ] {
            let e = Checks::parse(text).expect_err(text);
            assert!(e.to_string().contains(said), "{e}");
        }
    }
}
