//! What it takes that a database in use is replaced: the words that a person types, and a choice of whole schemas.

use crate::error::{Error, Result};
use crate::id::SnapshotId;
use crate::scope::Scope;

/// The wish to replace what a target holds, if it holds anything.
#[derive(Clone, Debug)]
pub struct Replace {
    /// What is replaced, such as `production`.
    pub environment: String,
    /// What was typed.
    pub confirmation: String,
    /// Whether a fresh snapshot of the target must be in the vault before.
    pub needs_safety_snapshot: bool,
}

/// The words that confirm it.
pub fn confirmation(environment: &str, snapshot: SnapshotId) -> String {
    format!("replace {environment} with {snapshot}")
}

impl Replace {
    /// Requires that the request says what it does.
    ///
    /// # Errors
    /// `Invalid`, with the words that were to be typed, or because single tables are chosen.
    pub(super) fn check(&self, snapshot: SnapshotId, scope: Option<&Scope>) -> Result<()> {
        if let Some(table) = scope.and_then(|scope| scope.tables.first()) {
            return Err(Error::invalid(format!(
                "`replace` replaces whole schemas, and `include` names the table {table}; nothing was changed. Choose the schema {}, \
                 or restore the table into an empty database and copy its rows from there",
                table.schema
            )));
        }
        let words = confirmation(&self.environment, snapshot);
        // The backup may have been sealed again since.
        let typed = self.confirmation.rsplit_once(' ').and_then(|(_, id)| id.parse::<SnapshotId>().ok());
        let same = typed.filter(|id| id.root() == snapshot.root());
        if same.is_none_or(|id| self.confirmation != confirmation(&self.environment, id)) {
            return Err(Error::invalid(format!(
                "the confirmation is not the one that this needs; nothing was changed. To replace what {} holds with this backup, type \
                 \"replace\":{{\"confirmation\":\"{words}\"}}",
                self.environment
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";

    fn check(typed: &str, scope: Option<&str>) -> Result<()> {
        let replace = Replace {
            environment: "production".to_owned(),
            confirmation: typed.to_owned(),
            needs_safety_snapshot: true,
        };
        let scope: Option<Scope> = scope.map(|text| serde_json::from_str(text).expect("a scope"));
        replace.check(ID.parse().expect("an id"), scope.as_ref())
    }

    #[test]
    fn only_the_exact_words_confirm() {
        let words = format!("replace production with {ID}");
        check(&words, None).expect("confirmed");
        check(&words, Some(r#"{"schemas":["sales"]}"#)).expect("confirmed");
        for typed in [
            "",
            "yes",
            &words.to_uppercase(),
            &format!("{words} "),
            &format!("replace staging with {ID}"),
            "replace production with 019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072",
        ] {
            let refused = check(typed, None).expect_err(typed).to_string();
            assert!(refused.contains(&format!("{{\"confirmation\":\"{words}\"}}")), "{refused}");
        }
    }

    #[test]
    fn single_tables_are_not_replaced() {
        let words = format!("replace production with {ID}");
        let refused = check(&words, Some(r#"{"tables":["sales.orders"]}"#)).expect_err("refused").to_string();
        assert!(refused.contains("sales.orders") && refused.contains("whole schemas"), "{refused}");
    }
}
