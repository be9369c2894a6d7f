//! Items of the table, and what they mean.

use aws_sdk_dynamodb::types::AttributeValue;
use engine::catalog::{Collection, Document, Lease, Versioned};
use engine::clock::Timestamp;
use engine::error::{Error, Result};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Display;

/// One item.
pub(super) type Item = HashMap<String, AttributeValue>;

/// DynamoDB takes 400 KB an item; the record is all of one but a few hundred bytes.
const RECORD_BYTES_MAX: usize = 380 * 1024;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The item of a document. What people filter by in the console stands beside the JSON too, where the JSON has it.
pub(super) fn of_document(document: &Document, revision: u64, mark: &str) -> Result<Item> {
    let Document { collection, id, json } = document;
    if json.len() > RECORD_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the record of {} {id} has {} bytes, more than the catalog takes",
            collection.noun(),
            json.len()
        )));
    }
    let record: Value = serde_json::from_str(json).map_err(|e| unreadable(*collection, id).with_source(e))?;
    let beside = [("status", "status"), ("source", "source"), ("started_at", "startedAt")];
    let beside = beside.into_iter().filter_map(|(name, field)| Some((name, text(record.get(field)?.as_str()?))));
    let pairs = [
        ("pk", text(collection.as_str())),
        ("sk", text(id)),
        ("record", text(json)),
        ("revision", number(revision)),
        ("write", text(mark)),
    ];
    Ok(pairs.into_iter().chain(beside).map(|(k, v)| (k.to_owned(), v)).collect())
}

/// The document of an item.
pub(super) fn to_document(collection: Collection, item: &Item) -> Result<Versioned<Document>> {
    let id = string(item, "sk").unwrap_or_default();
    let json = string(item, "record").ok_or_else(|| unreadable(collection, id))?;
    let revision = whole(item, "revision").ok_or_else(|| unreadable(collection, id))?;
    Ok(Versioned { value: Document { collection, id: id.to_owned(), json: json.to_owned() }, revision })
}

fn unreadable(collection: Collection, id: &str) -> Error {
    Error::corrupt(format!(
        "the catalog's record of {} {id} cannot be read; rebuild the catalog from a vault",
        collection.noun()
    ))
}

/// The lease of an item.
pub(super) fn to_lease(item: &Item) -> Result<Lease> {
    let lease = || {
        Some(Lease {
            name: string(item, "sk")?.to_owned(),
            holder: string(item, "holder")?.to_owned(),
            epoch: whole(item, "epoch")?,
            expires_at: Timestamp::from_millis(i64::try_from(whole(item, "expires_at")?).ok()?),
        })
    };
    lease().ok_or_else(|| {
        Error::corrupt("a lease in the catalog cannot be read; delete the item of pk `leases`, and try again")
    })
}

fn string<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|v| v.as_s().ok()).map(String::as_str)
}

fn whole(item: &Item, name: &str) -> Option<u64> {
    item.get(name).and_then(|v| v.as_n().ok()).and_then(|n| n.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";

    fn document() -> Document {
        let json = format!(
            r#"{{"id":"{ID}","status":"pending","source":"database","startedAt":"2026-11-21T23:00:00.123Z","rows":9007199254740993}}"#
        );
        Document { collection: Collection::Backups, id: ID.to_owned(), json }
    }

    #[test]
    fn a_document_survives_its_item() {
        let item = of_document(&document(), 7, "mark").expect("an item");
        let there = to_document(Collection::Backups, &item).expect("a document");
        assert_eq!(there, Versioned { value: document(), revision: 7 });
        assert_eq!(string(&item, "pk"), Some("backups"));
        assert_eq!(string(&item, "status"), Some("pending"));
        assert_eq!(string(&item, "source"), Some("database"));
        assert_eq!(string(&item, "started_at"), Some("2026-11-21T23:00:00.123Z"));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let broken = Document { json: "{".to_owned(), ..document() };
        assert!(of_document(&broken, 1, "mark").is_err());
        let large = Document { json: format!("\"{}\"", "x".repeat(RECORD_BYTES_MAX)), ..document() };
        assert!(of_document(&large, 1, "mark").expect_err("too large").to_string().contains(ID));
        let whole = of_document(&document(), 7, "mark").expect("an item");
        for name in ["record", "revision"] {
            let mut item = whole.clone();
            item.insert(name.to_owned(), AttributeValue::Bool(true));
            assert!(to_document(Collection::Backups, &item).is_err(), "{name}");
        }
    }

    #[test]
    fn a_lease_is_read_whole_or_not_at_all() {
        let pairs =
            [("sk", text("database")), ("holder", text(ID)), ("epoch", number(3)), ("expires_at", number(5_000))];
        let item: Item = pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let lease = to_lease(&item).expect("a lease");
        assert_eq!((lease.epoch, lease.expires_at.as_millis(), lease.holder), (3, 5_000, ID.to_owned()));
        for name in ["sk", "holder", "epoch", "expires_at"] {
            let mut part = item.clone();
            part.remove(name);
            assert!(to_lease(&part).is_err(), "{name}");
        }
    }
}
