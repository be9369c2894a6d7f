//! The rules by which one record may change.

use super::*;
use crate::catalog::FindingCode;
use crate::layout::ObjectKey;
use crate::vault::VaultRole;

const ID: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";
const ATTEMPT: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072";
const OTHER: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6073";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn attempt(id: &str, epoch: u64) -> AttemptRecord {
    AttemptRecord { id: id.parse().expect("an id"), epoch }
}

fn begun() -> SnapshotRecord {
    let place = |role: VaultRole| VaultPlace { role, region: format!("{role}-1"), bucket: role.to_string() };
    let places = VaultRole::ALL.map(place);
    let id = ID.parse().expect("an id");
    let mut record = SnapshotRecord::pending(id, "database".to_owned(), Trigger::Schedule, at(1), &places);
    record.begin(attempt(ATTEMPT, 2), at(2)).expect("begins");
    record
}

fn summary() -> SnapshotSummary {
    SnapshotSummary {
        taken_at: at(2),
        size: 3,
        checksum: Sha256::of(b""),
        tables: 1,
        rows: 1,
        bytes: 2,
        compression: "zstd".to_owned(),
        path: "p".to_owned(),
    }
}

fn committed() -> SnapshotRecord {
    let mut record = begun();
    record.commit(attempt(ATTEMPT, 2).id, summary(), Vec::new(), at(5)).expect("commits");
    record
}

#[test]
fn a_backup_is_completed_only_when_all_three_vaults_hold_it() {
    let mut record = committed();
    assert_eq!((record.status, record.phase), (Status::InProgress, Phase::Replicating));
    assert!(record.mark_complete(VaultRole::Tertiary, at(6)));
    assert_eq!(record.status, Status::InProgress);
    assert!(record.mark_complete(VaultRole::Secondary, at(7)));
    assert_eq!((record.status, record.progress.percent, record.completed_at), (Status::Completed, 100, Some(at(7))));
    assert!(!record.mark_complete(VaultRole::Secondary, at(8)), "twice is no news");
    assert_eq!(record.completed_at, Some(at(7)));
}

#[test]
fn replicas_that_are_whole_before_the_commit_is_recorded_count_after_it() {
    let mut record = begun();
    record.mark_complete(VaultRole::Secondary, at(3));
    record.mark_complete(VaultRole::Tertiary, at(3));
    assert_eq!(record.status, Status::InProgress);
    record.commit(attempt(ATTEMPT, 2).id, summary(), Vec::new(), at(4)).expect("commits");
    assert_eq!(record.status, Status::Completed);
}

#[test]
fn a_status_never_goes_back() {
    let mut failed = begun();
    assert!(failed.fail("why", at(3)));
    assert!(!failed.fail("again", at(4)));
    assert!(failed.begin(attempt(OTHER, 9), at(5)).is_err());
    assert!(failed.commit(attempt(ATTEMPT, 2).id, summary(), Vec::new(), at(5)).is_err());
    assert!(failed.advance(attempt(ATTEMPT, 2).id, Phase::Copying, Progress::default(), at(5)).is_err());
    for role in VaultRole::ALL {
        failed.mark_complete(role, at(6));
    }
    assert_eq!((failed.status, failed.error.as_deref()), (Status::Failed, Some("why")));

    let mut whole = committed();
    assert!(!whole.fail("too late", at(6)), "what is committed is not given up");
    assert_eq!(whole.status, Status::InProgress);
}

#[test]
fn an_attempt_with_a_lower_epoch_never_wins() {
    let mut record = begun();
    assert!(record.begin(attempt(OTHER, 1), at(3)).is_err());
    record.begin(attempt(OTHER, 3), at(3)).expect("a newer attempt takes over");
    let old = attempt(ATTEMPT, 2).id;
    assert!(record.advance(old, Phase::Copying, Progress::default(), at(4)).is_err());
    assert!(record.commit(old, summary(), Vec::new(), at(4)).is_err());
}

#[test]
fn progress_and_heartbeat_only_grow() {
    let mut record = begun();
    let attempt = attempt(ATTEMPT, 2).id;
    let percent = |percent| Progress { percent, ..Progress::default() };
    record.advance(attempt, Phase::Committing, percent(80), at(9)).expect("advances");
    record.advance(attempt, Phase::Copying, percent(10), at(4)).expect("advances");
    assert_eq!((record.progress.percent, record.phase, record.heartbeat_at), (80, Phase::Committing, at(9)));
}

fn finding(code: FindingCode, n: u32) -> Finding {
    let attempt = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072".parse().expect("an id");
    Finding { code, object: ObjectKey::Pack(attempt, n), message: String::new() }
}

#[test]
fn what_spoils_a_restore_is_kept_before_what_does_not_and_what_nothing_repairs_before_the_rest() {
    let mut record = committed();
    let mut found: Vec<Finding> = (0..40).map(|n| finding(FindingCode::LockEndsEarly, n)).collect();
    found.extend((0..40).map(|n| finding(FindingCode::Missing, n)));
    found.push(finding(FindingCode::Rotten, 7));
    assert!(record.mark_verified(VaultRole::Primary, found, |_| false, at(3)));
    assert_eq!((record.replicas[0].state, record.replicas[0].findings.len()), (ReplicaState::Damaged, FINDINGS_KEPT));
    assert_eq!(record.replicas[0].findings[0].code, FindingCode::Rotten);
    // All that was missing is put back; what rots does so still.
    record.mark_complete(VaultRole::Primary, at(4));
    assert_eq!(record.replicas[0].state, ReplicaState::Damaged);
    record.mark_verified(VaultRole::Primary, Vec::new(), |f| f.code == FindingCode::Rotten, at(5));
    assert_eq!(record.replicas[0].state, ReplicaState::Complete);
}

#[test]
fn a_backup_whose_last_copy_is_found_whole_is_completed() {
    let mut record = committed();
    record.mark_verified(VaultRole::Primary, vec![finding(FindingCode::Rotten, 1)], |_| false, at(3));
    record.mark_complete(VaultRole::Secondary, at(4));
    record.mark_complete(VaultRole::Tertiary, at(4));
    assert_eq!(record.status, Status::InProgress);
    record.mark_verified(VaultRole::Primary, Vec::new(), |_| true, at(5));
    assert_eq!(record.status, Status::Completed);
}
