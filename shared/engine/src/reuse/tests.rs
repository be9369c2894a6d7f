//! Each condition alone: everything else equal, a segment is used again if it holds, and is not if it does not.

use super::*;
use crate::digest::RowTally;
use crate::extent::Extent;
use crate::id::SnapshotId;
use crate::segment::RowFormat;
use crate::source::{Run, TableKind};
use crate::stage::Sha256;

const ID: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
const OTHER: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072";
/// When the segment was copied: transactions 900 and later may have been running.
const OLDEST_THEN: u64 = 900;
const THEN: u64 = 1_000;
const NOW: u64 = 2_000;

/// A condition, and how it comes not to hold.
type Change<T> = (&'static str, fn(&mut T));

/// All that the decision depends on.
#[derive(Clone)]
struct Case {
    then: Server,
    now: Server,
    lineage: Lineage,
    origin: Origin,
    not_before: Timestamp,
    stored: Table,
    table: Table,
    print: RunPrint,
}

fn attempt() -> AttemptId {
    ID.parse().expect("an id")
}

fn server(transaction_id: u64, oldest_transaction_id: u64) -> Server {
    Server {
        product: "PostgreSQL".to_owned(),
        version_num: 180_000,
        version: "18.0".to_owned(),
        system_identifier: "7".to_owned(),
        timeline: 1,
        database: "app".to_owned(),
        database_oid: 5,
        encoding: "UTF8".to_owned(),
        block_bytes: 8_192,
        transaction_snapshot: String::new(),
        transaction_id,
        oldest_transaction_id,
        wal_lsn: "0/0".to_owned(),
    }
}

fn case() -> Case {
    let table = Table {
        schema: "public".to_owned(),
        name: "t".to_owned(),
        kind: TableKind::Table,
        oid: 16_384,
        relfilenode: 16_385,
        columns: vec!["a".to_owned()],
        condition: None,
        definition: "d".to_owned(),
        blocks: 8,
        bytes_on_disk: 65_536,
        unplaced: None,
        unsteady: None,
    };
    let then = server(THEN, OLDEST_THEN);
    Case {
        origin: Origin::new(attempt(), Timestamp::from_millis(50_000), &then),
        then,
        now: server(NOW, NOW),
        lineage: Lineage::Known(BTreeSet::from([attempt()])),
        not_before: Timestamp::from_millis(0),
        stored: table.clone(),
        table,
        print: RunPrint {
            run: Run { first_block: 0, blocks: None },
            fingerprint: Fingerprint { rows: 1, hash: 2, hash_inverse: 3 },
            newest_transaction_id: OLDEST_THEN - 1,
        },
    }
}

impl Case {
    fn reused(&self) -> Result<bool, String> {
        let tally = RowTally { rows: 1, bytes: 4, ..RowTally::default() };
        let segment = Segment {
            // Closed then, open-ended now: the same rows.
            run: Some(Run { first_block: 0, blocks: Some(8) }),
            fingerprint: Some(Fingerprint { rows: 1, hash: 2, hash_inverse: 3 }),
            tally,
            format: RowFormat::CopyText,
            extents: vec![Extent { pack: 0, offset: 0, length: 9, bytes: 4 }],
        };
        let pack = ObjectRef { key: ObjectKey::Pack(attempt(), 0), length: 9, sha256: Sha256::of(b"") };
        let stored = Checkpoint {
            format: 1,
            snapshot: ID.parse::<SnapshotId>().expect("an id"),
            source: "database".to_owned(),
            server: self.then.clone(),
            origin: self.origin,
            packs: vec![pack],
            tables: vec![TableManifest::new(self.stored.clone(), vec![segment])],
            blobs: Vec::new(),
        };
        let now = Description {
            server: self.now.clone(),
            lineage: self.lineage.clone(),
            tables: vec![self.table.clone()],
            sequences: Vec::new(),
            roles: Vec::new(),
            large_objects: Vec::new(),
            materialized_views: Vec::new(),
            stored_objects: None,
            coverage: Vec::new(),
            warnings: Vec::new(),
        };
        let reusable = Reusable::new(vec![stored.into()], &now, self.not_before)?;
        Ok(reusable.find(&self.table, &self.print).is_some())
    }
}

#[test]
fn a_segment_is_used_again_when_every_condition_holds() {
    assert_eq!(case().reused(), Ok(true));
}

#[test]
fn a_server_that_is_not_the_same_one_is_read_whole_and_the_reason_names_what_differs() {
    let conditions: [Change<Server>; 6] = [
        ("system identifier", |s| s.system_identifier = "8".to_owned()),
        ("timeline", |s| s.timeline = 2),
        ("version", |s| s.version_num = 180_001),
        ("database's object id", |s| s.database_oid = 6),
        ("block size", |s| s.block_bytes = 16_384),
        ("encoding", |s| s.encoding = "LATIN1".to_owned()),
    ];
    for (name, change) in conditions {
        let mut case = case();
        change(&mut case.now);
        let why = case.reused().expect_err(name);
        assert!(why.contains(name), "{name}: {why}");
    }
}

#[test]
fn a_table_that_is_not_the_same_one_is_copied() {
    let conditions: [Change<Table>; 5] = [
        ("another table", |t| t.oid += 1),
        ("rewritten", |t| t.relfilenode += 1),
        ("redefined", |t| t.definition = "e".to_owned()),
        ("without places", |t| t.unplaced = Some("why".to_owned())),
        ("unsteady", |t| t.unsteady = Some("why".to_owned())),
    ];
    for (name, change) in conditions {
        let mut case = case();
        change(&mut case.table);
        assert_eq!(case.reused(), Ok(false), "{name}");
    }
    let mut renamed = case();
    renamed.table.name = "u".to_owned();
    assert_eq!(renamed.reused(), Ok(true), "a name decides nothing");
}

#[test]
fn rows_that_are_not_the_same_ones_are_copied() {
    let conditions: [Change<RunPrint>; 4] = [
        ("other rows", |p| p.fingerprint.hash += 1),
        ("other rows by the second hash", |p| p.fingerprint.hash_inverse += 1),
        ("more rows", |p| p.fingerprint.rows += 1),
        ("another run", |p| p.run.first_block = 8),
    ];
    for (name, change) in conditions {
        let mut case = case();
        change(&mut case.print);
        assert_eq!(case.reused(), Ok(false), "{name}");
    }
}

#[test]
fn an_attempt_that_the_database_does_not_remember_counts_for_nothing() {
    let mut forgotten = case();
    forgotten.lineage = Lineage::Known(BTreeSet::from([OTHER.parse().expect("an id")]));
    assert!(forgotten.reused().expect_err("forgotten").contains("does not remember"));
    let mut unable = case();
    unable.lineage = Lineage::Unknown("there is no table".to_owned());
    assert_eq!(unable.reused(), Err("there is no table".to_owned()));
}

#[test]
fn ids_of_transactions_that_may_have_come_again_are_not_believed() {
    let mut far = case();
    far.now.transaction_id = OLDEST_THEN + (1 << 31);
    assert!(far.reused().expect_err("too far").contains("2^31 transactions"));
    far.now.transaction_id -= 1;
    assert_eq!(far.reused(), Ok(true));

    // A row that seems to be of a transaction that ended after the copy began is no row that the copy saw.
    let mut newer = case();
    newer.print.newest_transaction_id = OLDEST_THEN;
    assert_eq!(newer.reused(), Ok(false));
}

#[test]
fn what_was_read_too_long_ago_is_read_again() {
    let mut old = case();
    old.not_before = Timestamp::from_millis(50_001);
    assert!(old.reused().expect_err("too old").contains("BACKUP_FULL_EVERY_DAYS"));
}

#[test]
fn a_segment_whose_packs_are_of_an_attempt_that_the_manifest_does_not_name_counts_for_nothing() {
    let mut other = case();
    other.origin.attempt = OTHER.parse().expect("an id");
    other.lineage = Lineage::Known(BTreeSet::from([attempt(), other.origin.attempt]));
    assert!(other.reused().is_err());
}
