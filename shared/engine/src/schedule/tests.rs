//! What EventBridge takes and refuses, and when it comes.

use super::*;

#[test]
fn what_eventbridge_takes_is_taken() {
    for right in [
        "rate(1 minute)",
        "rate(15 minutes)",
        "rate(1 day)",
        "rate(12 hours)",
        "cron(0 3 * * ? *)",
        "cron(*/15 * ? * MON-FRI *)",
        "cron(0/30 8-18,22 ? * 2,4,6 2026-2030)",
        "cron(15 10 L * ? *)",
        "cron(15 10 LW * ? *)",
        "cron(15 10 3W JAN,jul ? *)",
        "cron(15 10 ? * 6L *)",
        "cron(15 10 ? * 6#3 *)",
        "cron(15 10 ? * FRI-MON *)",
    ] {
        let schedule: Schedule = right.parse().unwrap_or_else(|e| panic!("{right}: {e}"));
        assert_eq!(schedule.to_string(), right);
    }
}

#[test]
fn what_eventbridge_refuses_is_refused() {
    for wrong in [
        "",
        "0 3 * * *",
        "every day",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(5 weeks)",
        "rate(+5 minutes)",
        "rate(5minutes)",
        "rate(5 minutes",
        "cron(0 3 * * *)",
        "cron(0 3 * * * *)",
        "cron(0 3 ? * ? *)",
        "cron(60 3 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 3 0 * ? *)",
        "cron(0 3 * 13 ? *)",
        "cron(0 3 ? * 8 *)",
        "cron(0 3 ? * 6#6 *)",
        "cron(? 3 * * ? *)",
        "cron(0 3 * * ? 1969)",
        "cron(5-1 3 * * ? *)",
        "cron(0/0 3 * * ? *)",
        "cron(,0 3 * * ? *)",
    ] {
        assert!(wrong.parse::<Schedule>().is_err(), "{wrong}");
    }
}

fn at(text: &str) -> Timestamp {
    text.to_owned().try_into().expect("an instant")
}

#[test]
fn the_next_time_is_the_first_that_every_field_takes() {
    // 2026-11-25 is a Wednesday.
    for (schedule, now, next) in [
        ("cron(0 3 * * ? *)", "2026-11-25T02:59:59.999Z", "2026-11-25T03:00:00Z"),
        ("cron(0 3 * * ? *)", "2026-11-25T03:00:00Z", "2026-11-26T03:00:00Z"),
        ("cron(*/15 8-18 ? * MON-FRI *)", "2026-11-27T18:46:00Z", "2026-11-30T08:00:00Z"),
        ("cron(10/20 * * * ? *)", "2026-11-25T10:31:00Z", "2026-11-25T10:50:00Z"),
        ("cron(0 12 L * ? *)", "2026-11-25T00:00:00Z", "2026-11-30T12:00:00Z"),
        ("cron(0 12 LW * ? *)", "2027-01-01T00:00:00Z", "2027-01-29T12:00:00Z"),
        // 15 November 2026 is a Sunday, 1 August 2026 a Saturday, 31 January 2027 a Sunday.
        ("cron(0 12 15W 11 ? *)", "2026-11-01T00:00:00Z", "2026-11-16T12:00:00Z"),
        ("cron(0 12 1W 8 ? *)", "2026-07-31T23:00:00Z", "2026-08-03T12:00:00Z"),
        ("cron(0 12 31W 1 ? *)", "2027-01-01T00:00:00Z", "2027-01-29T12:00:00Z"),
        ("cron(0 12 ? * 6L *)", "2026-11-01T00:00:00Z", "2026-11-27T12:00:00Z"),
        ("cron(0 12 ? * 6#3 *)", "2026-11-01T00:00:00Z", "2026-11-20T12:00:00Z"),
        ("cron(0 12 ? * FRI-MON *)", "2026-11-25T00:00:00Z", "2026-11-27T12:00:00Z"),
        ("cron(0 0 29 2 ? *)", "2026-11-25T00:00:00Z", "2028-02-29T00:00:00Z"),
    ] {
        let schedule: Schedule = schedule.parse().expect("a schedule");
        assert_eq!(schedule.next_after(at(now), None), Some(at(next)), "{schedule} after {now}");
    }
    let over: Schedule = "cron(0 3 * * ? 2025)".parse().expect("a schedule");
    assert_eq!(over.next_after(at("2026-11-25T00:00:00Z"), None), None);
}

#[test]
fn a_rate_counts_from_the_last_time() {
    let rate: Schedule = "rate(6 hours)".parse().expect("a schedule");
    let (now, last) = (at("2026-11-25T12:00:00Z"), at("2026-11-25T01:30:00Z"));
    assert_eq!(rate.next_after(now, Some(last)), Some(at("2026-11-25T13:30:00Z")));
    assert_eq!(rate.next_after(now, None), Some(at("2026-11-25T18:00:00Z")));
    assert_eq!(rate.next_after(last, Some(now)), Some(at("2026-11-25T18:00:00Z")));
}
