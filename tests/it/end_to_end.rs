//! The whole story over the real functions, the real templates and the local AWS: what `make demo` shows, required.

use crate::postgres::{checkout, succeeded, tools};
use std::process::Command;

#[test]
fn a_scheduled_backup_outlives_the_loss_of_its_region_and_of_the_catalog() {
    for zip in [
        "api/bootstrap",
        "backup/bootstrap",
        "replicate/bootstrap",
        "restore/bootstrap",
        "prune/bootstrap",
        "verify/bootstrap",
        "drill/bootstrap",
        "watch/bootstrap",
        "rotate/bootstrap",
        "notify/bootstrap",
        "pg-client",
        "pg-server",
    ] {
        let zip = checkout("target/lambda").join(format!("{zip}.zip"));
        assert!(zip.exists(), "{} is missing; run `make build`", zip.display());
    }
    let folder = tempfile::Builder::new().prefix("backup-demo-").tempdir().expect("make a folder");
    let mut demo = Command::new(tools().join("bin/python"));
    // The tools and the zips are there: `make test` made them.
    demo.arg(checkout("infra/local/demo"))
        .args(["--mb", "50"])
        .env("DEMO_TOOLS", "installed")
        .env("BACKUP_LOCAL_DIR", folder.path());
    let said = succeeded(&demo.output().expect("run infra/local/demo"), "the demo");
    assert!(said.contains("\nidentical"), "{said}");
}
