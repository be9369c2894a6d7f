//! The name of a multi-region key.
//!
//! One multi-region key has the same key material and the same id (`mrk-…`) in every region it is replicated to; only the
//! region in its ARN differs. So one setting names the keys of all three vaults.

use engine::error::{Error, Result};
use std::fmt;

/// A right key, for messages.
pub const EXAMPLE: &str = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab";

/// The ARN of a multi-region KMS key in one region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyArn {
    partition: String,
    region: String,
    account: String,
    id: String,
}

impl KeyArn {
    /// Reads an ARN.
    ///
    /// # Errors
    /// `Invalid`, saying which part is wrong, for aliases, bare ids, and keys of one region.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "kms", region, account, resource] = parts.as_slice() else {
            return Err(Error::invalid("must be the whole ARN of a KMS key"));
        };
        if !(partition.starts_with("aws") && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')) {
            return Err(Error::invalid("names no AWS partition"));
        }
        if !is_region(region) {
            return Err(Error::invalid("names no AWS region"));
        }
        if !is_account(account) {
            return Err(Error::invalid("must name an account of 12 digits"));
        }
        let Some(id) = resource.strip_prefix("key/") else {
            return Err(Error::invalid("must be the ARN of a key, not of an alias"));
        };
        let tail = id.strip_prefix("mrk-").unwrap_or_default();
        if tail.is_empty() || tail.len() > 64 || !tail.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(Error::invalid("must be a multi-region key, whose id begins with mrk-"));
        }
        let own = |s: &&str| String::from(*s);
        Ok(Self { partition: own(partition), region: own(region), account: own(account), id: id.to_owned() })
    }

    /// The same key in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self.clone() }
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether both are the same multi-region key, in whatever regions.
    pub fn is_same_key(&self, other: &Self) -> bool {
        (&self.partition, &self.account, &self.id) == (&other.partition, &other.account, &other.id)
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:kms:{}:{}:key/{}", self.partition, self.region, self.account, self.id)
    }
}

/// Whether a text has the form of a region's name, such as `eu-west-1` or `us-gov-east-1`.
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let word = |w: &&str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase());
    words.len() >= 2 && words.iter().all(word) && matches!(number.as_bytes(), [b'1'..=b'9'])
}

/// Whether a text has the form of an account's id.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_of_another_region_differs_only_in_its_region() {
        let key = KeyArn::parse(EXAMPLE).expect("parses");
        assert_eq!(key.to_string(), EXAMPLE);
        let replica = key.in_region("ap-southeast-1");
        assert_eq!(replica.to_string(), EXAMPLE.replace("eu-west-1", "ap-southeast-1"));
        assert!(key.is_same_key(&replica));
        assert_ne!(key, replica);
    }

    #[test]
    fn a_key_of_another_account_partition_or_id_is_another_key() {
        let key = KeyArn::parse(EXAMPLE).expect("parses");
        for (from, to) in [("123456789012", "123456789013"), ("arn:aws:", "arn:aws-cn:"), ("mrk-1", "mrk-2")] {
            assert!(!key.is_same_key(&KeyArn::parse(&EXAMPLE.replace(from, to)).expect("parses")), "{to}");
        }
    }

    #[test]
    fn what_is_no_multi_region_key_is_refused() {
        for wrong in [
            "",
            "mrk-1234abcd12ab34cd56ef1234567890ab",
            "alias/backup",
            "arn:aws:kms:eu-west-1:123456789012:alias/backup",
            "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-",
            "arn:aws:kms:eu-west-1:1234:key/mrk-12",
            "arn:aws:kms:Europe:123456789012:key/mrk-12",
            "arn:aws:s3:eu-west-1:123456789012:key/mrk-12",
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-12:extra",
        ] {
            assert!(KeyArn::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions_are_told_from_other_words() {
        for right in ["eu-west-1", "us-gov-east-1", "ap-southeast-4"] {
            assert!(is_region(right), "{right}");
        }
        for wrong in ["", "eu", "eu-west", "eu-west-", "eu--1", "EU-WEST-1", "eu-west-1a", "eu-west-0", "1-eu-west"] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }
}
