//! The address of a database, of a project's Storage, or of a webhook, from Secrets Manager.
//!
//! Never: shows an address. Neither errors nor debug texts hold any part of one.

use crate::errors::Call;
use crate::listeners::WebhookAddress;
use crate::settings::{Secret, StorageAddress};
use aws_sdk_secretsmanager::Client;
use engine::error::{Error, Result};
use serde::Deserialize;
use zeroize::Zeroizing;

const GET: Call = Call::new("secretsmanager", "GetSecretValue");
const FORMS: &str = "the secret must be a postgresql:// URL, or JSON with `url`, or with `username`, `password`, `host`, `port` and `dbname`";

/// The address of a database that a secret holds.
pub(crate) async fn fetch(client: &Client, arn: &str) -> Result<Secret> {
    let value = fetch_text(client, arn).await?;
    parse(&value).map_err(|e| e.context(format!("read {arn}")))
}

/// The address of a project's Storage that a secret holds: a URL, or JSON with `url`.
pub(crate) async fn fetch_storage(client: &Client, arn: &str) -> Result<StorageAddress> {
    StorageAddress::parse(&fetch_url(client, arn).await?).map_err(|e| e.context(format!("read {arn}")))
}

/// The address of a webhook that a secret holds: a URL, or JSON with `url`.
pub(crate) async fn fetch_webhook(client: &Client, arn: &str) -> Result<WebhookAddress> {
    WebhookAddress::parse(&fetch_url(client, arn).await?).map_err(|e| e.context(format!("read {arn}")))
}

async fn fetch_url(client: &Client, arn: &str) -> Result<Zeroizing<String>> {
    #[derive(Deserialize)]
    struct Url {
        url: String,
    }
    let value = fetch_text(client, arn).await?;
    // The parser's error quotes what it read, so it is dropped.
    let url = serde_json::from_str(&value).map(|Url { url }| Zeroizing::new(url));
    Ok(url.unwrap_or(value))
}

async fn fetch_text(client: &Client, arn: &str) -> Result<Zeroizing<String>> {
    let output = client
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .map_err(|e| GET.failed(&e).context(format!("read {arn}")))?;
    Ok(Zeroizing::new(output.secret_string.unwrap_or_default()))
}

/// What the console's database template and the rotation functions write.
#[derive(Deserialize)]
struct Fields {
    url: Option<String>,
    username: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<Port>,
    dbname: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

/// The address in a secret's text.
fn parse(value: &str) -> Result<Secret> {
    let value = value.trim();
    if !value.starts_with('{') {
        return Secret::database_url(value).ok_or_else(|| Error::invalid(FORMS));
    }
    // The parser's error quotes what it read, so it is dropped.
    let fields: Fields = serde_json::from_str(value).map_err(|_| Error::invalid(FORMS))?;
    if let Some(url) = &fields.url {
        return Secret::database_url(url.trim()).ok_or_else(|| Error::invalid(FORMS));
    }
    let (Some(username), Some(password), Some(host)) = (&fields.username, &fields.password, &fields.host) else {
        return Err(Error::invalid(FORMS));
    };
    let port = match &fields.port {
        None => 5432,
        Some(Port::Number(port)) => *port,
        Some(Port::Text(port)) => port.parse().map_err(|_| Error::invalid(FORMS))?,
    };
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
    let dbname = fields.dbname.as_deref().unwrap_or("postgres");
    let url = Zeroizing::new(format!(
        "postgresql://{}:{}@{host}:{port}/{}",
        percent_encoded(username),
        percent_encoded(password),
        percent_encoded(dbname)
    ));
    Secret::database_url(&url).ok_or_else(|| Error::invalid(FORMS))
}

/// Everything but RFC 3986's unreserved characters, as `%XX`.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(secret: &str) -> String {
        parse(secret).expect("an address").expose().to_owned()
    }

    #[test]
    fn every_form_of_a_secret_gives_the_address() {
        let plain = "postgresql://u:p@db.example.org:5432/app?sslmode=require";
        assert_eq!(url_of(&format!("  {plain}\n")), plain);
        assert_eq!(url_of(&format!(r#"{{"url":"{plain}"}}"#)), plain);
        let parts =
            r#"{"engine":"postgres","username":"u","password":"p","host":"db.example.org","port":6543,"dbname":"app"}"#;
        assert_eq!(url_of(parts), "postgresql://u:p@db.example.org:6543/app");
        let port_as_text = r#"{"username":"u","password":"p","host":"h","port":"6543"}"#;
        assert_eq!(url_of(port_as_text), "postgresql://u:p@h:6543/postgres");
    }

    #[test]
    fn a_password_of_any_characters_stays_one_password() {
        let secret = r#"{"username":"u@x","password":"p:/@?#% é","host":"::1"}"#;
        assert_eq!(url_of(secret), "postgresql://u%40x:p%3A%2F%40%3F%23%25%20%C3%A9@[::1]:5432/postgres");
    }

    #[test]
    fn a_secret_of_another_form_is_refused_without_quoting_it() {
        for wrong in [
            "",
            "canary",
            "mysql://canary",
            r#"{"password":"canary"}"#,
            r#"{"username":"canary","password":{"canary":1},"host":"h"}"#,
            r#"{"username":"u","password":"canary","host":"h","port":"canary"}"#,
            r#"{"url":"canary"}"#,
            r#"{"canary"#,
        ] {
            let e = parse(wrong).expect_err("refused");
            assert!(!format!("{e} {e:?}").contains("canary"), "{e:?}");
        }
    }
}
