//! Where a database is: a `postgres://` URL, read strictly.

use engine::error::{Error, Result};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use url::{Host, Url};

const EXAMPLE: &str = "postgres://backup_reader:…@db.example.supabase.co:5432/postgres";

/// A database, who asks, and by what road. Its `Debug` shows no password.
#[derive(Clone)]
pub struct Address {
    pub(crate) road: Road,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    /// PEM file with the roots that the server's certificate must lead to; the system's without one.
    pub(crate) roots: Option<PathBuf>,
}

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    Tcp { host: String, port: u16, tls: bool },
    Socket { folder: PathBuf, port: u16 },
}

impl Address {
    /// Reads a URL. TLS, verified against the roots, is used unless the server is on this machine or `sslmode=disable`
    /// is said of one that is.
    ///
    /// # Errors
    /// `Invalid`, saying which part is wrong and how a right one looks. Never shows the URL.
    pub fn parse(text: &str, roots: Option<PathBuf>) -> Result<Self> {
        let wrong = |what: &str| Error::invalid(format!("the database URL {what}; one looks like {EXAMPLE}"));
        let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(wrong("must begin with postgres://"));
        }
        let user = decode(url.username()).ok_or_else(|| wrong("has a user name that is not UTF-8"))?;
        if user.is_empty() {
            return Err(wrong("names no user"));
        }
        let password = match url.password() {
            Some(password) => Some(decode(password).ok_or_else(|| wrong("has a password that is not UTF-8"))?),
            None => None,
        };
        let database =
            decode(url.path().trim_start_matches('/')).ok_or_else(|| wrong("has a database name that is not UTF-8"))?;
        if database.is_empty() || database.contains('/') {
            return Err(wrong("names no database after the port"));
        }
        if [&user, &database].iter().any(|text| text.contains('\0'))
            || password.as_ref().is_some_and(|p| p.contains('\0'))
        {
            return Err(wrong("has a zero byte in it"));
        }
        let port = url.port().unwrap_or(5432);
        let mut mode = None;
        let mut socket = None;
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "sslmode" => mode = Some(value.into_owned()),
                "host" if value.starts_with('/') => socket = Some(PathBuf::from(value.into_owned())),
                other => return Err(wrong(&format!("has the parameter `{}`, which is not known here", shown(other)))),
            }
        }
        let road = match (url.host(), socket) {
            (_, Some(folder)) => Road::Socket { folder, port },
            (Some(host), None) => tcp(&host, port, mode.as_deref()).map_err(|what| wrong(&what))?,
            (None, None) => return Err(wrong("names no host")),
        };
        Ok(Self { road, user, password, database, roots })
    }

    /// The same server and role, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }
}

fn tcp(host: &Host<&str>, port: u16, mode: Option<&str>) -> std::result::Result<Road, String> {
    let (name, here) = match host {
        // In a URL of this scheme an address with dots is a name like any other.
        Host::Domain(name) => {
            ((*name).to_owned(), *name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()))
        }
        Host::Ipv4(ip) => (ip.to_string(), IpAddr::from(*ip).is_loopback()),
        Host::Ipv6(ip) => (ip.to_string(), IpAddr::from(*ip).is_loopback()),
    };
    let tls = match mode {
        None => !here,
        Some("require" | "verify-ca" | "verify-full") => true,
        Some("disable") if here => false,
        Some("disable") => return Err("says sslmode=disable of a server that is not on this machine".to_owned()),
        Some(other) => {
            return Err(format!(
                "has sslmode `{}`; it must be verify-full (the default) or, on this machine, disable",
                shown(other)
            ));
        }
    };
    Ok(Road::Tcp { host: name, port, tls })
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = if first == b'%' { tail.get(..2).and_then(|d| std::str::from_utf8(d).ok()) } else { None };
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

impl fmt::Display for Address {
    /// The server, as an error may show it: neither the user nor the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.road {
            Road::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Road::Socket { folder, port } => write!(f, "{}:{port}", folder.display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosted_database_is_reached_over_tls() {
        let address = Address::parse("postgres://u:p%40ss@db.example.co/postgres", None).expect("parses");
        assert_eq!(address.road, Road::Tcp { host: "db.example.co".to_owned(), port: 5432, tls: true });
        assert_eq!(address.password.as_deref(), Some("p@ss"));
        assert_eq!(format!("{address:?}"), "Address(db.example.co:5432)");
    }

    #[test]
    fn tls_can_be_left_out_only_on_this_machine() {
        for (url, tls) in [("postgres://u@127.0.0.1:6000/d", false), ("postgres://u@localhost/d?sslmode=require", true)]
        {
            let Road::Tcp { tls: found, .. } = Address::parse(url, None).expect("parses").road else { panic!("tcp") };
            assert_eq!(found, tls, "{url}");
        }
        assert!(Address::parse("postgres://u@db.example.co/d?sslmode=disable", None).is_err());
        assert!(Address::parse("postgres://u@db.example.co/d?sslmode=prefer", None).is_err());
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_shown() {
        for url in [
            "",
            "secret",
            "mysql://u:secret@h/d",
            "postgres://:secret@h/d",
            "postgres://u:secret@h",
            "postgres://u:secret@h/d?x=secret2",
            "postgres://u:sec%00ret@h/d",
            "postgres:///d",
            "postgres://u:secret@h/a/b",
        ] {
            let e = Address::parse(url, None).expect_err(url).to_string();
            assert!(
                !e.contains("secret@") && !e.contains("mysql") && e.contains("postgres://backup_reader"),
                "{url}: {e}"
            );
        }
    }
}
