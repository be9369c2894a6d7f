use super::*;
use crate::catalog::{
    AttemptRecord, Drilled, Finding, FindingCode, Phase, Pin, Progress, SnapshotSummary, Trigger, Verified,
};
use crate::clock::Timestamp;
use crate::id::AttemptId;
use crate::layout::ObjectKey;
use crate::stage::Sha256;
use crate::vault::{VaultPlace, VaultRole};

const ID: &str = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071";

fn at(s: i64) -> Timestamp {
    Timestamp::from_millis(1_795_302_000_000).plus_s(s)
}

fn attempt() -> AttemptId {
    ID.parse().expect("an id")
}

fn pending() -> SnapshotRecord {
    let place = |role, region: &str| VaultPlace { role, region: region.to_owned(), bucket: "b".to_owned() };
    let places = [
        place(VaultRole::Primary, "eu-west-1"),
        place(VaultRole::Secondary, "us-east-1"),
        place(VaultRole::Tertiary, "ap-southeast-1"),
    ];
    SnapshotRecord::pending(ID.parse().expect("an id"), "database".to_owned(), Trigger::Manual, at(0), &places)
}

fn summary() -> SnapshotSummary {
    SnapshotSummary {
        taken_at: at(1),
        size: 9_000,
        checksum: Sha256::of(b"inventory"),
        tables: 3,
        rows: 70,
        bytes: 20_000,
        compression: "zstd".to_owned(),
        path: "v1/…".to_owned(),
    }
}

/// What each step of a record's life tells.
/// What happens, and to the record.
type Step<'a> = (&'a str, &'a dyn Fn(&mut SnapshotRecord));

fn told(steps: &[Step<'_>], first: SnapshotRecord) -> Vec<(String, Vec<Notification>)> {
    let mut record = first;
    let tell = |(what, step): &(&str, &dyn Fn(&mut SnapshotRecord))| {
        let before = record.clone();
        step(&mut record);
        ((*what).to_owned(), of_backup(Some(&before), &record))
    };
    steps.iter().map(tell).collect()
}

fn kinds(told: &[Notification]) -> Vec<&'static str> {
    told.iter().map(|n| n.kind.as_str()).collect()
}

#[test]
fn a_backup_is_told_of_from_its_beginning_to_its_end() {
    assert!(of_backup(None, &pending()).is_empty(), "what was only asked for");
    let progress = |percent| Progress { percent, ..Progress::default() };
    let begin = |r: &mut SnapshotRecord| r.begin(AttemptRecord { id: attempt(), epoch: 1 }, at(1)).expect("begins");
    let far = |percent| {
        move |r: &mut SnapshotRecord| r.advance(attempt(), Phase::Copying, progress(percent), at(2)).expect("advances")
    };
    let commit = |r: &mut SnapshotRecord| r.commit(attempt(), summary(), Vec::new(), at(5)).expect("commits");
    let whole = |role| move |r: &mut SnapshotRecord| assert!(r.mark_complete(role, at(9)));
    let verified = |r: &mut SnapshotRecord| r.verified = Some(Verified { from_hour: 1, read_at: Some(at(20)) });
    let drilled = |r: &mut SnapshotRecord| {
        r.drilled = Some(Drilled {
            at: at(30),
            region: "us-east-1".to_owned(),
            passed: true,
            whole: true,
            recovery_ms: Some(1_500),
            rows: 70,
            bytes: 20_000,
        });
    };
    let lost = Finding {
        code: FindingCode::Missing,
        object: ObjectKey::Pack(attempt(), 0),
        message: "the object is not there".to_owned(),
    };
    let damage =
        |r: &mut SnapshotRecord| assert!(r.mark_verified(VaultRole::Secondary, vec![lost.clone()], |_| true, at(40)));
    let repair = |r: &mut SnapshotRecord| assert!(r.mark_complete(VaultRole::Secondary, at(50)));
    let pin = |r: &mut SnapshotRecord| r.pin = Some(Pin { at: at(55), note: None });
    let expire = |r: &mut SnapshotRecord| {
        r.pin = None;
        r.expire(at(60)).expect("expires");
    };
    let steps: [Step<'_>; 13] = [
        ("begin", &begin),
        ("12 %", &far(12)),
        ("51 %", &far(51)),
        ("60 %", &far(60)),
        ("commit", &commit),
        ("secondary", &whole(VaultRole::Secondary)),
        ("tertiary", &whole(VaultRole::Tertiary)),
        ("verified", &verified),
        ("drilled", &drilled),
        ("damage", &damage),
        ("repair", &repair),
        ("pin", &pin),
        ("expire", &expire),
    ];
    let told = told(&steps, pending());
    let expected: [&[&str]; 13] = [
        &["backup.started"],
        &[],
        &["backup.progress", "backup.progress"],
        &[],
        &["backup.progress"],
        &["backup.replicated"],
        &["backup.replicated", "backup.completed"],
        &["backup.verified"],
        &["backup.drilled"],
        &["backup.damaged"],
        &["backup.repaired"],
        &[],
        &["backup.expired"],
    ];
    for ((what, told), expected) in told.iter().zip(expected) {
        assert_eq!(kinds(told), expected, "{what}");
    }
    let all: Vec<&Notification> = told.iter().flat_map(|(_, told)| told).collect();
    let ids: std::collections::BTreeSet<&str> = all.iter().map(|n| n.id.as_str()).collect();
    assert_eq!(ids.len(), all.len(), "each has an id of its own: {ids:?}");
    assert!(all.iter().all(|n| n.backup_id.is_some() && n.source.as_deref() == Some("database")));
    let of = |kind| all.iter().find(|n| n.kind == kind).expect("told");
    assert_eq!((of(Kind::BackupCompleted).rows, of(Kind::BackupCompleted).size), (Some(70), Some(9_000)));
    assert_eq!((of(Kind::BackupDrilled).recovery_ms, of(Kind::BackupDrilled).severity), (Some(1_500), Severity::Info));
    let damaged = of(Kind::BackupDamaged);
    assert_eq!((damaged.region.as_deref(), damaged.severity), (Some("us-east-1"), Severity::Error));
    assert!(damaged.summary.contains("v1/packs/") && damaged.summary.contains("not there"), "{}", damaged.summary);
}

#[test]
fn what_failed_says_why_and_what_was_found_says_nothing_of_its_making() {
    let mut failed = pending();
    let before = failed.clone();
    failed.fail("the disk is full", at(3));
    let told = of_backup(Some(&before), &failed);
    assert_eq!(kinds(&told), ["backup.started", "backup.failed"]);
    assert_eq!((told[1].error.as_deref(), told[1].severity), (Some("the disk is full"), Severity::Error));
    // Written at once by the function, without having been pending.
    assert_eq!(kinds(&of_backup(None, &failed)), ["backup.started", "backup.failed"]);

    let mut found = pending();
    found.begin(AttemptRecord { id: attempt(), epoch: 0 }, at(1)).expect("begins");
    found.summary = Some(summary());
    for role in VaultRole::ALL {
        found.mark_complete(role, at(2));
    }
    assert!(of_backup(None, &found).is_empty(), "a record that was put back");
}

#[test]
fn a_broken_drill_and_a_rotation_are_told_of_once() {
    let json = r#"{"id":"019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6072","startedAt":"2026-11-22T03:00:00.000Z","outcome":"running","region":"us-east-1",
        "server":"own","extent":"everything","tables":0,"rows":0,"bytes":0,"constraints":0,"checks":[],"warnings":[]}"#;
    let running: DrillRecord = serde_json::from_str(json).expect("a record");
    let broken = DrillRecord { outcome: DrillOutcome::Broken, error: Some("no room".to_owned()), ..running.clone() };
    assert!(of_drill(None, &running).is_empty());
    let told = of_drill(Some(&running), &broken);
    assert_eq!((kinds(&told), told[0].error.as_deref()), (vec!["drill.broken"], Some("no room")));
    assert!(of_drill(Some(&broken), &broken).is_empty());

    let json = r#"{"id":"019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6073","startedAt":"2026-11-22T03:00:00.000Z","heartbeatAt":"2026-11-22T03:00:00.000Z",
        "state":"running","percent":0,"backups":0,"backupsLeft":2,"replicating":0,"bytes":0,"bytesLeft":9}"#;
    let begun: RotationRecord = serde_json::from_str(json).expect("a record");
    let stuck = crate::ops::rotate::NotSealed { id: ID.parse().expect("an id"), error: "damaged".to_owned() };
    let stuck = RotationRecord { not_sealed: vec![stuck], ..begun.clone() };
    let done = RotationRecord { state: RotationState::Done, backups: 2, ..begun.clone() };
    assert_eq!(kinds(&of_rotation(None, &begun)), ["rotation.started"]);
    assert_eq!(kinds(&of_rotation(Some(&begun), &stuck)), ["rotation.stuck"]);
    assert!(of_rotation(Some(&stuck), &stuck).is_empty());
    assert_eq!(kinds(&of_rotation(Some(&stuck), &done)), ["rotation.completed"]);
}

#[test]
fn every_kind_has_the_name_that_it_is_written_by() {
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_string(&kind).expect("writes"), format!("\"{kind}\""));
    }
}

#[test]
fn a_restore_tells_that_it_waits_begins_and_ends() {
    use crate::ops::restore::RestoreRecord;
    let json = format!(
        r#"{{"id":"{ID}","backupId":"{ID}","takenAt":"2026-11-22T03:00:00.000Z","targetEnvironment":"production","region":"eu-west-1",
            "masked":false,"requestedBy":"ana","approval":{{"until":"2026-11-22T04:00:00.000Z"}},"status":"pending","phase":"preparing",
            "progress":0,"tablesTotal":0,"rowsTotal":0,"rows":0,"bytesTotal":0,"bytes":0,"startedAt":"2026-11-22T03:00:00.000Z",
            "heartbeatAt":"2026-11-22T03:00:00.000Z"}}"#
    );
    let asked: RestoreRecord = serde_json::from_str(&json).expect("a record");
    let told = |before: Option<&RestoreRecord>, after: &RestoreRecord| {
        of_restore(before, after).into_iter().map(|n| (n.kind.as_str(), n.severity)).collect::<Vec<_>>()
    };
    assert_eq!(told(None, &asked), [("restore.waiting", Severity::Warning)]);
    let mut running = asked.clone();
    running.approve("ben", at(1)).expect("approves");
    assert_eq!(told(Some(&asked), &running), []);
    let approved = running.clone();
    running.begin(AttemptRecord { id: attempt(), epoch: 1 }, at(2)).expect("begins");
    assert_eq!(told(Some(&approved), &running), [("restore.started", Severity::Warning)]);
    let mut failed = running.clone();
    failed.abandon("why", at(3));
    assert_eq!(told(Some(&running), &failed), [("restore.failed", Severity::Error)]);
    assert_eq!(told(Some(&failed), &failed), []);
    let mut cancelled = asked.clone();
    cancelled.cancel("ana", at(1)).expect("cancels");
    assert_eq!(told(Some(&asked), &cancelled), [("restore.failed", Severity::Info)]);
    let said = of_restore(Some(&running), &failed).remove(0);
    assert_eq!((said.restore_id, said.error.as_deref()), (Some(asked.id), Some("why")));
}
