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
}
