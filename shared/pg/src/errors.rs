//! What a server's refusal means for the caller.

use engine::error::{Error, ErrorKind};

/// The fields of an `ErrorResponse` that may be shown. Its detail, its context and its query may hold rows, and are
/// dropped where they are read.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) sqlstate: String,
    pub(crate) message: String,
    pub(crate) table: Option<String>,
    pub(crate) column: Option<String>,
    pub(crate) constraint: Option<String>,
}

impl Refusal {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut refusal = Self::default();
        for field in body.split(|b| *b == 0).filter(|f| !f.is_empty()) {
            let text = String::from_utf8_lossy(&field[1..]).into_owned();
            match field[0] {
                b'C' => refusal.sqlstate = text,
                b'M' => refusal.message = text,
                b't' => refusal.table = Some(text),
                b'c' => refusal.column = Some(text),
                b'n' => refusal.constraint = Some(text),
                _ => {}
            }
        }
        refusal
    }

    pub(crate) fn into_error(self) -> Error {
        let state = self.sqlstate.as_str();
        let kind = match state {
            "28P01" | "28000" | "3D000" | "42P01" | "42704" | "3F000" => ErrorKind::Invalid,
            "42501" => ErrorKind::Denied,
            "0A000" => ErrorKind::Unsupported,
            "53300" | "53400" | "55P03" | "57P01" | "57P02" | "57P03" | "57014" | "40001" | "40P01" => {
                ErrorKind::Unavailable
            }
            _ => match state.get(..2) {
                Some("08" | "53" | "57" | "58") => ErrorKind::Unavailable,
                Some("XX") => ErrorKind::Corrupt,
                _ => ErrorKind::Invalid,
            },
        };
        Error::new(kind, format!("{}{} (SQLSTATE {state})", self.text(), advice(state)))
    }

    /// The message, unless it may quote a value of a row.
    fn text(&self) -> String {
        if !matches!(self.sqlstate.get(..2), Some("22" | "23")) {
            return self.message.clone();
        }
        let mut text = "the server refused a value".to_owned();
        for (what, name) in [("table", &self.table), ("column", &self.column), ("constraint", &self.constraint)] {
            if let Some(name) = name {
                text.push_str(&format!(", {what} {name}"));
            }
        }
        text
    }
}

fn advice(sqlstate: &str) -> &'static str {
    match sqlstate {
        "28P01" => "; correct the password in the database URL or secret",
        "28000" => "; the server's pg_hba.conf does not let this role in from here, or not without TLS",
        "3D000" => "; correct the database name in the database URL",
        "53300" => "; the server has no free connection: lower BACKUP_SESSIONS or raise its limit",
        "55P03" => "; another session holds a lock on a table: end it, or try again when it has ended",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(fields: &[&str]) -> Error {
        let body: Vec<u8> = fields.iter().flat_map(|f| f.bytes().chain([0])).chain([0]).collect();
        Refusal::parse(&body).into_error()
    }

    #[test]
    fn a_refused_value_is_never_quoted() {
        let e = refusal(&[
            "SERROR",
            "C22P02",
            "Minvalid input syntax for type integer: \"4111-1111\"",
            "DFailing row 4111",
            "tpayments",
        ]);
        assert!(!e.to_string().contains("4111") && e.to_string().contains("table payments"), "{e}");
    }

    #[test]
    fn a_wrong_password_says_where_to_correct_it() {
        let e = refusal(&["C28P01", "Mpassword authentication failed for user \"backup\""]);
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.to_string().contains("correct the password"), "{e}");
    }
}
