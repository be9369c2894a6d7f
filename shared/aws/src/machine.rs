//! The machine's time and randomness.

use engine::clock::{Clock, Entropy, Timestamp};
use engine::error::{Error, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time of day of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// When the platform will stop this invocation, by what it says in milliseconds since 1970. A deadline that has passed at the start
/// (a developer's emulator sends one of 1970) is no deadline.
pub fn deadline(said_ms: u64, now: Timestamp) -> Option<Timestamp> {
    let deadline = i64::try_from(said_ms).ok().map(Timestamp::from_millis)?;
    (deadline > now).then_some(deadline)
}

/// The randomness of this machine, fit for keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| Error::internal("the machine has no randomness to give"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_shows_this_century() {
        assert!(SystemClock.now().to_string().starts_with("20"), "{}", SystemClock.now());
    }

    #[test]
    fn randomness_does_not_repeat() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        SystemEntropy.fill(&mut one).expect("fills");
        SystemEntropy.fill(&mut other).expect("fills");
        assert_ne!(one, other);
        assert_ne!(one, [0; 32]);
    }

    #[test]
    fn a_deadline_that_has_passed_at_the_start_is_unknown() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(deadline(600_000, now), None);
        assert_eq!(deadline(1_800_000_900_000, now), Some(Timestamp::from_millis(1_800_000_900_000)));
    }
}
