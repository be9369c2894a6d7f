//! Restores that people ask for: done once, gone on with, stopped, confirmed; and told as they ended.

use super::*;

#[tokio::test]
async fn a_restore_that_is_asked_for_is_done_once_and_its_record_says_how_far_it_is() {
    let scene = Scene::new();
    let good = scene.good().await;
    let id = restore_id(&scene);
    let wish = wish(Wanted::Latest, Environment::Development);
    for _ in 0..2 {
        let record = scene.ask_restore(id, &wish).await.expect("asks");
        assert_eq!((record.backup_id, record.status, record.masked), (good, Status::Pending, true));
    }
    let (first, second) = (scene.world.restores.take().expect("an order"), scene.world.restores.take().expect("two"));
    let target = MemoryTarget::new(scene.world.faults.clone());
    let outcome = scene.take_up(first, &target, None).await.expect("restores");
    let RestoreOutcome::Settled(record) = outcome else { panic!("{outcome:?}") };
    assert_eq!((record.status, record.phase, record.progress.percent), (Status::Completed, RestorePhase::Done, 100));
    assert_eq!(record.restored.as_ref().map(|r| (r.rows, r.snapshot)), Some((98, good)));
    // What was wanted is told too, however quick it was.
    let (progress, tables) = (record.progress, record.restored.as_ref().map_or(0, |r| r.tables));
    assert_eq!((progress.rows_total, progress.rows, progress.tables_total), (98, 98, tables));
    assert_eq!(progress.bytes_total, progress.bytes);
    assert_eq!(target.rows(), filled(&scene));
    assert!(matches!(scene.take_up(second, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
    assert_eq!(scene.restore_record(id).await, *record);
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_call_is_gone_on_with_and_ends_in_the_same_database() {
    let steps = {
        let (scene, id) = asked().await;
        let before = scene.world.faults.steps();
        let target = MemoryTarget::new(scene.world.faults.clone());
        scene.take_up(RestoreOrder { restore_id: id, hand_overs: 0 }, &target, None).await.expect("restores");
        scene.world.faults.steps() - before
    };
    assert!(steps > 20);
    for step in 1..=steps {
        let (scene, id) = asked().await;
        let order = RestoreOrder { restore_id: id, hand_overs: 0 };
        let target = MemoryTarget::new(scene.world.faults.clone());
        {
            let run = pin!(scene.take_up(order, &target, None));
            scene.killed_at(scene.world.faults.steps() + step, run).await;
        }
        // The queue delivers it again.
        scene.world.clock.advance(Duration::from_secs(960));
        scene.take_up(order, &target, None).await.unwrap_or_else(|e| panic!("step {step}: {e}"));
        let record = scene.restore_record(id).await;
        assert_eq!(record.status, Status::Completed, "step {step}: {:?}", record.error);
        assert_eq!(target.rows(), filled(&scene), "step {step}");
    }
}

#[tokio::test]
async fn a_restore_ends_one_way_or_the_other_whatever_call_fails() {
    let steps = {
        let (scene, id) = asked().await;
        let before = scene.world.faults.steps();
        let target = MemoryTarget::new(scene.world.faults.clone());
        scene.take_up(RestoreOrder { restore_id: id, hand_overs: 0 }, &target, None).await.expect("restores");
        scene.world.faults.steps() - before
    };
    for when in When::ALL {
        for kind in [ErrorKind::Unavailable, ErrorKind::Denied] {
            for step in 1..=steps {
                let what = format!("{when:?} {kind:?} at {step}");
                let (scene, id) = asked().await;
                let target = MemoryTarget::new(scene.world.faults.clone());
                scene.world.faults.arm(scene.world.faults.steps() + step, when, kind);
                let order = RestoreOrder { restore_id: id, hand_overs: 0 };
                let failed = scene.take_up(order, &target, None).await.is_err();
                scene.world.faults.heal();
                scene.world.clock.advance(Duration::from_secs(960));
                // What failed comes again; what was handed over is in the queue.
                let mut orders = Vec::from_iter(failed.then_some(order));
                while let Some(order) = orders.pop().or_else(|| scene.world.restores.take()) {
                    scene.take_up(order, &target, None).await.unwrap_or_else(|e| panic!("{what}: {e}"));
                }
                let record = scene.restore_record(id).await;
                assert!(record.is_settled(), "{what}: {:?}", record.status);
                match record.status {
                    Status::Completed => assert_eq!(target.rows(), filled(&scene), "{what}"),
                    _ => assert!(kind == ErrorKind::Denied && record.error.is_some(), "{what}: {:?}", record.error),
                }
            }
        }
    }
}

/// The same of a target in use: it is replaced once, and the record says so.
#[tokio::test]
async fn a_replacement_that_is_killed_or_fails_at_any_call_is_told_as_it_ended() {
    let before = || BTreeMap::from([("kept".to_owned(), vec!["as it was".to_owned()])]);
    let steps = {
        let (scene, id) = asked_to_replace().await;
        let from = scene.world.faults.steps();
        let target = MemoryTarget::in_use(before(), scene.world.faults.clone());
        let order = RestoreOrder { restore_id: id, hand_overs: 0 };
        scene.take_up(order, &target, None).await.expect("restores");
        assert_eq!(scene.restore_record(id).await.status, Status::Completed);
        scene.world.faults.steps() - from
    };
    for when in [None, Some(When::BeforeEffect), Some(When::AfterEffect)] {
        for step in 1..=steps {
            let what = format!("{when:?} at {step}");
            let (scene, id) = asked_to_replace().await;
            let order = RestoreOrder { restore_id: id, hand_overs: 0 };
            let target = MemoryTarget::in_use(before(), scene.world.faults.clone());
            let at = scene.world.faults.steps() + step;
            let again = match when {
                None => {
                    let run = pin!(scene.take_up(order, &target, None));
                    scene.killed_at(at, run).await;
                    true
                }
                Some(when) => {
                    scene.world.faults.arm(at, when, ErrorKind::Unavailable);
                    scene.take_up(order, &target, None).await.is_err()
                }
            };
            scene.world.faults.heal();
            scene.world.clock.advance(Duration::from_secs(960));
            let mut orders = Vec::from_iter(again.then_some(order));
            while let Some(order) = orders.pop().or_else(|| scene.world.restores.take()) {
                scene.take_up(order, &target, None).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            }
            let record = scene.restore_record(id).await;
            assert_eq!(record.status, Status::Completed, "{what}: {:?}", record.error);
            assert_eq!(target.rows(), filled(&scene), "{what}");
        }
    }
}

/// What is cancelled is not done, and what is done cannot be cancelled, whenever that is asked for.
#[tokio::test]
async fn a_replacement_that_is_cancelled_at_any_moment_is_told_as_it_ended() {
    let (mut cancelled, mut too_late) = (0, 0);
    for turns in 0..400 {
        let (scene, id) = asked_to_replace().await;
        let before = BTreeMap::from([("kept".to_owned(), vec!["as it was".to_owned()])]);
        let target = MemoryTarget::in_use(before.clone(), scene.world.faults.clone());
        let cancel = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            restore::cancel(&*scene.world.catalog, id, "ben", scene.now()).await.is_ok()
        };
        let order = RestoreOrder { restore_id: id, hand_overs: 0 };
        let (outcome, was_taken) = tokio::join!(scene.take_up(order, &target, None), cancel);
        outcome.unwrap_or_else(|e| panic!("after {turns} turns: {e}"));
        let record = scene.restore_record(id).await;
        let expected = match was_taken {
            true => (Status::Failed, before),
            false => (Status::Completed, filled(&scene)),
        };
        assert_eq!((record.status, target.rows()), expected, "after {turns} turns: {:?}", record.error);
        if was_taken { cancelled += 1 } else { too_late += 1 }
    }
    assert!(cancelled > 10 && too_late > 10, "{cancelled} {too_late}");
}

/// A backup, and a restore of it in place of what staging holds, that waits to be taken up.
async fn asked_to_replace() -> (Scene, RestoreId) {
    let scene = Scene::new();
    let good = scene.good().await;
    let id = restore_id(&scene);
    let confirmation = Some(confirmation("staging", good));
    let wish = RestoreWish { confirmation, ..wish(Wanted::Backup(good), Environment::Staging) };
    scene.ask_restore(id, &wish).await.expect("asks");
    scene.world.restores.take().expect("an order");
    (scene, id)
}

/// A backup, and a restore of it that waits to be taken up.
async fn asked() -> (Scene, RestoreId) {
    let scene = Scene::new();
    let good = scene.good().await;
    let id = restore_id(&scene);
    scene.ask_restore(id, &wish(Wanted::Backup(good), Environment::Staging)).await.expect("asks");
    scene.world.restores.take().expect("an order");
    (scene, id)
}

#[tokio::test]
async fn a_restore_waits_for_another_into_the_same_environment() {
    let (scene, id) = asked().await;
    scene.world.catalog_lease("restore into staging", "another", scene.now().plus_s(LEASE_TTL_S)).await;
    let order = RestoreOrder { restore_id: id, hand_overs: 0 };
    let target = MemoryTarget::new(scene.world.faults.clone());
    assert!(matches!(scene.take_up(order, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
    assert_eq!(scene.world.restores.take(), Some(order));
    scene.world.clock.advance(Duration::from_secs(LEASE_TTL_S as u64 + 1));
    let outcome = scene.take_up(order, &target, None).await.expect("restores");
    assert!(matches!(outcome, RestoreOutcome::Settled(record) if record.status == Status::Completed));
}

#[tokio::test]
async fn a_restore_that_does_not_fit_is_handed_over_and_one_that_comes_no_further_is_given_up() {
    let (scene, id) = asked().await;
    // The target answers nothing: that may pass.
    scene.world.faults.break_service("target", ErrorKind::Unavailable);
    let target = MemoryTarget::new(scene.world.faults.clone());
    let mut order = RestoreOrder { restore_id: id, hand_overs: 0 };
    for n in 1..RESTORE_IDLE_MAX {
        let outcome = scene.take_up(order, &target, Some(60)).await.expect("is handed over");
        assert!(matches!(outcome, RestoreOutcome::HandedOver(_)), "{n}: {outcome:?}");
        let next = scene.world.restores.take().expect("an order");
        assert_eq!(next, RestoreOrder { restore_id: id, hand_overs: n });
        // The one before is delivered again.
        assert!(matches!(scene.take_up(order, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
        order = next;
    }
    let outcome = scene.take_up(order, &target, Some(60)).await.expect("is given up");
    assert!(matches!(outcome, RestoreOutcome::Settled(record) if record.status == Status::Failed));
    // The order that was sent before that was noted does nothing.
    let left = scene.world.restores.take().expect("an order");
    assert!(matches!(scene.take_up(left, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
    assert_eq!(scene.world.restores.take(), None);
}

#[tokio::test]
async fn a_restore_is_cancelled_before_and_while_it_runs() {
    let (scene, id) = asked().await;
    let cancelled = restore::cancel(&*scene.world.catalog, id, "ben", scene.now()).await.expect("cancels");
    assert_eq!((cancelled.status, cancelled.error.as_deref()), (Status::Failed, Some(CANCELLED)));
    let target = MemoryTarget::new(scene.world.faults.clone());
    let order = RestoreOrder { restore_id: id, hand_overs: 0 };
    assert!(matches!(scene.take_up(order, &target, None).await, Ok(RestoreOutcome::Skipped(_))));
    assert!(target.rows().is_empty());

    let scene = large_scene();
    let good = scene.good().await;
    let id = restore_id(&scene);
    scene.ask_restore(id, &wish(Wanted::Backup(good), Environment::Staging)).await.expect("asks");
    let order = scene.world.restores.take().expect("an order");
    let target = MemoryTarget::new(scene.world.faults.clone());
    let cancel = async {
        while scene.restore_record(id).await.status == Status::Pending {
            tokio::task::yield_now().await;
        }
        restore::cancel(&*scene.world.catalog, id, "ben", scene.now()).await.expect("cancels");
    };
    let (outcome, ()) = tokio::join!(scene.take_up(order, &target, None), cancel);
    let Ok(RestoreOutcome::Settled(record)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((record.status, record.error.as_deref()), (Status::Failed, Some(CANCELLED)));
}

#[tokio::test]
async fn production_takes_the_right_words_and_another_person() {
    let scene = Scene::new();
    let good = scene.good().await;
    let id = restore_id(&scene);
    let mut wish = wish(Wanted::Backup(good), Environment::Production);
    for typed in [None, Some("yes".to_owned()), Some(confirmation("staging", good))] {
        wish.confirmation = typed;
        let refused = scene.ask_restore(id, &wish).await.expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains(&confirmation("production", good)), "{refused}");
    }
    assert_eq!(scene.world.restores.take(), None);
    wish.confirmation = Some(confirmation("production", good));
    let record = scene.ask_restore(id, &wish).await.expect("asks");
    assert!(record.waits_for_approval() && scene.world.restores.take().is_none());
    // An order that is forged does nothing.
    let order = RestoreOrder { restore_id: id, hand_overs: 0 };
    let target = MemoryTarget::new(scene.world.faults.clone());
    assert!(matches!(scene.take_up(order, &target, None).await, Ok(RestoreOutcome::Skipped(_))));

    let approve = |by: &'static str| {
        let (catalog, queue) = (Arc::clone(&scene.world.catalog), Arc::clone(&scene.world.restores));
        let now = scene.now();
        async move { restore::approve(&*catalog, &*queue, id, by, now).await }
    };
    assert_eq!(approve("ana").await.expect_err("the same person").kind(), ErrorKind::Denied);
    for _ in 0..2 {
        approve("ben").await.expect("approves");
        assert_eq!(scene.world.restores.take(), Some(order));
    }
    assert_eq!(approve("eva").await.expect_err("approved already").kind(), ErrorKind::Conflict);
    let outcome = scene.take_up(order, &target, None).await.expect("restores");
    assert!(matches!(outcome, RestoreOutcome::Settled(record) if record.status == Status::Completed));

    let late = restore_id(&scene);
    scene.ask_restore(late, &wish).await.expect("asks");
    scene.world.clock.advance(Duration::from_secs(601));
    let (catalog, queue) = (&*scene.world.catalog, &*scene.world.restores);
    let refused = restore::approve(catalog, queue, late, "ben", scene.now()).await.expect_err("too late");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    restore::give_up_lost(catalog, scene.now()).await.expect("looks");
    assert!(scene.restore_record(late).await.error.is_some_and(|e| e.contains("approved")));
}

#[tokio::test]
async fn a_plan_says_which_backup_is_meant_and_what_it_would_take() {
    let scene = Scene::new();
    let none = restore::plan(&*scene.world.catalog, &wish(Wanted::Latest, Environment::Staging)).await;
    assert!(none.expect_err("there is none").to_string().contains("none at all"));
    let (first, second) = (scene.good().await, scene.good().await);
    let between = scene.record_of(first).await.summary.expect("made").taken_at.plus_s(1);
    let plan = |wish: RestoreWish| {
        let catalog = Arc::clone(&scene.world.catalog);
        async move { restore::plan(&*catalog, &wish).await }
    };
    let latest = plan(wish(Wanted::Latest, Environment::Production)).await.expect("plans");
    assert_eq!((latest.backup_id, latest.rows, latest.expected_ms), (second, 98, None));
    assert!(latest.safety_backup && !latest.replaces && latest.region == "eu-west-1");
    assert_eq!(latest.confirmation, confirmation("production", second));

    let at = |wanted, point| RestoreWish { restore_point: Some(point), ..wish(wanted, Environment::Staging) };
    assert_eq!(plan(at(Wanted::Latest, between)).await.expect("plans").backup_id, first);
    assert_eq!(plan(at(Wanted::Backup(first), between)).await.expect("plans").backup_id, first);
    let said = plan(at(Wanted::Backup(second), between)).await.expect_err("they differ").to_string();
    assert!(said.contains(&first.to_string()), "{said}");
    let early = plan(at(Wanted::Latest, between.plus_s(-3_600))).await.expect_err("none so early").to_string();
    assert!(early.contains("there are 2"), "{early}");

    let only = |text: &str| Some(serde_json::from_str::<Scope>(text).expect("a scope"));
    let small = RestoreWish {
        include: only(r#"{"tables":["public.small"]}"#),
        region: Some("ap-southeast-1".to_owned()),
        ..wish(Wanted::Latest, Environment::Staging)
    };
    let small_plan = plan(small.clone()).await.expect("plans");
    assert_eq!((small_plan.rows, small_plan.region.as_str()), (3, "ap-southeast-1"));
    let refuse = async |wish: RestoreWish| plan(wish).await.expect_err("refused").kind();
    let base = || wish(Wanted::Latest, Environment::Staging);
    assert_eq!(refuse(RestoreWish { region: Some("eu-west-2".to_owned()), ..base() }).await, ErrorKind::Conflict);
    assert_eq!(refuse(RestoreWish { masked: false, ..base() }).await, ErrorKind::Invalid);
    assert_eq!(refuse(RestoreWish { include: only("{}"), ..base() }).await, ErrorKind::Invalid);
    assert_eq!(refuse(RestoreWish { include: only(r#"{"schemas":["nowhere"]}"#), ..base() }).await, ErrorKind::Invalid);
    let excluded = RestoreWish { exclude: only(r#"{"tables":["public.large"]}"#), ..base() };
    assert_eq!(plan(excluded.clone()).await.expect("plans").rows, 3);
    let both = RestoreWish { confirmation: Some(String::new()), ..excluded };
    assert_eq!(refuse(both).await, ErrorKind::Invalid);

    // A drill says how long it should take.
    let drilled = Drilled {
        at: scene.now(),
        region: "eu-west-1".to_owned(),
        passed: true,
        whole: true,
        recovery_ms: Some(1_000),
        rows: 98,
        bytes: latest.bytes / 2,
    };
    let drill = |r: &mut SnapshotRecord| {
        r.drilled = Some(drilled.clone());
        Ok(true)
    };
    catalog::amend(&*scene.world.catalog, first, drill).await.expect("amends");
    let expected = plan(base()).await.expect("plans").expected_ms.expect("is known");
    assert!((1_990..=2_020).contains(&expected), "{expected}");
}
