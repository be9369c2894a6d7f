//! Cleanups: list, look, say what one would remove, ask for one.

use super::{fresh, retry_after_s};
use crate::answer::{CleanupPage, CleanupPlan, CleanupRequest, CleanupStatus};
use crate::extract::{Id, Json, Parameters};
use crate::house::{Api, required};
use crate::page::Paging;
use crate::person::Right;
use crate::problem::{OneProblems, Problem, ReadProblems, WriteProblems};
use crate::request::{Caller, Viewer};
use crate::write::{Done, Key, Write, chosen, count, write};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use engine::id::PruneId;
use engine::ops::prune::{self, PruneRecord};
use std::sync::Arc;

/// Cleanups, those of the schedule too, newest first. Any role may.
#[utoipa::path(operation_id = "listCleanups", get, path = "/v1/cleanups", tag = "cleanups", params(Paging),
    responses((status = 200, body = CleanupPage), ReadProblems))]
pub(crate) async fn list(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Parameters(paging): Parameters<Paging>,
) -> Result<axum::Json<CleanupPage>, Problem> {
    let page = paging.of::<PruneRecord>(&*api.catalog).await?;
    let now = api.clock.now();
    let cleanups = page.records.into_iter().map(|record| CleanupStatus::of(record, now)).collect();
    Ok(axum::Json(CleanupPage { cleanups, next_cursor: page.next_cursor }))
}

/// One cleanup. Any role may.
#[utoipa::path(operation_id = "getCleanup", get, path = "/v1/cleanups/{id}", tag = "cleanups",
    params(("id" = PruneId, Path, description = "Its id.")),
    responses((status = 200, body = CleanupStatus, headers(("etag" = String), ("retry-after" = u32, description = "Seconds."))),
        (status = 304, description = "It has not changed."), OneProblems))]
pub(crate) async fn one(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Id(id): Id<PruneId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = prune::record(&*api.catalog, id).await?;
    let now = api.clock.now();
    let again = (!record.is_over()).then(|| retry_after_s(record.started_at, now));
    fresh(&headers, &CleanupStatus::of(record, now), again)
}

/// Lets go what the policy does not keep, or with `dryRun` only says what that is. Follow it at `Location`. A dry run is answered
/// anew each time, whatever its key. `admin` may.
#[utoipa::path(operation_id = "requestCleanup", post, path = "/v1/cleanup", tag = "cleanups", request_body(content = Option<CleanupRequest>, description = "Whether it is a dry run."),
    params(Key),
    responses((status = 200, description = "What it would remove.", body = CleanupPlan),
        (status = 202, body = CleanupStatus, headers(("location" = String))), WriteProblems))]
pub(crate) async fn request(
    caller: Caller,
    key: Key,
    State(api): State<Arc<Api>>,
    Json(body): Json<CleanupRequest>,
) -> Result<Response, Problem> {
    let body = body.unwrap_or_default();
    let (now, policy) = (api.clock.now(), api.house.retention);
    let right = caller.person.require(Right::Administer);
    if body.dry_run {
        // It changes nothing, and is answered anew each time.
        key.required()?;
        count(&api, &caller).await?;
        right?;
        let plan = prune::forecast(&*api.catalog, &policy, now).await?;
        return Ok(axum::Json(CleanupPlan::of(policy, plan)).into_response());
    }
    let what = Write { action: "cleanup.request", right, on: None, detail: None, body: &body };
    write(&api, &caller, &key, what, async |makes| {
        let queue = required(&api.prunes)?;
        let id = chosen::<PruneId>(makes)?;
        let record = prune::request(&*api.catalog, queue, id, policy, &caller.person.id, now).await?;
        Ok(Done::accepted(format!("/v1/cleanups/{id}"), CleanupStatus::of(record, now)))
    })
    .await
}
