//! When backups are made, in the words of EventBridge: `rate(value unit)` or `cron(minute hour day month weekday year)`, in UTC. Pure.
//!
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>

mod cron;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use cron::Cron;
use std::fmt;
use std::str::FromStr;

const FORM: &str = "must be cron(minute hour day month weekday year) or rate(value unit)";

/// A schedule that EventBridge would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// Every so many seconds.
    Rate(i64),
    Cron(Box<Cron>),
}

impl Schedule {
    /// Whether the next time depends on the last.
    pub fn counts_from_last(&self) -> bool {
        matches!(self.form, Form::Rate(_))
    }

    /// The first time after an instant at which it comes. A rate counts from `last`, the last time that it came; without that,
    /// from the instant. `None` when it never comes again.
    pub fn next_after(&self, now: Timestamp, last: Option<Timestamp>) -> Option<Timestamp> {
        match &self.form {
            Form::Rate(period_s) => {
                let last = last.unwrap_or(now);
                let periods = (now.since(last).max(0) / 1_000) / period_s + 1;
                Some(last.plus_s(periods * period_s))
            }
            Form::Cron(cron) => cron.next_after(now),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Schedule {
    type Err = Error;

    /// # Errors
    /// `Invalid`, saying in a few words what it must be.
    fn from_str(text: &str) -> Result<Self> {
        let inner = |form: &str| text.strip_prefix(form).and_then(|rest| rest.strip_suffix(')'));
        let form = if let Some(rate) = inner("rate(") {
            Form::Rate(rate_s(rate)?)
        } else if let Some(cron) = inner("cron(") {
            Form::Cron(Box::new(Cron::parse(cron)?))
        } else {
            return Err(Error::invalid(FORM));
        };
        Ok(Self { text: text.to_owned(), form })
    }
}

fn rate_s(rate: &str) -> Result<i64> {
    let words: Vec<&str> = rate.split(' ').collect();
    let [value, unit] = words.as_slice() else { return Err(Error::invalid(FORM)) };
    let value = value.parse::<u32>().ok().filter(|v| *v > 0 && value.bytes().all(|b| b.is_ascii_digit()));
    let Some(value) = value else { return Err(Error::invalid("must be a rate of a whole number above 0")) };
    let unit_s = match unit.strip_suffix('s').unwrap_or(unit) {
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => return Err(Error::invalid("must be a rate in minutes, hours or days")),
    };
    if (value == 1) == unit.ends_with('s') {
        return Err(Error::invalid("must say 1 minute, hour or day, and otherwise minutes, hours or days"));
    }
    Ok(i64::from(value) * unit_s)
}

#[cfg(test)]
mod tests;
