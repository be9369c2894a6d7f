//! Which snapshots are kept, and which may go. Pure: the same snapshots, policy and instant give the same plan.
//!
//! Always holds, whatever the policy says: the newest good snapshots of each source stay ([`RetentionPolicy::keep_at_least`]);
//! what a person pinned stays; what is being restored stays; what is not whole in all vaults yet stays. No single clock decides:
//! a snapshot's age is counted up to the newest snapshot of its source, so a clock that runs ahead makes nothing old, and when
//! backups stop, so does the expiry of the last ones.

use crate::clock::Timestamp;
use crate::id::SnapshotId;
use crate::limits::{CLOCK_SLACK_S, DAY_S};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// How long snapshots are kept. A snapshot stays as long as any rule keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionPolicy {
    /// Every snapshot, for so many days.
    pub days: u32,
    /// The newest so many, however old.
    pub last: u32,
    /// The newest of each of the last so many days that have any.
    pub daily: u32,
    /// The same of weeks, from Monday on.
    pub weekly: u32,
    /// The same of months.
    pub monthly: u32,
    /// The same of years.
    pub yearly: u32,
    /// So many good snapshots stay, whatever the rules above say; at least 1.
    pub keep_at_least: u32,
}

impl RetentionPolicy {
    /// Until when the days keep a snapshot that shows an instant.
    pub fn days_end_at(&self, taken_at: Timestamp) -> Timestamp {
        taken_at.plus_s(i64::from(self.days) * DAY_S)
    }
}

/// A snapshot, as far as its fate depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: SnapshotId,
    /// The name of its source: each has a plan of its own.
    pub source: String,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// How it stands.
    pub standing: Standing,
    /// Whether a person wants it kept.
    pub pinned: bool,
    /// Whether a restore reads it at the moment.
    pub held: bool,
}

/// How a snapshot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Whole in all three vaults.
    Good,
    /// On its way, or not in the catalog.
    Unsettled,
    /// A restore of it would fail, from whichever vault. Counts for nothing.
    Damaged,
    /// It was sealed again, and that is whole in all three vaults: nobody needs this one.
    Superseded,
    /// Its backup was given up, and what it stored is there all the same. Counts for nothing.
    GivenUp,
}

/// Why a snapshot is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A person wants it.
    Pinned,
    /// A restore reads it at the moment.
    Restoring,
    /// It is not whole in all three vaults yet, or the catalog does not know it.
    Unsettled,
    /// It is younger than the days of the policy.
    Days,
    /// One of the newest.
    Last,
    /// The newest of its day.
    Daily,
    /// The newest of its week.
    Weekly,
    /// The newest of its month.
    Monthly,
    /// The newest of its year.
    Yearly,
    /// One of the last good ones, which always stay.
    Floor,
}

/// What becomes of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Its id.
    pub id: SnapshotId,
    /// The name of its source.
    pub source: String,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// Why it is kept; empty when it expires.
    pub kept_by: Vec<Reason>,
    /// When the days of the policy are over.
    pub days_end_at: Timestamp,
}

impl Decision {
    /// Whether it may go.
    pub fn expires(&self) -> bool {
        self.kept_by.is_empty()
    }

    /// Until when its objects should be locked at least: the end of its days, and a while from now where another rule keeps it.
    pub fn lock_until(&self, now: Timestamp, while_s: i64) -> Timestamp {
        let by_another = self.kept_by.iter().any(|r| *r != Reason::Days);
        if by_another { self.days_end_at.max(now.plus_s(while_s)) } else { self.days_end_at }
    }
}

/// The period that an instant lies in: its year, and its number in the year.
type Period = fn(OffsetDateTime) -> (i32, u16);

/// Decides on each snapshot. Oldest first within a source, sources in the order of their names.
pub fn plan(candidates: &[Candidate], policy: &RetentionPolicy, now: Timestamp) -> Vec<Decision> {
    let mut by_source: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        by_source.entry(&candidate.source).or_default().push(candidate);
    }
    by_source.into_values().flat_map(|of_source| plan_source(of_source, policy, now)).collect()
}

fn plan_source(mut snapshots: Vec<&Candidate>, policy: &RetentionPolicy, now: Timestamp) -> Vec<Decision> {
    snapshots.sort_by_key(|c| (c.taken_at, c.id));
    let good: Vec<&Candidate> = snapshots.iter().copied().filter(|c| c.standing == Standing::Good).collect();
    let newest = good.last().map_or(Timestamp::from_millis(0), |c| c.taken_at);
    let reference = now.min(newest.plus_s(CLOCK_SLACK_S));

    let mut kept: BTreeMap<SnapshotId, BTreeSet<Reason>> = BTreeMap::new();
    let mut keep = |id: SnapshotId, reason: Reason| {
        kept.entry(id).or_default().insert(reason);
    };
    for c in &snapshots {
        if c.pinned {
            keep(c.id, Reason::Pinned);
        }
        if c.held {
            keep(c.id, Reason::Restoring);
        }
        if c.standing == Standing::Unsettled {
            keep(c.id, Reason::Unsettled);
        }
        if policy.days_end_at(c.taken_at) > reference && c.standing != Standing::Superseded {
            keep(c.id, Reason::Days);
        }
    }
    for (count, reason) in [(policy.last, Reason::Last), (policy.keep_at_least.max(1), Reason::Floor)] {
        good.iter().rev().take(count as usize).for_each(|c| keep(c.id, reason));
    }
    let periods: [(u32, Reason, Period); 4] = [
        (policy.daily, Reason::Daily, |t| (t.year(), t.ordinal())),
        (policy.weekly, Reason::Weekly, |t| {
            let (year, week, _) = t.to_iso_week_date();
            (year, u16::from(week))
        }),
        (policy.monthly, Reason::Monthly, |t| (t.year(), u16::from(u8::from(t.month())))),
        (policy.yearly, Reason::Yearly, |t| (t.year(), 0)),
    ];
    for (count, reason, period) in periods {
        let mut seen = BTreeSet::new();
        for c in good.iter().rev() {
            if seen.len() < count as usize && seen.insert(period(utc(c.taken_at))) {
                keep(c.id, reason);
            }
        }
    }
    let decision = |c: &Candidate| Decision {
        id: c.id,
        source: c.source.clone(),
        taken_at: c.taken_at,
        kept_by: kept.get(&c.id).into_iter().flatten().copied().collect(),
        days_end_at: policy.days_end_at(c.taken_at),
    };
    snapshots.into_iter().map(decision).collect()
}

fn utc(t: Timestamp) -> OffsetDateTime {
    // Every timestamp is of the years 1970 to 9999.
    OffsetDateTime::from_unix_timestamp(t.as_millis() / 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
