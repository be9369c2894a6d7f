//! Conditions that bite without a rewind: what happens between two backups of one cluster.

use super::doctored::Condition;
use super::{History, require_right, require_wrong};

/// Rows that are all written by one transaction, in several blocks.
const TABLE: &str = "create table t as select g as id, md5(g::text) as note from generate_series(1, 2000) as g";

async fn between_two_backups(condition: Condition, tables: &str, change: &str) {
    for hidden in [&[][..], &[condition]] {
        let history = History::begin(hidden, &[], tables);
        history.back_up().await;
        history.sql(change);
        let record = history.back_up().await;
        let wrong = history.wrong(&record).await;
        match hidden {
            [] => require_right(wrong.as_deref()),
            hidden => require_wrong(wrong.as_deref(), hidden),
        }
    }
}

#[tokio::test]
async fn a_table_is_copied_again_when_its_rows_were_put_in_another_order() {
    let tables = format!("{TABLE}; create index i on t (id desc)");
    between_two_backups(Condition::File, &tables, "cluster t using i").await;
}

#[tokio::test]
async fn a_table_is_copied_again_when_a_column_was_added_that_no_row_holds() {
    between_two_backups(Condition::Definition, TABLE, "alter table t add column added text default 'x'").await;
}

#[tokio::test]
async fn a_table_is_copied_again_when_a_value_of_its_enum_was_renamed() {
    let tables = "create type mood as enum ('glad', 'sad');
        create table t as select g as id, 'glad'::mood as mood from generate_series(1, 2000) as g";
    between_two_backups(Condition::Definition, tables, "alter type mood rename value 'glad' to 'happy'").await;
}

#[tokio::test]
async fn a_table_that_names_other_objects_is_copied_in_every_backup() {
    let tables = "create table other (); create table t as select g as id, 'other'::regclass as names from generate_series(1, 2000) as g";
    between_two_backups(Condition::Steadiness, tables, "alter table other rename to another").await;
}
