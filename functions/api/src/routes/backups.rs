//! Backups: list, look, ask for one, stop one, keep one.

use super::{fresh, retry_after_s};
use crate::answer::{BackupPage, BackupRequest, BackupStatus, PinRequest, TableList};
use crate::extract::{Id, Json, NoBody, Parameters};
use crate::house::{Api, required};
use crate::page::Paging;
use crate::person::Right;
use crate::problem::{LaterProblems, OneProblems, Problem, ReadProblems, WriteProblems};
use crate::request::{Caller, Viewer};
use crate::write::{Done, Key, Write, chosen, write};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::catalog::{self, Pin, SnapshotRecord, Status, Trigger};
use engine::contents::ContentsId;
use engine::error::Error;
use engine::id::SnapshotId;
use engine::ops::backup::{self, Asked};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// The longest name of what is backed up.
const SOURCE_CHARS_MAX: usize = 200;
const NOTE_CHARS_MAX: usize = 500;

/// Which backups are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// At most so many.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// The `nextCursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// Only of this status. A page may then be shorter than `limit`, or empty, and still have a `nextCursor`.
    #[param(inline)]
    status: Option<Status>,
    /// Only of this source, or of this part of it.
    #[param(max_length = 200)]
    source: Option<String>,
}

/// Backups, newest first. Any role may.
#[utoipa::path(operation_id = "listBackups", get, path = "/v1/backups", tag = "backups", params(Filter),
    responses((status = 200, body = BackupPage), ReadProblems))]
pub(crate) async fn list(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Parameters(filter): Parameters<Filter>,
) -> Result<axum::Json<BackupPage>, Problem> {
    let Filter { limit, cursor, status, source } = filter;
    if source.as_ref().is_some_and(|source| source.chars().count() > SOURCE_CHARS_MAX) {
        return Err(Problem::bad_request(format!("`source` may have {SOURCE_CHARS_MAX} characters")));
    }
    let paging = Paging::new(limit, cursor);
    let page = if status.is_none() && source.is_none() {
        paging.of::<SnapshotRecord>(&*api.catalog).await?
    } else {
        let is_of = |r: &SnapshotRecord, source: &String| r.source == *source || r.part.as_ref() == Some(source);
        let choose = |r: &SnapshotRecord| {
            status.is_none_or(|status| r.status == status) && source.as_ref().is_none_or(|source| is_of(r, source))
        };
        paging.chosen(&*api.catalog, choose).await?
    };
    let now = api.clock.now();
    let backups = page.records.into_iter().map(|record| BackupStatus::of(record, &api.house.retention, now)).collect();
    Ok(axum::Json(BackupPage { backups, next_cursor: page.next_cursor }))
}

/// One backup. While it runs, `Retry-After` says when to ask again; with `If-None-Match` an answer that has not changed is not sent again. Any role may.
#[utoipa::path(operation_id = "getBackup", get, path = "/v1/backups/{id}", tag = "backups",
    params(("id" = SnapshotId, Path, description = "Its id.")),
    responses((status = 200, body = BackupStatus, headers(("etag" = String), ("retry-after" = u32, description = "Seconds."))),
        (status = 304, description = "It has not changed."), OneProblems))]
pub(crate) async fn one(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Id(id): Id<SnapshotId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = backup::record(&*api.catalog, id).await?;
    let now = api.clock.now();
    let again = (!record.is_settled()).then(|| retry_after_s(record.started_at, now));
    fresh(&headers, &BackupStatus::of(record, &api.house.retention, now), again)
}

/// What is inside a backup: tables with their rows and bytes, buckets, and what became of each part of the source. Any role may.
#[utoipa::path(operation_id = "listTables", get, path = "/v1/backups/{id}/tables", tag = "backups",
    params(("id" = SnapshotId, Path, description = "Its id.")),
    responses((status = 200, body = TableList, headers(("etag" = String))), (status = 304, description = "It has not changed."),
        LaterProblems))]
pub(crate) async fn tables(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Id(id): Id<SnapshotId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let contents = catalog::get(&*api.catalog, ContentsId(id)).await?;
    match contents {
        Some(contents) => fresh(&headers, &TableList::from(contents.value), None),
        None => {
            let record = backup::record(&*api.catalog, id).await?;
            let why = match record.summary {
                None => "it is not made yet, or failed",
                Some(_) => "the catalog was rebuilt since; `verify` lists it again within a day",
            };
            Err(Error::conflict(format!("what is inside backup {id} is not known: {why}")).into())
        }
    }
}

/// Asks for a backup: of what is due without a body, or of a part. Follow it at `Location`. `operator` and `admin` may.
#[utoipa::path(operation_id = "requestBackup", post, path = "/v1/backups", tag = "backups", request_body(content = Option<BackupRequest>, description = "What; whatever is due without."),
    params(Key),
    responses((status = 202, body = BackupStatus, headers(("location" = String))), WriteProblems))]
pub(crate) async fn request(
    caller: Caller,
    key: Key,
    State(api): State<Arc<Api>>,
    Json(body): Json<BackupRequest>,
) -> Result<Response, Problem> {
    if let Some(BackupRequest { source }) = &body {
        let right = |c: char| matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}');
        if !(1..=SOURCE_CHARS_MAX).contains(&source.chars().count()) || !source.chars().all(right) {
            return Err(Problem::bad_request(format!(
                "`source` must have 1 to {SOURCE_CHARS_MAX} characters that can be seen"
            )));
        }
    }
    let part = body.as_ref().map(|b| b.source.clone());
    let what = Write {
        action: "backup.request",
        right: caller.person.require(Right::Operate),
        on: None,
        detail: part.clone(),
        body: &body,
    };
    write(&api, &caller, &key, what, async |makes| {
        let queue = required(&api.backups)?;
        let now = api.clock.now();
        let (id, by) = (chosen::<SnapshotId>(makes)?, caller.person.id.as_str());
        let asked = Asked { id, source: &api.house.source, trigger: Trigger::Manual, part, by };
        let record = backup::request(&*api.catalog, queue, &api.house.places, asked, now).await?;
        Ok(Done::accepted(format!("/v1/backups/{id}"), BackupStatus::of(record, &api.house.retention, now)))
    })
    .await
}

/// Stops a backup that is not whole in the primary vault yet. `operator` and `admin` may.
#[utoipa::path(operation_id = "cancelBackup", post, path = "/v1/backups/{id}/cancel", tag = "backups",
    params(("id" = SnapshotId, Path, description = "Its id."),
        Key),
    responses((status = 200, body = BackupStatus), WriteProblems))]
pub(crate) async fn cancel(
    caller: Caller,
    key: Key,
    State(api): State<Arc<Api>>,
    Id(id): Id<SnapshotId>,
    _: NoBody,
) -> Result<Response, Problem> {
    let what = Write {
        action: "backup.cancel",
        right: caller.person.require(Right::Operate),
        on: Some(id.to_string()),
        detail: None,
        body: &(),
    };
    write(&api, &caller, &key, what, async |_| {
        let now = api.clock.now();
        let record = backup::cancel(&*api.catalog, id, &caller.person.id, now).await?;
        Ok(Done::ok(BackupStatus::of(record, &api.house.retention, now)))
    })
    .await
}

/// Keeps a backup whatever the policy says, or no longer. Where it was sealed again under another key, that one is answered. `admin` may.
#[utoipa::path(operation_id = "pinBackup", post, path = "/v1/backups/{id}/pin", tag = "backups", request_body = PinRequest,
    params(("id" = SnapshotId, Path, description = "Its id."),
        Key),
    responses((status = 200, body = BackupStatus), WriteProblems))]
pub(crate) async fn pin(
    caller: Caller,
    key: Key,
    State(api): State<Arc<Api>>,
    Id(id): Id<SnapshotId>,
    Json(body): Json<PinRequest>,
) -> Result<Response, Problem> {
    let body = body.ok_or_else(|| Problem::bad_request("the body is missing, such as {\"pinned\":true}"))?;
    if body.note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX) {
        return Err(Problem::bad_request(format!("`note` may have {NOTE_CHARS_MAX} characters")));
    }
    let what = Write {
        action: if body.pinned { "backup.pin" } else { "backup.unpin" },
        right: caller.person.require(Right::Administer),
        on: Some(id.to_string()),
        detail: body.note.clone(),
        body: &body,
    };
    write(&api, &caller, &key, what, async |_| {
        let now = api.clock.now();
        let pin = body.pinned.then(|| Pin { at: now, note: body.note.clone() });
        let record = backup::pin(&*api.catalog, id, pin).await?;
        Ok(Done::ok(BackupStatus::of(record, &api.house.retention, now)))
    })
    .await
}
