//! The schedule, in the words of EventBridge: `rate(value unit)` or `cron(minute hour day month weekday year)`.
//!
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>

use super::reader::Ruling;
use std::ops::RangeInclusive;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const FORM: &str = "must be cron(minute hour day month weekday year) or rate(value unit)";

/// One field of a cron expression.
struct Field {
    name: &'static str,
    range: RangeInclusive<u32>,
    names: &'static [&'static str],
    /// Whether `?`, `L` and what goes with them may stand in it.
    of_day: bool,
}

const fn field(name: &'static str, range: RangeInclusive<u32>) -> Field {
    Field { name, range, names: &[], of_day: false }
}

const FIELDS: [Field; 6] = [
    field("minute", 0..=59),
    field("hour", 0..=23),
    Field { name: "day", range: 1..=31, names: &[], of_day: true },
    Field { name: "month", range: 1..=12, names: &MONTHS, of_day: false },
    Field { name: "weekday", range: 1..=7, names: &WEEKDAYS, of_day: true },
    field("year", 1970..=2199),
];

/// The expression, if EventBridge would take it.
pub(super) fn check(value: &str) -> Ruling<String> {
    let inner = |form: &str| value.strip_prefix(form).and_then(|rest| rest.strip_suffix(')'));
    if let Some(rate) = inner("rate(") {
        check_rate(rate)?;
    } else if let Some(cron) = inner("cron(") {
        check_cron(cron)?;
    } else {
        return Err(FORM.into());
    }
    Ok(value.to_owned())
}

fn check_rate(rate: &str) -> Ruling<()> {
    let words: Vec<&str> = rate.split(' ').collect();
    let [value, unit] = words.as_slice() else { return Err(FORM.into()) };
    let value = value.parse::<u32>().ok().filter(|v| *v > 0 && value.bytes().all(|b| b.is_ascii_digit()));
    match (value, *unit) {
        (Some(1), "minute" | "hour" | "day") => Ok(()),
        (Some(2..), "minutes" | "hours" | "days") => Ok(()),
        (Some(_), "minute" | "hour" | "day" | "minutes" | "hours" | "days") => {
            Err("must say 1 minute, hour or day, and otherwise minutes, hours or days".into())
        }
        (Some(_), _) => Err("must be a rate in minutes, hours or days".into()),
        (None, _) => Err("must be a rate of a whole number above 0".into()),
    }
}

fn check_cron(cron: &str) -> Ruling<()> {
    let texts: Vec<&str> = cron.split_whitespace().collect();
    if texts.len() != FIELDS.len() {
        return Err(format!("must have six fields (minute hour day month weekday year), and has {}", texts.len()));
    }
    for (field, text) in FIELDS.iter().zip(&texts) {
        if !is_field(field, text) {
            return Err(format!("has a {} that EventBridge does not take", field.name));
        }
    }
    if (texts[2] == "?") == (texts[4] == "?") {
        return Err("must have a `?` as its day or its weekday, and not both".into());
    }
    Ok(())
}

fn is_field(field: &Field, text: &str) -> bool {
    match text {
        "*" => true,
        "?" => field.of_day,
        _ => text.split(',').all(|item| is_item(field, item)),
    }
}

fn is_item(field: &Field, item: &str) -> bool {
    if let Some((from, step)) = item.split_once('/') {
        let start = from == "*" || is_range(field, from) || is_value(field, from);
        return start && step.parse::<u32>().is_ok_and(|s| s > 0) && step.bytes().all(|b| b.is_ascii_digit());
    }
    is_value(field, item) || is_range(field, item) || (field.of_day && is_of_day(field, item))
}

fn is_range(field: &Field, item: &str) -> bool {
    item.split_once('-').is_some_and(|(from, to)| match (value(field, from), value(field, to)) {
        (Some(from), Some(to)) => from <= to || field.name == "weekday",
        _ => false,
    })
}

fn is_value(field: &Field, item: &str) -> bool {
    value(field, item).is_some()
}

fn value(field: &Field, item: &str) -> Option<u32> {
    if let Some(place) = field.names.iter().position(|name| name.eq_ignore_ascii_case(item)) {
        return u32::try_from(place).ok().map(|place| place + field.range.start());
    }
    let digits = !item.is_empty() && item.bytes().all(|b| b.is_ascii_digit());
    item.parse().ok().filter(|n| digits && field.range.contains(n))
}

/// `L` (last), `LW`, `15W` (the working day nearest the 15th), `6L` and `6#3` (the last and the third Friday).
fn is_of_day(field: &Field, item: &str) -> bool {
    if item == "L" {
        return true;
    }
    if field.name == "day" {
        return item == "LW" || item.strip_suffix('W').is_some_and(|day| is_value(field, day));
    }
    let last = item.strip_suffix('L').is_some_and(|day| is_value(field, day));
    let nth =
        item.split_once('#').is_some_and(|(day, n)| is_value(field, day) && matches!(n, "1" | "2" | "3" | "4" | "5"));
    last || nth
}

#[cfg(test)]
mod tests {
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
            assert_eq!(check(right), Ok(right.to_owned()));
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
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
