//! How far a backup or a restore is, as it is told while it runs: late by a second at most.

use super::*;
use std::collections::BTreeSet;

/// A port at work takes so long,
const WORK: Duration = Duration::from_millis(150);
/// and the catalog.
const CATALOG: Duration = Duration::from_millis(30);
const LOOK_MS: u64 = 50;
const LATE_MS: i64 = 1_000;
const LOOKS_MAX: usize = 10_000;

/// What was done, and what was told of it, at some moments.
#[derive(Default)]
struct Seen(Vec<(Timestamp, u64, u64)>);

impl Seen {
    /// Looks again and again until the work is over.
    async fn while_it_works<T>(
        &mut self,
        scene: &Scene,
        work: impl Future<Output = T>,
        look: impl AsyncFn() -> (u64, u64),
    ) -> T {
        scene.world.faults.take_time("catalog", &scene.world.clock, CATALOG);
        for service in ["source", "target", "primary vault"] {
            scene.world.faults.take_time(service, &scene.world.clock, WORK);
        }
        let looks = async {
            loop {
                scene.world.clock.sleep(Duration::from_millis(LOOK_MS)).await;
                let (done, told) = look().await;
                self.0.push((scene.now(), done, told));
                assert!(self.0.len() < LOOKS_MAX, "it does not end: {:?}", self.0.last());
            }
        };
        tokio::select! {
            ended = work => ended,
            never = looks => never,
        }
    }

    fn require_at_most_a_second(&self) {
        let last = self.0.last().expect("it was looked at");
        assert!(last.0.since(self.0[0].0) > 5 * LATE_MS, "it was over too soon to tell anything");
        assert!(last.1 > self.0[0].1 && last.2 > self.0[0].2, "nothing was done, or nothing told");
        let mut musts = BTreeSet::new();
        for (at, _, told) in &self.0 {
            let before = self.0.iter().filter(|(then, ..)| at.since(*then) >= LATE_MS).map(|(_, done, _)| *done);
            let must = before.max().unwrap_or(0);
            assert!(*told >= must, "at {at} {told} are told, and {must} were done a second before");
            musts.insert(must);
        }
        assert!(musts.len() > 2, "it was all one step: {musts:?}");
    }
}

#[tokio::test]
async fn what_a_backup_read_is_told_within_a_second() {
    let scene = large_scene();
    let id = scene.new_id();
    scene.ask(id).await.expect("asks");
    let order = scene.world.queue.take().expect("an order");
    let mut seen = Seen::default();
    let look = async || {
        let copies = scene.world.faults.count("copy") as u64;
        // The last one may not be sealed yet.
        (copies.saturating_sub(1), scene.record_of(id).await.progress.segments.segments_copied)
    };
    let made = seen.while_it_works(&scene, scene.run(order, None), look).await;
    assert!(matches!(made, Ok(BackupOutcome::Committed(_))), "{made:?}");
    seen.require_at_most_a_second();
}

#[tokio::test]
async fn what_a_restore_loaded_is_told_within_a_second() {
    let scene = large_scene();
    let good = scene.good().await;
    let id = restore_id(&scene);
    scene.ask_restore(id, &wish(Wanted::Backup(good), Environment::Staging)).await.expect("asks");
    let order = scene.world.restores.take().expect("an order");
    let target = MemoryTarget::new(scene.world.faults.clone());
    let mut seen = Seen::default();
    let look = async || {
        let loaded: usize = target.rows().values().map(Vec::len).sum();
        (loaded as u64, scene.restore_record(id).await.progress.rows)
    };
    let done = seen.while_it_works(&scene, scene.take_up(order, &target, None), look).await;
    assert!(matches!(done, Ok(RestoreOutcome::Settled(record)) if record.status == Status::Completed));
    seen.require_at_most_a_second();
}
