//! `cron(minute hour day month weekday year)`: what each field takes, and when it comes.

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use std::ops::RangeInclusive;
use time::{Date, OffsetDateTime, Weekday};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// A day is looked for so far ahead: from one 29 February to the next there may be eight years.
const DAYS_AHEAD: u32 = 9 * 366;
const YEARS: RangeInclusive<u32> = 1970..=2199;

/// What each field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    days: Vec<Day>,
    months: Vec<u32>,
    weekdays: Vec<Day>,
    years: Vec<u32>,
}

/// What a day may be asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `?`, or `*`: any.
    Any,
    /// `15`: the day of the month, or of the week from 1, a Sunday.
    Number(u32),
    /// `L`, as a day of the month.
    LastOfMonth,
    /// `LW`: the last of the month from Monday to Friday.
    LastWorking,
    /// `15W`: from Monday to Friday, the nearest to that day within the month.
    NearestWorking(u32),
    /// `6L`: the last such day of the month.
    LastWeekday(u32),
    /// `6#3`: the third such day of the month.
    NthWeekday(u32, u32),
}

/// One field of the expression.
struct Field {
    name: &'static str,
    range: RangeInclusive<u32>,
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", range: 0..=59, names: &[] };
const HOUR: Field = Field { name: "hour", range: 0..=23, names: &[] };
const DAY: Field = Field { name: "day", range: 1..=31, names: &[] };
const MONTH: Field = Field { name: "month", range: 1..=12, names: &MONTHS };
const WEEKDAY: Field = Field { name: "weekday", range: 1..=7, names: &WEEKDAYS };
const YEAR: Field = Field { name: "year", range: YEARS, names: &[] };

impl Cron {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let texts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday, year] = texts.as_slice() else {
            return Err(Error::invalid(format!(
                "must have six fields (minute hour day month weekday year), and has {}",
                texts.len()
            )));
        };
        let cron = Self {
            minutes: MINUTE.numbers(minute)?,
            hours: HOUR.numbers(hour)?,
            days: DAY.days(day)?,
            months: MONTH.numbers(month)?,
            weekdays: WEEKDAY.days(weekday)?,
            years: YEAR.numbers(year)?,
        };
        if (*day == "?") == (*weekday == "?") {
            return Err(Error::invalid("must have a `?` as its day or its weekday, and not both"));
        }
        Ok(cron)
    }

    pub(super) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = OffsetDateTime::from_unix_timestamp(now.as_millis() / 1_000).ok()?;
        let mut date = now.date();
        for _ in 0..DAYS_AHEAD {
            if self.has(date) {
                let times = self.hours.iter().flat_map(|h| self.minutes.iter().map(move |m| (*h, *m)));
                let at = times.filter_map(|(h, m)| {
                    let at = date.with_hms(u8::try_from(h).ok()?, u8::try_from(m).ok()?, 0).ok()?.assume_utc();
                    (at > now).then_some(at)
                });
                if let Some(at) = at.min() {
                    return Some(Timestamp::from_millis(at.unix_timestamp() * 1_000));
                }
            }
            date = date.next_day()?;
        }
        None
    }

    fn has(&self, date: Date) -> bool {
        u32::try_from(date.year()).is_ok_and(|year| self.years.contains(&year))
            && self.months.contains(&u32::from(u8::from(date.month())))
            && self.days.iter().any(|day| day.is(date, u32::from(date.day())))
            && self.weekdays.iter().any(|day| day.is(date, weekday(date)))
    }
}

impl Field {
    fn wrong(&self) -> Error {
        Error::invalid(format!("has a {} that EventBridge does not take", self.name))
    }

    /// Every number that the text names.
    fn numbers(&self, text: &str) -> Result<Vec<u32>> {
        let mut all = Vec::new();
        for item in text.split(',') {
            all.extend(self.item(item).ok_or_else(|| self.wrong())?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn days(&self, text: &str) -> Result<Vec<Day>> {
        if matches!(text, "?" | "*") {
            return Ok(vec![Day::Any]);
        }
        let mut all = Vec::new();
        for item in text.split(',') {
            match self.day(item) {
                Some(day) => all.push(day),
                None => all.extend(self.item(item).ok_or_else(|| self.wrong())?.into_iter().map(Day::Number)),
            }
        }
        Ok(all)
    }

    /// `*`, `5`, `5-9`, `*/15`, `5/15`, `5-9/2`.
    fn item(&self, item: &str) -> Option<Vec<u32>> {
        let (from, step) = match item.split_once('/') {
            None => (item, None),
            Some((from, step)) => (from, Some(step.parse::<usize>().ok().filter(|s| *s > 0 && is_digits(step))?)),
        };
        let (first, last) = (*self.range.start(), *self.range.end());
        let numbers: Vec<u32> = if from == "*" {
            self.range.clone().collect()
        } else if let Some((from, to)) = from.split_once('-') {
            let (from, to) = (self.value(from)?, self.value(to)?);
            match from <= to {
                true => (from..=to).collect(),
                // A week goes on after its end.
                false if self.name == WEEKDAY.name => (from..=last).chain(first..=to).collect(),
                false => return None,
            }
        } else {
            let from = self.value(from)?;
            if step.is_some() { (from..=last).collect() } else { vec![from] }
        };
        Some(numbers.into_iter().step_by(step.unwrap_or(1)).collect())
    }

    fn value(&self, item: &str) -> Option<u32> {
        if let Some(place) = self.names.iter().position(|name| name.eq_ignore_ascii_case(item)) {
            return u32::try_from(place).ok().map(|place| place + self.range.start());
        }
        item.parse().ok().filter(|n| is_digits(item) && self.range.contains(n))
    }

    /// `L`, `LW`, `15W` of a month; `L`, `6L` and `6#3` of a week.
    fn day(&self, item: &str) -> Option<Day> {
        if self.name == DAY.name {
            return match item {
                "L" => Some(Day::LastOfMonth),
                "LW" => Some(Day::LastWorking),
                _ => self.value(item.strip_suffix('W')?).map(Day::NearestWorking),
            };
        }
        if item == "L" {
            return Some(Day::Number(*self.range.end()));
        }
        if let Some(day) = item.strip_suffix('L') {
            return self.value(day).map(Day::LastWeekday);
        }
        let (day, n) = item.split_once('#')?;
        let n = n.parse().ok().filter(|n| (1..=5).contains(n) && is_digits(item.rsplit('#').next().unwrap_or("")))?;
        self.value(day).map(|day| Day::NthWeekday(day, n))
    }
}

impl Day {
    /// Whether a date is it; `number` is the date's own, in the month or in the week.
    fn is(self, date: Date, number: u32) -> bool {
        let length = u32::from(date.month().length(date.year()));
        let day = u32::from(date.day());
        match self {
            Self::Any => true,
            Self::Number(wanted) => number == wanted,
            Self::LastOfMonth => day == length,
            Self::LastWorking => day == nearest_working(date, length),
            Self::NearestWorking(wanted) => wanted <= length && day == nearest_working(date, wanted),
            Self::LastWeekday(wanted) => number == wanted && day + 7 > length,
            Self::NthWeekday(wanted, n) => number == wanted && day.div_ceil(7) == n,
        }
    }
}

/// The day from Monday to Friday that is nearest to a day of the date's month, and in that month.
fn nearest_working(date: Date, day: u32) -> u32 {
    let length = u32::from(date.month().length(date.year()));
    let at = u8::try_from(day).ok().and_then(|day| date.replace_day(day).ok());
    match at.map(Date::weekday) {
        Some(Weekday::Saturday) if day == 1 => 3,
        Some(Weekday::Saturday) => day - 1,
        Some(Weekday::Sunday) if day == length => day - 2,
        Some(Weekday::Sunday) => day + 1,
        _ => day,
    }
}

/// From 1, a Sunday.
fn weekday(date: Date) -> u32 {
    u32::from(date.weekday().number_days_from_sunday()) + 1
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
