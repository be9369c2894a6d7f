//! The suite of the records of a [`Catalog`].

use super::{attempt, fails, fresh, snapshot};
use crate::world::places;
use engine::catalog::{
    AttemptRecord, BlobCounts, Catalog, Collection, Document, HandOvers, Phase, Pin, Progress, SegmentCounts,
    SnapshotRecord, SnapshotSummary, Trigger, Versioned, Warning, amend, get, insert, list, remove, replace,
};
use engine::clock::Timestamp;
use engine::error::ErrorKind;
use engine::id::SnapshotId;
use engine::limits::PAGE_MAX;
use engine::stage::Sha256;
use engine::vault::VaultRole;

/// What every catalog does with records. Nobody else may write to it meanwhile.
pub async fn catalog(catalog: &dyn Catalog) {
    a_record_is_added_once(catalog).await;
    what_is_read_is_what_was_written(catalog).await;
    a_record_is_replaced_at_the_revision_that_was_read(catalog).await;
    of_many_writers_one_wins(catalog).await;
    amendments_add_up(catalog).await;
    lists_are_newest_first_and_whole(catalog).await;
    a_document_is_removed_at_the_revision_that_was_read(catalog).await;
    collections_are_apart(catalog).await;
}

fn record(id: SnapshotId) -> SnapshotRecord {
    SnapshotRecord::pending(
        id,
        "database".to_owned(),
        Trigger::Schedule,
        Timestamp::from_millis(1_795_316_400_123),
        &places(),
    )
}

/// A record in which everything has a value.
fn full(id: SnapshotId) -> SnapshotRecord {
    let (mut record, attempt, now) = (record(id), attempt(), Timestamp::from_millis(1_795_316_500_456));
    record.begin(AttemptRecord { id: attempt, epoch: u64::MAX }, now).expect("begins");
    let segments = SegmentCounts {
        segments_copied: 8,
        bytes_copied: 9,
        segments_reused: 10,
        bytes_reused: 11,
        segments_sampled: 12,
        bytes_sampled: 13,
        bytes_repacked: 14,
    };
    let blobs = BlobCounts { blobs_total: 14, blobs: 15, blob_bytes_copied: 16, blob_bytes_reused: 17 };
    let (rows, bytes) = (u64::MAX, 1 << 53);
    let progress = Progress { percent: 42, tables_total: 7, tables: 3, rows, bytes, bytes_stored: 1, blobs, segments };
    record.part = Some("orders".to_owned());
    record.full_reason = Some("it is the first".to_owned());
    record.hand_overs = HandOvers { count: 3, disk_bytes: 1 << 40, idle: 2, waits: true };
    record.advance(attempt, Phase::Copying, progress, now).expect("advances");
    let summary = SnapshotSummary {
        taken_at: now,
        size: u64::MAX - 1,
        checksum: Sha256::of(b"inventory"),
        tables: 7,
        rows: 9_007_199_254_740_993,
        bytes: 1,
        compression: "zstd".to_owned(),
        path: format!("v1/snapshots/{id}/inventory.json"),
    };
    let warnings =
        vec![Warning { code: "role_password".to_owned(), message: "“ünïcode”, \"quotes\"\nand 🦀".to_owned() }];
    record.commit(attempt, summary, warnings, now).expect("commits");
    record.mark_complete(VaultRole::Tertiary, now.plus_s(5));
    record.error = Some("said before".to_owned());
    record.pin = Some(Pin { at: now, note: Some("the month's end".to_owned()) });
    record.expired_at = Some(now.plus_s(9));
    record
}

async fn a_record_is_added_once(catalog: &dyn Catalog) {
    let first = record(snapshot());
    assert_eq!(get(catalog, first.id).await.expect("get"), None);
    insert(catalog, &first).await.expect("insert");
    fails(insert(catalog, &first).await, ErrorKind::Conflict, "a second insert of the same record");
    let mut second = first.clone();
    second.source = "another".to_owned();
    fails(insert(catalog, &second).await, ErrorKind::Conflict, "an insert over a record");
    assert_eq!(get(catalog, first.id).await.expect("get"), Some(Versioned { value: first, revision: 1 }));
}

async fn what_is_read_is_what_was_written(catalog: &dyn Catalog) {
    let record = full(snapshot());
    insert(catalog, &record).await.expect("insert");
    assert_eq!(get(catalog, record.id).await.expect("get").map(|v| v.value), Some(record));
}

async fn a_record_is_replaced_at_the_revision_that_was_read(catalog: &dyn Catalog) {
    let id = snapshot();
    fails(replace(catalog, &record(id), 1).await, ErrorKind::Conflict, "a replacement of nothing");
    assert_eq!(get(catalog, id).await.expect("get"), None, "a replacement adds nothing");
    insert(catalog, &record(id)).await.expect("insert");
    replace(catalog, &full(id), 1).await.expect("replace");
    let there = get(catalog, id).await.expect("get").expect("it is there");
    assert_eq!(there.revision, 2, "the revision grows by one");
    for stale in [0, 1, 3, u64::MAX] {
        fails(replace(catalog, &record(id), stale).await, ErrorKind::Conflict, "a replacement at another revision");
    }
    assert_eq!(get(catalog, id).await.expect("get"), Some(there), "a conflict changes nothing");
}

async fn of_many_writers_one_wins(catalog: &dyn Catalog) {
    let id = snapshot();
    insert(catalog, &record(id)).await.expect("insert");
    let candidates: Vec<SnapshotRecord> =
        (0..4).map(|n| SnapshotRecord { source: format!("writer-{n}"), ..record(id) }).collect();
    let outcomes = futures::future::join_all(candidates.iter().map(|c| replace(catalog, c, 1))).await;
    let winners: Vec<usize> = (0..4).filter(|n| outcomes[*n].is_ok()).collect();
    assert_eq!(winners.len(), 1, "one writer wins");
    for outcome in outcomes {
        if outcome.is_err() {
            fails(outcome, ErrorKind::Conflict, "a replacement that lost");
        }
    }
    let there = get(catalog, id).await.expect("get").expect("it is there");
    assert_eq!((there.value, there.revision), (candidates[winners[0]].clone(), 2));
}

async fn amendments_add_up(catalog: &dyn Catalog) {
    let id = snapshot();
    insert(catalog, &record(id)).await.expect("insert");
    let add = || {
        amend(catalog, id, |record| {
            record.progress.rows += 1;
            Ok(true)
        })
    };
    for outcome in futures::future::join_all((0..6).map(|_| add())).await {
        outcome.expect("amend");
    }
    let there = get(catalog, id).await.expect("get").expect("it is there");
    assert_eq!((there.value.progress.rows, there.revision), (6, 7));
}

async fn lists_are_newest_first_and_whole(catalog: &dyn Catalog) {
    let ids: Vec<SnapshotId> = (0..5).map(|_| snapshot()).collect();
    // Added in another order than that of the ids.
    for n in [2, 0, 4, 1, 3] {
        insert(catalog, &full(ids[n])).await.expect("insert");
    }
    let [oldest, a, b, c, newest] = ids.as_slice() else { panic!("five ids") };
    let page = async |before, limit| {
        let page = list::<SnapshotRecord>(catalog, before, limit).await.expect("list");
        (page.records.iter().map(|r| r.id).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(page(None, 2).await, (vec![*newest, *c], Some(*c)));
    assert_eq!(page(Some(*c), 2).await, (vec![*b, *a], Some(*a)));
    assert_eq!(page(Some(*newest), 4).await.0, [*c, *b, *a, *oldest]);
    assert_eq!(
        page(Some(snapshot()), 1).await,
        (vec![*newest], Some(*newest)),
        "an id that is not there is a place in the order"
    );
    let page = list::<SnapshotRecord>(catalog, None, 1).await.expect("list");
    assert_eq!(page.records, [full_again(catalog, *newest).await], "a list gives whole records");
    the_last_page_says_so(catalog).await;
    for limit in [0, PAGE_MAX + 1] {
        fails(list::<SnapshotRecord>(catalog, None, limit).await, ErrorKind::Invalid, "a page of an impossible size");
    }
}

async fn full_again(catalog: &dyn Catalog, id: SnapshotId) -> SnapshotRecord {
    get(catalog, id).await.expect("get").expect("it is there").value
}

/// Follows the pages to the end, with every size around the number of records.
async fn the_last_page_says_so(catalog: &dyn Catalog) {
    let whole = list::<SnapshotRecord>(catalog, None, PAGE_MAX).await.expect("list");
    assert_eq!(whole.next, None, "this suite wants a catalog of less than {PAGE_MAX} records");
    assert!(whole.records.is_sorted_by(|a, b| a.id > b.id), "newest first");
    let count = whole.records.len();
    for limit in [1, 2, count - 1, count, count + 1] {
        let (mut records, mut before, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = list::<SnapshotRecord>(catalog, before, limit).await.expect("list");
            pages += 1;
            records.extend(page.records);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(pages, count.div_ceil(limit), "no page is empty, with {limit} a page");
        assert_eq!(records, whole.records, "with {limit} a page");
    }
    let oldest = whole.records.last().map(|r| r.id);
    let beyond = list::<SnapshotRecord>(catalog, oldest, 5).await.expect("list");
    assert_eq!((beyond.records, beyond.next), (Vec::new(), None), "before the oldest there is nothing");
}

async fn a_document_is_removed_at_the_revision_that_was_read(catalog: &dyn Catalog) {
    let id = snapshot();
    remove(catalog, id, 1).await.expect("what is not there is removed already");
    insert(catalog, &record(id)).await.expect("insert");
    replace(catalog, &full(id), 1).await.expect("replace");
    fails(remove(catalog, id, 1).await, ErrorKind::Conflict, "a removal at another revision");
    assert!(get(catalog, id).await.expect("get").is_some(), "a conflict changes nothing");
    remove(catalog, id, 2).await.expect("remove");
    assert_eq!(get(catalog, id).await.expect("get"), None);
    insert(catalog, &record(id)).await.expect("its id is free again");
}

async fn collections_are_apart(catalog: &dyn Catalog) {
    let id = fresh();
    let document = |collection: Collection| Document {
        collection,
        id: id.clone(),
        json: format!("{{\"id\":\"{id}\",\"in\":\"{collection}\"}}"),
    };
    for collection in Collection::ALL {
        catalog.insert(&document(collection)).await.expect("the id is free in every collection");
    }
    for collection in Collection::ALL {
        let found = catalog.get(collection, &id).await.expect("get").expect("it is there");
        assert_eq!(found, Versioned { value: document(collection), revision: 1 });
        let page = catalog.list(collection, None, PAGE_MAX).await.expect("list");
        assert!(page.documents.iter().all(|d| d.collection == collection));
        assert_eq!(page.documents.iter().filter(|d| d.id == id).count(), 1);
        // It is no backup, and the suite's other lists hold only such.
        catalog.remove(collection, &id, 1).await.expect("remove");
        assert_eq!(catalog.get(collection, &id).await.expect("get"), None);
    }
}
