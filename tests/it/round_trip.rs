//! Backup, replication and restore of a real PostgreSQL, with vaults in memory.

use crate::deployment::{Deployment, server_with};
use engine::catalog::{Phase, Status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_project_comes_back_identical_from_the_third_region_alone() {
    let (server, source) = server_with("source");
    server.load_sample("source", 50);
    let deployment = Deployment::new(1);
    let committed = deployment.back_up(&source).await.expect("backs up");
    assert_eq!((committed.status, committed.phase), (Status::InProgress, Phase::Replicating));

    deployment.replicate().snapshot(committed.id).await.expect("replicates");
    let record = engine::ops::backup::record(&*deployment.world.catalog, committed.id).await.expect("a record");
    assert_eq!((record.status, record.progress.percent), (Status::Completed, 100));

    let target = server.create("target");
    let restored = deployment.restore_newest(2, &target).await.expect("restores");
    assert_eq!(restored.rows, record.summary.expect("a summary").rows);
    server.require_identical("source", "target");
}
