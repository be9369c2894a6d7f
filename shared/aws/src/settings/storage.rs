//! Where a project's objects are: an URL with the keys of its S3 endpoint in it.

use engine::error::{Error, Result};
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};
use zeroize::Zeroizing;

/// How a right one looks.
pub(super) const EXAMPLE: &str =
    "https://ACCESS_KEY:SECRET_KEY@abcd.storage.supabase.co/storage/v1/s3?region=eu-west-1";

/// An S3 endpoint and the keys to it. Shows nothing of the keys.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageAddress {
    endpoint: String,
    host: String,
    region: String,
    access_key: Zeroizing<String>,
    secret_key: Zeroizing<String>,
}

impl StorageAddress {
    /// Reads an URL.
    ///
    /// # Errors
    /// `Invalid`, saying which part is wrong and how a right one looks. Never shows the URL.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| Error::invalid(format!("the storage URL {what}; one looks like {EXAMPLE}"));
        let mut url = Url::parse(text.trim()).map_err(|_| wrong("is not a URL"))?;
        if !is_guarded(&url) {
            return Err(wrong("must begin with https:// (http:// only on this machine)"));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let access_key = decoded(url.username()).filter(|k| !k.is_empty()).ok_or_else(|| wrong("has no access key"))?;
        let secret_key = url.password().and_then(decoded).filter(|k| !k.is_empty());
        let secret_key = secret_key.ok_or_else(|| wrong("has no secret key"))?;
        let mut region = None;
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "region" if !value.is_empty() => region = Some(value.into_owned()),
                _ => return Err(wrong("may have no parameter but region")),
            }
        }
        let region = region.ok_or_else(|| wrong("does not say the region"))?;
        url.set_query(None);
        let stripped = url.set_username("").and_then(|()| url.set_password(None));
        stripped.map_err(|()| wrong("cannot hold keys"))?;
        let endpoint = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { endpoint, host, region, access_key, secret_key })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    pub(crate) fn access_key(&self) -> &str {
        &self.access_key
    }

    pub(crate) fn secret_key(&self) -> &str {
        &self.secret_key
    }
}

/// Whether what is sent to a URL is read by nobody on its way: by TLS, or because it stays on this machine.
pub(crate) fn is_guarded(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

/// A part of a URL, without its escapes.
pub(crate) fn decoded(part: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(part.len()));
    let mut rest = part.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = if first == b'%' { tail.get(..2) } else { None };
        let digits = digits.and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
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
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
}

impl fmt::Debug for StorageAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageAddress({})", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_the_endpoint_without_the_keys() {
        let address =
            StorageAddress::parse("https://id:s%2Fecret+1@abcd.storage.supabase.co/storage/v1/s3?region=eu-west-1");
        let address = address.expect("parses");
        assert_eq!(address.endpoint(), "https://abcd.storage.supabase.co/storage/v1/s3");
        assert_eq!((address.access_key(), address.secret_key(), address.region()), ("id", "s/ecret+1", "eu-west-1"));
        assert_eq!(format!("{address:?}"), "StorageAddress(abcd.storage.supabase.co)");
        StorageAddress::parse("http://id:secret@127.0.0.1:4566?region=eu-west-1").expect("parses");
    }

    #[test]
    fn a_wrong_address_is_refused_without_being_shown() {
        for (text, part) in [
            ("canary", "not a URL"),
            ("http://canary:canary@example.com/?region=x", "https://"),
            ("https://example.com/?region=canary", "access key"),
            ("https://canary@example.com/?region=x", "secret key"),
            ("https://canary:canary@example.com/", "region"),
            ("https://canary:canary@example.com/?region=x&canary=1", "parameter"),
        ] {
            let e = StorageAddress::parse(text).expect_err(text);
            assert!(e.to_string().contains(part) && !format!("{e} {e:?}").contains("canary"), "{e:?}");
        }
    }
}
