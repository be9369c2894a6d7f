//! A script of faults over one count of all calls to all ports of a world.
//!
//! The loop that it is made for: run once and count the calls; then for each number, fail that call before its effect, after
//! its effect, and for good; run again without faults; require the same end state.

use crate::ManualClock;
use crate::lock;
use engine::clock::Clock;
use engine::error::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Instead of its effect.
    BeforeEffect,
    /// Although it had its effect: the answer is lost.
    AfterEffect,
    /// Instead of its effect, and so do all later ones.
    ForGood,
}

impl When {
    /// All of them, for loops.
    pub const ALL: [Self; 3] = [Self::BeforeEffect, Self::AfterEffect, Self::ForGood];
}

/// One call that was made to a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number, from 1.
    pub step: u64,
    /// Which port, such as `primary vault`, `keys eu-west-1` or `catalog`.
    pub service: String,
    /// The port's method, such as `put`.
    pub operation: &'static str,
    /// What it was about: an object's key, an id, a name.
    pub key: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} {} {}", self.step, self.service, self.operation, self.key)
    }
}

/// What fails, and what was called.
#[derive(Clone, Debug, Default)]
pub struct FaultScript(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    calls: Vec<Call>,
    armed: Vec<(u64, When, ErrorKind)>,
    broken: Vec<(String, ErrorKind)>,
    slow: Vec<(String, ManualClock, Duration)>,
    fired: u64,
}

impl FaultScript {
    /// Without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the call of that number fail. The first call of a world has the number 1.
    pub fn arm(&self, step: u64, when: When, kind: ErrorKind) {
        lock(&self.0).armed.push((step, when, kind));
    }

    /// Lets every call of a service fail: a region that is down, a key that is disabled.
    pub fn break_service(&self, service: &str, kind: ErrorKind) {
        lock(&self.0).broken.push((service.to_owned(), kind));
    }

    /// Lets every call of a service take so long.
    pub fn take_time(&self, service: &str, clock: &ManualClock, duration: Duration) {
        lock(&self.0).slow.push((service.to_owned(), clock.clone(), duration));
    }

    /// Ends all faults. The count goes on.
    pub fn heal(&self) {
        let mut script = lock(&self.0);
        script.armed.clear();
        script.broken.clear();
    }

    /// How many calls were made.
    pub fn steps(&self) -> u64 {
        lock(&self.0).calls.len() as u64
    }

    /// How many calls failed by this script.
    pub fn fired(&self) -> u64 {
        lock(&self.0).fired
    }

    /// The calls, in the order in which they were made.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0).calls.clone()
    }

    /// How many calls of an operation were made, of all services.
    pub fn count(&self, operation: &str) -> usize {
        lock(&self.0).calls.iter().filter(|c| c.operation == operation).count()
    }

    /// One call of a port. Others get their turn before it, as they would while a real one is on its way.
    ///
    /// # Errors
    /// Those that the script says, and those of the effect.
    pub async fn call<T>(
        &self,
        service: &str,
        operation: &'static str,
        key: impl fmt::Display + Send,
        effect: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let key = key.to_string();
        tokio::task::yield_now().await;
        let slow = lock(&self.0).slow.iter().find(|(s, ..)| s == service).cloned();
        if let Some((_, clock, duration)) = slow {
            clock.sleep(duration).await;
        }
        let step = self.begin(service, operation, key)?;
        let result = effect()?;
        self.end(step)?;
        Ok(result)
    }

    /// Records a call, and gives its number. For ports whose effect cannot be given to [`Self::call`] as a closure.
    ///
    /// # Errors
    /// Those that are to happen before the effect.
    pub fn begin(&self, service: &str, operation: &'static str, key: String) -> Result<u64> {
        let mut script = lock(&self.0);
        let step = script.calls.len() as u64 + 1;
        script.calls.push(Call { step, service: service.to_owned(), operation, key });
        let broken = script.broken.iter().find(|(s, _)| s == service).map(|(_, kind)| *kind);
        let armed = script.armed.iter().find(|(at, when, _)| match when {
            When::BeforeEffect => *at == step,
            When::ForGood => *at <= step,
            When::AfterEffect => false,
        });
        match broken.or(armed.map(|(_, _, kind)| *kind)) {
            Some(kind) => Err(script.fire(step, kind, "before its effect")),
            None => Ok(step),
        }
    }

    /// Ends a call that had its effect.
    ///
    /// # Errors
    /// Those that are to happen after the effect.
    pub fn end(&self, step: u64) -> Result<()> {
        let mut script = lock(&self.0);
        let armed = script.armed.iter().find(|(at, when, _)| *when == When::AfterEffect && *at == step);
        match armed.map(|(_, _, kind)| *kind) {
            Some(kind) => Err(script.fire(step, kind, "after its effect")),
            None => Ok(()),
        }
    }
}

impl Script {
    fn fire(&mut self, step: u64, kind: ErrorKind, when: &str) -> Error {
        self.fired += 1;
        let call =
            usize::try_from(step - 1).ok().and_then(|i| self.calls.get(i)).map(ToString::to_string).unwrap_or_default();
        Error::new(kind, format!("fault {when}: {call}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    async fn three_calls(script: &FaultScript) -> (Vec<bool>, u32) {
        let (effects, mut answered) = (AtomicU32::new(0), Vec::new());
        for key in ["a", "b", "c"] {
            let effect = || Ok(effects.fetch_add(1, Ordering::Relaxed));
            answered.push(script.call("port", "do", key, effect).await.is_ok());
        }
        (answered, effects.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn each_moment_fails_what_it_says() {
        for (when, answered, effects) in [
            (When::BeforeEffect, [true, false, true], 2),
            (When::AfterEffect, [true, false, true], 3),
            (When::ForGood, [true, false, false], 1),
        ] {
            let script = FaultScript::new();
            script.arm(2, when, ErrorKind::Unavailable);
            assert_eq!(three_calls(&script).await, (answered.to_vec(), effects), "{when:?}");
            assert_eq!((script.steps(), script.fired()), (3, answered.iter().filter(|a| !**a).count() as u64));
            script.heal();
            assert_eq!(three_calls(&script).await, (vec![true; 3], 3), "{when:?}, healed");
            assert_eq!(script.steps(), 6);
        }
    }

    #[tokio::test]
    async fn a_broken_service_fails_alone_and_every_call_is_recorded() {
        let script = FaultScript::new();
        script.break_service("one", ErrorKind::Denied);
        let e = script.call("one", "do", "x", || Ok(())).await.expect_err("broken");
        assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Denied, "fault before its effect: #1 one do x"));
        script.call("other", "do", "y", || Ok(())).await.expect("works");
        let calls: Vec<String> = script.calls().iter().map(ToString::to_string).collect();
        assert_eq!(calls, ["#1 one do x", "#2 other do y"]);
        assert_eq!(script.count("do"), 2);
    }
}
