//! Items of the table, and what they mean.

use super::BACKUPS;
use aws_sdk_dynamodb::types::AttributeValue;
use engine::catalog::{Lease, SnapshotRecord, Versioned};
use engine::clock::Timestamp;
use engine::error::{Error, Result};
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

/// The item of a record.
pub(super) fn of_record(record: &SnapshotRecord, revision: u64, mark: &str) -> Result<Item> {
    let json = serde_json::to_string(record)
        .map_err(|e| Error::internal("a backup's record cannot be written").with_source(e))?;
    if json.len() > RECORD_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the record of backup {} has {} bytes, more than the catalog takes",
            record.id,
            json.len()
        )));
    }
    let status = serde_json::to_value(record.status).ok();
    let status = status.as_ref().and_then(|s| s.as_str()).unwrap_or_default();
    let pairs = [
        ("pk", text(BACKUPS)),
        ("sk", text(record.id.to_string())),
        ("record", text(json)),
        ("revision", number(revision)),
        ("write", text(mark)),
        ("status", text(status)),
        ("source", text(&record.source)),
        ("started_at", text(record.started_at.to_string())),
    ];
    Ok(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

/// The record of an item.
pub(super) fn to_record(item: &Item) -> Result<Versioned<SnapshotRecord>> {
    let id = string(item, "sk").unwrap_or_default();
    let json = string(item, "record").ok_or_else(|| unreadable(id))?;
    let value: SnapshotRecord = serde_json::from_str(json).map_err(|e| unreadable(id).with_source(e))?;
    if value.id.to_string() != id {
        return Err(unreadable(id));
    }
    let revision = whole(item, "revision").ok_or_else(|| unreadable(id))?;
    Ok(Versioned { value, revision })
}

fn unreadable(id: &str) -> Error {
    Error::corrupt(format!("the catalog's record of backup {id} cannot be read; rebuild the catalog from a vault"))
}

/// The lease of an item.
pub(super) fn to_lease(item: &Item) -> Result<Lease> {
    let lease = || {
        Some(Lease {
            name: string(item, "sk")?.to_owned(),
            holder: string(item, "holder")?.parse().ok()?,
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
    use engine::catalog::Trigger;
    use engine::vault::{VaultPlace, VaultRole};

    fn record() -> SnapshotRecord {
        let id = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071".parse().expect("an id");
        let places =
            VaultRole::ALL.map(|role| VaultPlace { role, region: "eu-west-1".into(), bucket: format!("b-{role}") });
        SnapshotRecord::pending(
            id,
            "database".into(),
            Trigger::Manual,
            Timestamp::from_millis(1_795_302_000_123),
            &places,
        )
    }

    #[test]
    fn a_record_survives_its_item() {
        let item = of_record(&record(), 7, "mark").expect("an item");
        assert_eq!(to_record(&item).expect("a record"), Versioned { value: record(), revision: 7 });
        assert_eq!(string(&item, "status"), Some("pending"));
        assert_eq!(string(&item, "source"), Some("database"));
        assert_eq!(string(&item, "started_at"), Some("2026-11-21T23:00:00.123Z"));
    }

    #[test]
    fn an_item_that_was_changed_by_hand_is_corrupt() {
        let whole = of_record(&record(), 7, "mark").expect("an item");
        for (name, value) in
            [("record", text("{}")), ("revision", text("7")), ("sk", text("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072"))]
        {
            let mut item = whole.clone();
            item.insert(name.to_owned(), value);
            assert!(to_record(&item).is_err(), "{name}");
        }
    }

    #[test]
    fn a_lease_is_read_whole_or_not_at_all() {
        let id = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
        let pairs =
            [("sk", text("database")), ("holder", text(id)), ("epoch", number(3)), ("expires_at", number(5_000))];
        let item: Item = pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let lease = to_lease(&item).expect("a lease");
        assert_eq!((lease.epoch, lease.expires_at.as_millis(), lease.holder.to_string()), (3, 5_000, id.to_owned()));
        for name in ["sk", "holder", "epoch", "expires_at"] {
            let mut part = item.clone();
            part.remove(name);
            assert!(to_lease(&part).is_err(), "{name}");
        }
    }
}
