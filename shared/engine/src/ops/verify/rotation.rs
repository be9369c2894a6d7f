//! What is read when: every segment has its hour in a round of so many days. Pure.
//!
//! An hour's share is read by the next run after that hour, so a run that was late, or out of time, leaves nothing out; and from
//! one round to the next each segment is read in another vault.

use crate::clock::Timestamp;
use crate::layout::ObjectKey;
use crate::stage::Sha256;

const HOUR_MS: i64 = 60 * 60 * 1_000;
const HOURS_A_DAY: i64 = 24;
/// The time is looked at after each share.
const SHARES_OF_EVERYTHING: i64 = 64;

/// The hours whose share a run reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    /// Into so many shares everything is divided, one an hour.
    shares: i64,
    /// The first hour.
    pub(super) first: i64,
    /// The hour after the last.
    pub(super) end: i64,
}

/// When and where something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) hour: i64,
    /// The place of the vault in the list of vaults.
    pub(super) vault: usize,
}

/// The hours in which everything is read once.
pub(super) fn round_hours(days: u32) -> i64 {
    i64::from(days.max(1)) * HOURS_A_DAY
}

impl Rotation {
    /// What is due at `now`, when everything before the hour `read_to` was read: at most one round, and one day without a past.
    pub(super) fn due(days: u32, read_to: Option<i64>, now: Timestamp) -> Self {
        let shares = round_hours(days);
        let end = now.as_millis().div_euclid(HOUR_MS) + 1;
        let first = read_to.unwrap_or(end - HOURS_A_DAY).clamp(end - shares, end);
        Self { shares, first, end }
    }

    /// Everything, whenever it is due.
    pub(super) fn everything(now: Timestamp) -> Self {
        let end = now.as_millis().div_euclid(HOUR_MS) + 1;
        Self { shares: SHARES_OF_EVERYTHING, first: end - SHARES_OF_EVERYTHING, end }
    }

    /// The vault whose manifests are read by this run.
    pub(super) fn manifest_vault(&self, vaults: usize) -> usize {
        (self.end / HOURS_A_DAY).rem_euclid(vaults as i64) as usize
    }

    /// The turn of what lies at a place of an object, if it is due.
    pub(super) fn turn(&self, key: &ObjectKey, offset: u64, vaults: usize) -> Option<Turn> {
        let hash = Sha256::of(format!("{key}:{offset}").as_bytes());
        let [a, b, c, d, rest @ ..] = *hash.as_bytes();
        let slot = i64::from(u32::from_be_bytes([a, b, c, d])) % self.shares;
        // The only one of as many hours, counted from the first, that is the slot's.
        let hour = self.first + (slot - self.first).rem_euclid(self.shares);
        let turns = hour.div_euclid(self.shares) + i64::from(rest[0]);
        (hour < self.end).then_some(Turn { hour, vault: turns.rem_euclid(vaults as i64) as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AttemptId;

    const DAYS: u32 = 30;
    const ROUND: i64 = 30 * HOURS_A_DAY;

    fn keys() -> Vec<(ObjectKey, u64)> {
        let attempt: AttemptId = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071".parse().expect("an id");
        (0..50).flat_map(|n| (0..20).map(move |o| (ObjectKey::Pack(attempt, n), o * 1_000))).collect()
    }

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(hour * HOUR_MS + 1)
    }

    #[test]
    fn in_a_round_everything_is_read_once_and_in_three_rounds_in_every_vault() {
        let begin = 500_000;
        let mut read_to = begin;
        let mut reads = vec![Vec::new(); keys().len()];
        // Runs come daily, but for some that are late, and one that is very early.
        let mut now = begin;
        for step in [24, 25, 1, 23, 70, 24].into_iter().cycle() {
            now = (now + step).min(begin + 3 * ROUND - 1);
            let rotation = Rotation::due(DAYS, Some(read_to), at(now));
            for (seen, (key, offset)) in reads.iter_mut().zip(keys()) {
                seen.extend(rotation.turn(&key, offset, 3));
            }
            read_to = rotation.end;
            if now == begin + 3 * ROUND - 1 {
                break;
            }
        }
        for seen in reads {
            assert_eq!(seen.len(), 3);
            assert!(seen[0].hour < begin + ROUND && seen[1].hour < begin + 2 * ROUND);
            let mut vaults: Vec<usize> = seen.iter().map(|t| t.vault).collect();
            vaults.sort_unstable();
            assert_eq!(vaults, [0, 1, 2]);
        }
    }

    #[test]
    fn a_day_is_about_its_share_and_a_long_gap_is_one_round() {
        let of = |rotation: Rotation| keys().iter().filter(|(k, o)| rotation.turn(k, *o, 3).is_some()).count();
        let day = of(Rotation::due(DAYS, None, at(500_000)));
        assert!((15..60).contains(&day), "{day} of 1000");
        assert_eq!(of(Rotation::due(DAYS, Some(0), at(500_000))), 1_000);
        assert_eq!(of(Rotation::everything(at(500_000))), 1_000);
        // A clock that went back reads nothing twice.
        assert_eq!(of(Rotation::due(DAYS, Some(500_001), at(499_000))), 0);
    }
}
