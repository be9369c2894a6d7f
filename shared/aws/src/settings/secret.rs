//! A text that nobody may see.

use std::fmt;
use zeroize::Zeroizing;

/// The address of a database, with its password. Shows nothing of itself, and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The address of a PostgreSQL database; `None` for a text that is none.
    pub fn database_url(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))?;
        let host = rest.rsplit('@').next().unwrap_or_default();
        let shaped = !host.is_empty()
            && !host.starts_with(['/', '?'])
            && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        shaped.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text itself, for the one who connects.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::database_url("postgresql://u:canary@h/db").expect("an address");
        assert_eq!(format!("{secret} {secret:?}"), "(secret) Secret");
        assert_eq!(secret.expose(), "postgresql://u:canary@h/db");
    }

    #[test]
    fn what_is_no_address_is_none() {
        for wrong in
            ["", "h", "http://h", "postgresql://", "postgres:///db", "postgresql://u:p@", "postgresql://u:p@h/d b"]
        {
            assert!(Secret::database_url(wrong).is_none(), "{wrong}");
        }
        for right in [
            "postgres://h",
            "postgresql://u@h:5432",
            "postgresql://u:p@h/db?sslmode=verify-full",
            "postgresql://u:p@[::1]:5/d",
        ] {
            assert!(Secret::database_url(right).is_some(), "{right}");
        }
    }
}
