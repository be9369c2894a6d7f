//! What no snapshot needs any more, and since when. Pure, but for reading and writing the list.
//!
//! The objects of one attempt have numbers, and go together: a list of ranges is short however many objects there are.

use super::Prune;
use crate::catalog::{self, Collection, Record, RecordId, Versioned};
use crate::clock::Timestamp;
use crate::error::{Result, ResultExt};
use crate::layout::ObjectKey;
use crate::limits::{MARKS_MAX, PRUNE_GRACE_S};
use crate::vault::VaultRole;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Objects of one vault that nothing needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The vault.
    pub vault: VaultRole,
    /// Ranges, in the order of the keys.
    pub marks: Vec<Mark>,
}

/// A range of objects that were seen to be unneeded at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The first.
    pub from: ObjectKey,
    /// The last; of the same attempt, or the same object.
    pub to: ObjectKey,
    /// Since when.
    pub since: Timestamp,
}

impl Record for Marks {
    const COLLECTION: Collection = Collection::Marks;
    type Id = VaultRole;

    fn id(&self) -> VaultRole {
        self.vault
    }
}

impl RecordId for VaultRole {
    type Record = Marks;
}

impl Mark {
    fn keys(&self) -> Vec<ObjectKey> {
        match (self.from, self.to) {
            (ObjectKey::Pack(attempt, from), ObjectKey::Pack(same, to)) if attempt == same => {
                (from..=to).map(|n| ObjectKey::Pack(attempt, n)).collect()
            }
            (ObjectKey::Checkpoint(attempt, from), ObjectKey::Checkpoint(same, to)) if attempt == same => {
                (from..=to).map(|n| ObjectKey::Checkpoint(attempt, n)).collect()
            }
            (from, _) => vec![from],
        }
    }

    /// Whether a key is the next of this range.
    fn is_followed_by(&self, key: ObjectKey) -> bool {
        match (self.to, key) {
            (ObjectKey::Pack(a, n), ObjectKey::Pack(b, m)) => a == b && n + 1 == m,
            (ObjectKey::Checkpoint(a, n), ObjectKey::Checkpoint(b, m)) => a == b && n + 1 == m,
            _ => false,
        }
    }
}

impl Marks {
    /// Of a vault in which nothing was marked yet.
    pub fn none(vault: VaultRole) -> Self {
        Self { vault, marks: Vec::new() }
    }

    /// Each marked object, and since when.
    pub(super) fn objects(&self) -> BTreeMap<ObjectKey, Timestamp> {
        self.marks.iter().flat_map(|m| m.keys().into_iter().map(|key| (key, m.since))).collect()
    }

    /// What is garbage still keeps its mark, what is new gets one, what is needed again loses it.
    pub(super) fn renew(&self, garbage: &BTreeSet<ObjectKey>, now: Timestamp) -> Self {
        let before = self.objects();
        let mut marks: Vec<Mark> = Vec::new();
        for key in garbage {
            let since = before.get(key).copied().unwrap_or(now);
            let full = marks.len() == MARKS_MAX;
            match marks.last_mut().filter(|last| last.since == since && last.is_followed_by(*key)) {
                Some(last) => last.to = *key,
                None if full => break,
                None => marks.push(Mark { from: *key, to: *key, since }),
            }
        }
        Self { vault: self.vault, marks }
    }

    /// What was marked a grace period ago: lists before what they list.
    pub(super) fn ripe(&self, reference: Timestamp) -> Vec<ObjectKey> {
        let ripe = self.objects().into_iter().filter(|(_, since)| since.plus_s(PRUNE_GRACE_S) <= reference);
        let mut keys: Vec<ObjectKey> = ripe.map(|(key, _)| key).collect();
        keys.sort_by_key(|key| (matches!(key, ObjectKey::Pack(..)), *key));
        keys
    }
}

impl Prune {
    /// The marks of a vault, as they are.
    pub(super) async fn marks(&self, place: usize) -> Result<Versioned<Marks>> {
        let role = self.versions[place].place().role;
        let found =
            catalog::get(&*self.catalog, role).await.context(format!("read what is marked in the {role} vault"))?;
        Ok(found.unwrap_or(Versioned { value: Marks::none(role), revision: 0 }))
    }

    /// Renews the marks of a vault.
    pub(super) async fn mark(&self, place: usize, garbage: &BTreeSet<ObjectKey>, now: Timestamp) -> Result<Marks> {
        let Versioned { value: before, revision } = self.marks(place).await?;
        let marks = before.renew(garbage, now);
        if marks != before {
            let written = match revision {
                0 => catalog::insert(&*self.catalog, &marks).await,
                _ => catalog::replace(&*self.catalog, &marks, revision).await,
            };
            written.context(format!("mark what is not needed in the {} vault", before.vault))?;
        }
        Ok(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(attempt: u8, n: u32) -> ObjectKey {
        ObjectKey::Pack(format!("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f60{attempt:02x}").parse().expect("an id"), n)
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(1_795_302_000_000).plus_s(hours * 3_600)
    }

    #[test]
    fn neighbours_of_one_age_share_a_range() {
        let first: BTreeSet<_> = [pack(1, 0), pack(1, 1), pack(1, 2), pack(1, 5), pack(2, 6)].into();
        let marks = Marks::none(VaultRole::Primary).renew(&first, at(0));
        assert_eq!(marks.marks.len(), 3);
        assert_eq!(marks.objects().into_keys().collect::<BTreeSet<_>>(), first);
        // One of them is needed again, and one is new.
        let second: BTreeSet<_> = [pack(1, 0), pack(1, 2), pack(1, 3), pack(1, 5), pack(2, 6)].into();
        let renewed = marks.renew(&second, at(5));
        let ages = renewed.objects();
        assert_eq!(ages.keys().copied().collect::<BTreeSet<_>>(), second);
        assert_eq!((ages[&pack(1, 2)], ages[&pack(1, 3)]), (at(0), at(5)));
        let json = serde_json::to_string(&renewed).expect("writes");
        assert_eq!(serde_json::from_str::<Marks>(&json).expect("reads"), renewed);
    }

    #[test]
    fn what_is_marked_is_ripe_after_the_grace_period_and_not_before() {
        let marks = Marks::none(VaultRole::Primary).renew(&[pack(1, 0)].into(), at(0));
        let again = marks.renew(&[pack(1, 0), pack(1, 1)].into(), at(1));
        assert!(again.ripe(Timestamp::from_millis(at(24).as_millis() - 1)).is_empty());
        assert_eq!(again.ripe(at(24)), [pack(1, 0)]);
        assert_eq!(again.ripe(at(25)), [pack(1, 0), pack(1, 1)]);
        // Needed for a moment: it begins anew.
        let back = again.renew(&BTreeSet::new(), at(2)).renew(&[pack(1, 0)].into(), at(3));
        assert!(back.ripe(at(26)).is_empty());
    }

    #[test]
    fn lists_go_before_what_they_list_and_there_are_no_more_marks_than_fit() {
        let ObjectKey::Pack(attempt, _) = pack(1, 0) else { unreachable!() };
        let checkpoint = ObjectKey::Checkpoint(attempt, 0);
        let marks = Marks::none(VaultRole::Primary).renew(&[pack(1, 0), checkpoint].into(), at(0));
        assert_eq!(marks.ripe(at(24)), [checkpoint, pack(1, 0)]);
        let gaps: BTreeSet<_> = (0..2 * MARKS_MAX as u32 + 2).map(|n| pack(1, 2 * n)).collect();
        let marks = marks.renew(&gaps, at(1));
        assert_eq!(marks.marks.len(), MARKS_MAX);
        assert!(serde_json::to_string(&marks).expect("writes").len() < 380 * 1024, "it fits into one record");
    }
}
