use super::*;
use proptest::prelude::*;

const POLICY: RetentionPolicy =
    RetentionPolicy { days: 7, last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_at_least: 1 };

/// An instant, like `2026-11-25T03:00:00Z`.
fn at(text: &str) -> Timestamp {
    Timestamp::try_from(text.to_owned()).expect("an instant")
}

fn id(n: usize) -> SnapshotId {
    format!("019ab3c4-5d6e-7f80-9a1b-{n:012x}").parse().expect("an id")
}

fn good(n: usize, taken_at: Timestamp) -> Candidate {
    Candidate {
        id: id(n),
        source: "database".to_owned(),
        taken_at,
        standing: Standing::Good,
        pinned: false,
        held: false,
    }
}

/// One a day, at 3 o'clock, the last one on that day; the first has the number 0.
fn daily(count: usize, last: &str) -> Vec<Candidate> {
    (0..count).map(|n| good(n, at(last).plus_s(-DAY_S * (count - 1 - n) as i64))).collect()
}

/// The days of those that stay, with why.
fn kept(candidates: &[Candidate], policy: &RetentionPolicy, now: &str) -> Vec<(String, Vec<Reason>)> {
    let decisions = plan(candidates, policy, at(now)).into_iter().filter(|d| !d.expires());
    decisions.map(|d| (d.taken_at.to_string()[..10].to_owned(), d.kept_by)).collect()
}

fn days(kept: &[(String, Vec<Reason>)]) -> Vec<&str> {
    kept.iter().map(|(day, _)| day.as_str()).collect()
}

#[test]
fn a_snapshot_stays_until_its_days_are_over() {
    let candidates = daily(10, "2026-11-25T03:00:00Z");
    let stay = kept(&candidates, &POLICY, "2026-11-25T03:00:00Z");
    assert_eq!(days(&stay)[..2], ["2026-11-19", "2026-11-20"], "that of the 18th is exactly 7 days old");
    assert_eq!(stay.len(), 7);
    assert_eq!(stay[0].1, [Reason::Days]);
    assert_eq!(stay[6].1, [Reason::Days, Reason::Floor]);
    assert_eq!(kept(&candidates, &POLICY, "2026-11-25T02:59:59Z").len(), 8, "a second before");
}

#[test]
fn each_period_keeps_its_newest() {
    let mut candidates = daily(800, "2026-11-25T03:00:00Z");
    // Two on one day: the later one stands for it.
    candidates.push(good(900, at("2026-11-24T21:00:00Z")));
    let policy = RetentionPolicy { days: 1, daily: 3, weekly: 2, monthly: 3, yearly: 9, ..POLICY };
    let stay = kept(&candidates, &policy, "2026-11-25T04:00:00Z");
    let with = |reason| -> Vec<&str> {
        stay.iter().filter(|(_, why)| why.contains(&reason)).map(|(day, _)| day.as_str()).collect()
    };
    assert_eq!(with(Reason::Daily), ["2026-11-23", "2026-11-24", "2026-11-25"]);
    assert_eq!(with(Reason::Weekly), ["2026-11-22", "2026-11-25"], "a week ends on Sunday");
    assert_eq!(with(Reason::Monthly), ["2026-09-30", "2026-10-31", "2026-11-25"]);
    assert_eq!(with(Reason::Yearly), ["2024-12-31", "2025-12-31", "2026-11-25"], "no more than there are");
    let of_the_day: Vec<_> = plan(&candidates, &policy, at("2026-11-25T04:00:00Z"))
        .into_iter()
        .filter(|d| d.taken_at.to_string().starts_with("2026-11-24") && d.kept_by.contains(&Reason::Daily))
        .map(|d| d.id)
        .collect();
    assert_eq!(of_the_day, [id(900)]);
}

#[test]
fn the_iso_year_tells_the_weeks_around_new_year_apart() {
    // 2027-01-01 is a Friday, of the week that began on 2026-12-28.
    let candidates = daily(8, "2027-01-03T03:00:00Z");
    let policy = RetentionPolicy { days: 1, weekly: 5, ..POLICY };
    let stay = kept(&candidates, &policy, "2027-01-03T04:00:00Z");
    assert_eq!(days(&stay), ["2026-12-27", "2027-01-03"]);
}

#[test]
fn when_backups_stop_so_does_expiry() {
    let candidates = daily(10, "2026-11-25T03:00:00Z");
    let at_the_last = kept(&candidates, &POLICY, "2026-11-26T03:00:00Z");
    assert_eq!(kept(&candidates, &POLICY, "2031-01-01T00:00:00Z"), at_the_last);
    assert_eq!(at_the_last.len(), 6);
}

#[test]
fn a_clock_that_ran_ahead_when_a_backup_was_made_makes_nothing_old_either() {
    let mut candidates = daily(10, "2026-11-25T03:00:00Z");
    candidates.push(good(10, at("2035-01-01T00:00:00Z")));
    let stay = kept(&candidates, &POLICY, "2026-11-25T03:00:00Z");
    assert_eq!(stay.len(), 8);
    // A clock that runs behind keeps more, not less.
    assert_eq!(kept(&candidates, &POLICY, "1970-01-01T00:00:00Z").len(), 11);
}

#[test]
fn the_last_good_ones_stay_whatever_the_policy_says() {
    let mut candidates = daily(6, "2026-11-01T03:00:00Z");
    candidates[5].standing = Standing::GivenUp;
    candidates[4].standing = Standing::Unsettled;
    candidates.push(good(6, at("2026-11-20T03:00:00Z")));
    let policy = RetentionPolicy { days: 1, keep_at_least: 3, ..POLICY };
    let stay = kept(&candidates, &policy, "2026-12-20T03:00:00Z");
    let expected = [
        ("2026-10-29", vec![Reason::Floor]),
        ("2026-10-30", vec![Reason::Floor]),
        ("2026-10-31", vec![Reason::Unsettled]),
        ("2026-11-20", vec![Reason::Floor]),
    ];
    assert_eq!(stay, expected.map(|(day, why)| (day.to_owned(), why)));
}

#[test]
fn what_is_pinned_or_being_restored_stays() {
    let mut candidates = daily(20, "2026-11-25T03:00:00Z");
    candidates[0].pinned = true;
    candidates[1].held = true;
    let stay = kept(&candidates, &POLICY, "2026-11-25T03:00:00Z");
    assert_eq!(stay[0], ("2026-11-06".to_owned(), vec![Reason::Pinned]));
    assert_eq!(stay[1], ("2026-11-07".to_owned(), vec![Reason::Restoring]));
}

#[test]
fn sources_do_not_count_for_each_other() {
    let mut candidates = daily(3, "2026-11-25T03:00:00Z");
    let other = |c: &Candidate| Candidate {
        id: id(100),
        source: "other".into(),
        taken_at: at("2020-01-01T00:00:00Z"),
        ..c.clone()
    };
    candidates.push(other(&candidates[0]));
    let stay = kept(&candidates, &RetentionPolicy { days: 1, ..POLICY }, "2026-11-25T03:00:00Z");
    assert_eq!(days(&stay), ["2026-11-25", "2020-01-01"]);
}

#[test]
fn locks_reach_to_the_end_of_the_days_and_a_while_on_for_what_another_rule_keeps() {
    let now = at("2026-11-25T03:00:00Z");
    let mut candidates = daily(20, "2026-11-25T03:00:00Z");
    candidates[0].pinned = true;
    let decisions = plan(&candidates, &POLICY, now);
    assert_eq!(decisions[0].lock_until(now, 100), now.plus_s(100));
    assert_eq!(decisions[18].lock_until(now, 100), at("2026-12-01T03:00:00Z"));
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (0..3u8, 0..1_000i64, 0..6u8, any::<bool>(), any::<bool>());
    proptest::collection::vec(one, 0..60).prop_map(|parts| {
        let of = |(n, (source, hours, standing, pinned, held)): (usize, (u8, i64, u8, bool, bool))| Candidate {
            id: id(n),
            source: format!("source-{source}"),
            taken_at: at("2026-01-01T00:00:00Z").plus_s(hours * 3_600),
            standing: match standing {
                0 => Standing::Unsettled,
                1 => Standing::GivenUp,
                _ => Standing::Good,
            },
            pinned: pinned && n % 7 == 0,
            held: held && n % 11 == 0,
        };
        parts.into_iter().enumerate().map(of).collect()
    })
}

fn policies() -> impl Strategy<Value = RetentionPolicy> {
    (1..40u32, 0..4u32, 0..4u32, 0..4u32, 0..4u32, 0..3u32, 0..4u32).prop_map(
        |(days, last, daily, weekly, monthly, yearly, keep_at_least)| RetentionPolicy {
            days,
            last,
            daily,
            weekly,
            monthly,
            yearly,
            keep_at_least,
        },
    )
}

proptest! {
    #[test]
    fn what_must_stay_stays(candidates in candidates(), policy in policies(), now_h in 0..100_000i64) {
        let now = at("2025-06-01T00:00:00Z").plus_s(now_h * 3_600);
        let decisions = plan(&candidates, &policy, now);
        prop_assert_eq!(decisions.len(), candidates.len(), "each is decided on, once");
        let of = |id: SnapshotId| decisions.iter().find(|d| d.id == id).expect("a decision");
        for c in &candidates {
            let decision = of(c.id);
            if c.pinned || c.held || c.standing == Standing::Unsettled {
                prop_assert!(!decision.expires());
            }
            if decision.expires() {
                let newer = candidates.iter().filter(|o| {
                    o.source == c.source && o.standing == Standing::Good && (o.taken_at, o.id) > (c.taken_at, c.id)
                });
                let newer: Vec<_> = newer.collect();
                if c.standing == Standing::Good {
                    prop_assert!(newer.len() >= policy.keep_at_least.max(1) as usize);
                }
                // Both the clock and a later backup say that it is old enough.
                prop_assert!(decision.days_end_at <= now);
                let latest = newer.iter().map(|o| o.taken_at).max();
                prop_assert!(latest.is_some_and(|t| decision.days_end_at <= t.plus_s(CLOCK_SLACK_S))
                    || (c.standing == Standing::GivenUp));
            }
        }
    }

    #[test]
    fn time_and_a_stricter_policy_only_let_more_go(candidates in candidates(), policy in policies(), h in 0..2_000i64) {
        let now = at("2026-01-01T00:00:00Z").plus_s(h * 3_600);
        let gone = |policy: &RetentionPolicy, now| -> BTreeSet<SnapshotId> {
            plan(&candidates, policy, now).into_iter().filter(Decision::expires).map(|d| d.id).collect()
        };
        let before = gone(&policy, now);
        prop_assert!(before.is_subset(&gone(&policy, now.plus_s(3_600))));
        let longer = RetentionPolicy { days: policy.days + 1, ..policy };
        prop_assert!(gone(&longer, now).is_subset(&before));
        let more = RetentionPolicy { keep_at_least: policy.keep_at_least + 1, ..policy };
        prop_assert!(gone(&more, now).is_subset(&before));
        let shuffled: Vec<Candidate> = candidates.iter().rev().cloned().collect();
        prop_assert_eq!(plan(&shuffled, &policy, now), plan(&candidates, &policy, now), "their order does not matter");
    }
}
