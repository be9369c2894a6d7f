//! What a right value looks like. Pure.

use super::reader::Ruling;
use crate::key_arn::{is_account, is_region};
use crate::second_key::RsaKey;
use engine::ops::drill::Checks;
use engine::policy::Policies;
use engine::schedule::Schedule;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use zeroize::Zeroizing;

pub(super) fn region(value: &str) -> Ruling<String> {
    if is_region(value) { Ok(value.to_owned()) } else { Err("must be the name of an AWS region".into()) }
}

pub(super) fn account(value: &str) -> Ruling<String> {
    if is_account(value) { Ok(value.to_owned()) } else { Err("must be an account id of 12 digits".into()) }
}

pub(super) fn endpoint(value: &str) -> Ruling<String> {
    let host = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://")).unwrap_or_default();
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err("must be an http:// or https:// URL".into());
    }
    Ok(value.trim_end_matches('/').to_owned())
}

pub(super) fn absolute_path(value: &str) -> Ruling<PathBuf> {
    if value.starts_with('/') { Ok(value.into()) } else { Err("must be an absolute path".into()) }
}

/// The file's content: what is wrong in it is a wrong setting.
pub(super) fn policies(value: &str) -> Ruling<Policies> {
    let text = std::fs::read_to_string(absolute_path(value)?)
        .map_err(|e| format!("must name a file that can be read: {e}"))?;
    Policies::parse(&text).map_err(|e| format!("must name a file of policies: {e}"))
}

/// The file's content, as [`policies`].
pub(super) fn checks(value: &str) -> Ruling<Checks> {
    let text = std::fs::read_to_string(absolute_path(value)?)
        .map_err(|e| format!("must name a file that can be read: {e}"))?;
    Checks::parse(&text).map_err(|e| format!("must name a file of checks: {e}"))
}

pub(super) fn schedule(value: &str) -> Ruling<Schedule> {
    value.parse::<Schedule>().map_err(|e| e.to_string())
}

pub(super) fn on_or_off(value: &str) -> Ruling<bool> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".into()),
    }
}

pub(super) fn number<T: FromStr + PartialOrd + Display>(value: &str, range: RangeInclusive<T>) -> Ruling<T> {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    let number = value.parse().ok().filter(|n| digits && range.contains(n));
    number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
}

/// The name of a source: it stands in logs, in the catalog and in the app.
pub(super) fn source_name(value: &str) -> Ruling<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if value.len() <= 64 && value.bytes().all(allowed) {
        return Ok(value.to_owned());
    }
    Err("must have at most 64 letters, digits, hyphens, underscores and dots".into())
}

/// The rules of S3 for the names of general purpose buckets.
pub(super) fn bucket(value: &str) -> Ruling<String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    if !(3..=63).contains(&bytes.len())
        || !bytes.iter().copied().all(allowed)
        || !edge(bytes.first())
        || !edge(bytes.last())
    {
        let rule =
            "must have 3 to 63 lower-case letters, digits, hyphens and dots, and begin and end with a letter or digit";
        return Err(rule.into());
    }
    let like_an_address = value.split('.').count() == 4 && value.split('.').all(|part| part.parse::<u8>().is_ok());
    if value.contains("..") || like_an_address {
        return Err("must not look like an IP address or hold two dots in a row".into());
    }
    let prefixes = ["xn--", "sthree-", "amzn-s3-demo-"];
    let suffixes = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    if prefixes.iter().any(|p| value.starts_with(p)) || suffixes.iter().any(|s| value.ends_with(s)) {
        return Err("must not begin or end with what S3 reserves for itself".into());
    }
    Ok(value.to_owned())
}

/// The rules of DynamoDB for the names of tables.
pub(super) fn table(value: &str) -> Ruling<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (3..=255).contains(&value.len()) && value.bytes().all(allowed) {
        return Ok(value.to_owned());
    }
    Err("must have 3 to 255 letters, digits, hyphens, underscores and dots".into())
}

pub(super) fn secret_arn(value: &str) -> Ruling<String> {
    let parts: Vec<&str> = value.splitn(7, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "secretsmanager", region, account, "secret", name]
            if partition.starts_with("aws") && is_region(region) && is_account(account) && !name.is_empty() =>
        {
            Ok(value.to_owned())
        }
        _ => Err("must be the ARN of a secret".into()),
    }
}

/// The ARN of any key of KMS, and its region.
pub(super) fn key_arn(value: &str) -> Ruling<(String, String)> {
    let parts: Vec<&str> = value.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, "kms", region, account, key]
            if partition.starts_with("aws") && is_region(region) && is_account(account) && key.starts_with("key/") =>
        {
            Ok((value.to_owned(), (*region).to_owned()))
        }
        _ => Err("must be the whole ARN of a key, not of an alias".into()),
    }
}

pub(super) fn private_key(value: &str) -> Ruling<RsaKey> {
    let text = std::fs::read_to_string(value).map(Zeroizing::new);
    let text = text.map_err(|e| format!("names a file that cannot be read: {}", e.kind()))?;
    RsaKey::private(&text).map_err(|e| format!("the file {e}"))
}

pub(super) fn topic_arn(value: &str) -> Ruling<String> {
    let parts: Vec<&str> = value.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, "sns", region, account, name]
            if partition.starts_with("aws") && is_region(region) && is_account(account) && !name.is_empty() =>
        {
            Ok(value.to_owned())
        }
        _ => Err("must be the ARN of a topic".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        for right in ["abc", "acme-backup-eu-west-1", "a.b.c", "1.2.3.4.5", "999.1.1.1"] {
            assert!(bucket(right).is_ok(), "{right}");
        }
        let long = "a".repeat(64);
        for wrong in [
            "ab",
            "Acme",
            "a_b",
            "-abc",
            "abc-",
            "a..b",
            "192.168.5.4",
            "xn--abc",
            "abc-s3alias",
            "abc--x-s3",
            long.as_str(),
        ] {
            assert!(bucket(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_is_digits_within_its_range() {
        assert_eq!(number("16", 16..=131_072), Ok(16));
        for wrong in ["15", "131073", "+16", "-1", "1.5", "1e3", "sixteen", "99999999999999999999"] {
            let said = number::<u32>(wrong, 16..=131_072).expect_err("refused");
            assert_eq!(said, "must be a whole number from 16 to 131072", "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_named_by_its_whole_arn() {
        assert!(secret_arn("arn:aws:secretsmanager:eu-west-1:123456789012:secret:backup/database-AbCdEf").is_ok());
        for wrong in [
            "backup/database",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "arn:aws:ssm:eu-west-1:123456789012:secret:x",
        ] {
            assert!(secret_arn(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_endpoint_is_a_url_without_a_slash_at_its_end() {
        assert_eq!(endpoint("http://127.0.0.1:4566/"), Ok("http://127.0.0.1:4566".to_owned()));
        for wrong in ["127.0.0.1:4566", "ftp://x", "http://", "http://a b"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }
}
