//! Each condition of reuse, against a real PostgreSQL: what would be taken for unchanged without it, and that with it nothing is.
//!
//! Every history runs twice. The product's own backup must be right; a backup whose source hides one condition must be wrong,
//! or else the history would not show that the condition is needed.

mod conditions;
mod doctored;
mod rewinds;

use crate::deployment::Deployment;
use crate::postgres::Postgres;
use doctored::{Condition, Doctored};
use engine::catalog::SnapshotRecord;
use engine::ops::restore::Selection;

const DATABASE: &str = "app";

/// A server whose history is written here, and the backups of its database.
struct History {
    server: Postgres,
    deployment: Deployment,
    doctored: Doctored,
}

impl History {
    /// A database that remembers its backups, with `tables`, on a server where nobody else begins a transaction.
    fn begin(hidden: &[Condition], settings: &[&str], tables: &str) -> Self {
        let server = Postgres::start();
        for setting in ["autovacuum = off", "synchronous_commit = on"].iter().chain(settings) {
            server.sql("postgres", &format!("alter system set {setting}"));
        }
        server.stop();
        server.start_again();
        server.create(DATABASE);
        server.remember(DATABASE);
        server.sql(DATABASE, tables);
        let mut deployment = Deployment::new(1);
        deployment.settings.segment_blocks = 1;
        Self { server, deployment, doctored: Doctored::hiding(hidden) }
    }

    fn sql(&self, statements: &str) -> String {
        self.server.sql(DATABASE, statements)
    }

    async fn back_up(&self) -> SnapshotRecord {
        self.back_up_server(&self.server).await
    }

    async fn back_up_server(&self, server: &Postgres) -> SnapshotRecord {
        let mut backup = self.deployment.backup(&server.database(DATABASE));
        backup.source = self.doctored.source(backup.source);
        self.deployment.run(backup).await.expect("backs up")
    }

    /// What is wrong with the newest backup, if anything is.
    async fn wrong(&self, record: &SnapshotRecord) -> Option<String> {
        self.wrong_of(&self.server, record).await
    }

    async fn wrong_of(&self, server: &Postgres, record: &SnapshotRecord) -> Option<String> {
        if let Some(warning) = record.warnings.iter().find(|w| w.code == "sample_differs") {
            return Some(warning.message.clone());
        }
        let url = server.create("restored");
        if let Err(error) = self.deployment.restore(0, &url).run(Selection::Snapshot(record.id)).await {
            return Some(error.to_string());
        }
        let rows = |database| server.sql(database, "select t::text from t order by 1");
        let differs = rows("restored") != rows(DATABASE);
        server.sql("postgres", "drop database restored with (force)");
        differs.then(|| "the restored rows are not those of the source".to_owned())
    }
}

/// Says how the history is the one it is meant to be.
fn require_right(wrong: Option<&str>) {
    assert_eq!(wrong, None, "an honest source");
}

fn require_wrong(wrong: Option<&str>, hidden: &[Condition]) {
    assert!(
        wrong.is_some(),
        "the backup is right although {hidden:?} is hidden: the history does not show that it is needed"
    );
}
