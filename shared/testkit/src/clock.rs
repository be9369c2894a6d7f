//! A clock that is moved by hand, or that moves itself when everybody waits for it.

use crate::lock;
use engine::clock::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where the clock of a test stands first: 2026-11-22T03:00:00Z.
pub fn start() -> Timestamp {
    Timestamp::from_millis(1_795_316_400_000)
}

/// How many turns a sleeper of a stepping clock leaves to the others, while none of them falls asleep or awakes, before it takes it that
/// they wait for it.
const PATIENCE: u32 = 64;

/// A clock for tests. Time stands still but for what moves it.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<State>>,
    steps: bool,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    /// Who sleeps until when.
    sleepers: BTreeMap<(Timestamp, u64), ()>,
    /// How often anybody fell asleep or awoke.
    changes: u64,
}

impl ManualClock {
    /// One that moves only by [`Self::advance`]: who sleeps waits for that.
    pub fn held() -> Self {
        Self::new(false)
    }

    /// One that moves to the end of the shortest sleep once the tasks that do not sleep had many turns. A sleep takes no
    /// real time, and the sleepers awake in the right order.
    pub fn stepping() -> Self {
        Self::new(true)
    }

    fn new(steps: bool) -> Self {
        let state = State { now: start(), sleepers: BTreeMap::new(), changes: 0 };
        Self { state: Arc::new(Mutex::new(state)), steps }
    }

    /// Moves the time on.
    pub fn advance(&self, duration: Duration) {
        let mut state = lock(&self.state);
        state.now = after(state.now, duration);
    }

    /// Sets the time, also back: clocks of real machines jump.
    pub fn set(&self, now: Timestamp) {
        lock(&self.state).now = now;
    }

    /// Moves the time to the deadline, if nobody sleeps for less.
    fn step(&self, deadline: Timestamp, number: u64) {
        let mut state = lock(&self.state);
        if state.sleepers.keys().next() == Some(&(deadline, number)) {
            state.now = state.now.max(deadline);
        }
    }
}

#[async_trait::async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        lock(&self.state).now
    }

    async fn sleep(&self, duration: Duration) {
        let sleep = Sleep::begin(&self.state, duration);
        let (mut turns, mut seen) = (0, 0);
        while self.now() < sleep.deadline {
            let changes = lock(&self.state).changes;
            turns = if changes == seen { turns + 1 } else { 0 };
            seen = changes;
            if self.steps && turns >= PATIENCE {
                self.step(sleep.deadline, sleep.number);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// A sleep that is forgotten when it ends or is given up.
struct Sleep {
    state: Arc<Mutex<State>>,
    deadline: Timestamp,
    number: u64,
}

impl Sleep {
    fn begin(state: &Arc<Mutex<State>>, duration: Duration) -> Self {
        let mut guard = lock(state);
        let (deadline, number) = (after(guard.now, duration), guard.changes);
        guard.changes += 1;
        guard.sleepers.insert((deadline, number), ());
        Self { state: Arc::clone(state), deadline, number }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.sleepers.remove(&(self.deadline, self.number));
        state.changes += 1;
    }
}

fn after(now: Timestamp, duration: Duration) -> Timestamp {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_add(millis))
}

/// A clock that moves whenever it is looked at: work takes time.
#[derive(Clone, Debug)]
pub struct SlowClock {
    clock: Arc<ManualClock>,
    look: Duration,
}

impl SlowClock {
    /// Over a clock that others look at too.
    pub fn new(clock: Arc<ManualClock>, look: Duration) -> Self {
        Self { clock, look }
    }
}

#[async_trait::async_trait]
impl Clock for SlowClock {
    fn now(&self) -> Timestamp {
        self.clock.advance(self.look);
        self.clock.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_of_a_stepping_clock_awake_in_order_and_at_once() {
        let clock = ManualClock::stepping();
        let order = Mutex::new(Vec::new());
        let sleep = async |seconds| {
            clock.sleep(Duration::from_secs(seconds)).await;
            lock(&order).push((seconds, clock.now().since(start())));
        };
        futures::future::join3(sleep(30), sleep(10), sleep(20)).await;
        assert_eq!(*lock(&order), [(10, 10_000), (20, 20_000), (30, 30_000)]);
    }

    #[tokio::test]
    async fn a_held_clock_stands_until_it_is_moved() {
        let clock = ManualClock::held();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(60)).await }
        });
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert!(!sleeper.is_finished());
        assert_eq!(clock.now(), start());
        clock.advance(Duration::from_secs(60));
        sleeper.await.expect("awakes");
    }

    #[tokio::test]
    async fn a_sleep_that_is_given_up_holds_nobody_back() {
        let clock = ManualClock::stepping();
        let short = clock.sleep(Duration::from_secs(1));
        drop(short);
        let (mut given_up, other) = (clock.sleep(Duration::from_secs(1)), clock.clone());
        assert!(futures::poll!(&mut given_up).is_pending());
        drop(given_up);
        other.sleep(Duration::from_secs(5)).await;
        assert_eq!(clock.now().since(start()), 5_000);
    }
}
