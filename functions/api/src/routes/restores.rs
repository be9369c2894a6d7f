//! Restores: list, look, say what one would do, ask for one, consent to one, stop one.

use super::{fresh, retry_after_s};
use crate::answer::{RestorePage, RestoreRequest, RestoreStatus};
use crate::extract::{Id, Json, NoBody, Parameters};
use crate::house::{Api, required};
use crate::page::Paging;
use crate::person::Right;
use crate::problem::{OneProblems, Problem, ReadProblems, WriteProblems};
use crate::request::{Caller, Viewer};
use crate::write::{Done, Key, Write, chosen, count, write};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::id::RestoreId;
use engine::ops::restore::{self, RestorePlan, RestoreRecord};
use std::sync::Arc;

const REGION_CHARS_MAX: usize = 40;
const CONFIRMATION_CHARS_MAX: usize = 200;

/// Restores, newest first. Any role may.
#[utoipa::path(operation_id = "listRestores", get, path = "/v1/restores", tag = "restores", params(Paging),
    responses((status = 200, body = RestorePage), ReadProblems))]
pub(crate) async fn list(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Parameters(paging): Parameters<Paging>,
) -> Result<axum::Json<RestorePage>, Problem> {
    let page = paging.of::<RestoreRecord>(&*api.catalog).await?;
    let now = api.clock.now();
    let restores = page.records.into_iter().map(|record| RestoreStatus::of(record, now)).collect();
    Ok(axum::Json(RestorePage { restores, next_cursor: page.next_cursor }))
}

/// One restore. While it runs, `Retry-After` says when to ask again. Any role may.
#[utoipa::path(operation_id = "getRestore", get, path = "/v1/restores/{id}", tag = "restores",
    params(("id" = RestoreId, Path, description = "Its id.")),
    responses((status = 200, body = RestoreStatus, headers(("etag" = String), ("retry-after" = u32, description = "Seconds."))),
        (status = 304, description = "It has not changed."), OneProblems))]
pub(crate) async fn one(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Id(id): Id<RestoreId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = restore::record(&*api.catalog, id).await?;
    let now = api.clock.now();
    let again = (!record.is_settled()).then(|| retry_after_s(record.started_at, now));
    fresh(&headers, &RestoreStatus::of(record, now), again)
}

/// Asks for a restore, or with `dryRun` only what it would do. Follow it at `Location`. A dry run is answered
/// anew each time, whatever its key. Into development and staging `operator` and `admin` may; into
/// production `restorer`, signed in with a second factor.
#[utoipa::path(operation_id = "requestRestore", post, path = "/v1/restores", tag = "restores", request_body = RestoreRequest,
    params(Key),
    responses((status = 200, description = "What it would do.", body = RestorePlan),
        (status = 202, body = RestoreStatus, headers(("location" = String))), WriteProblems))]
pub(crate) async fn request(
    caller: Caller,
    key: Key,
    State(api): State<Arc<Api>>,
    Json(body): Json<RestoreRequest>,
) -> Result<Response, Problem> {
    let body = body.ok_or_else(|| {
        Problem::bad_request(
            "the body is missing, such as {\"backupId\":\"latest\",\"targetEnvironment\":\"development\"}",
        )
    })?;
    let wish = body.wish()?;
    let into = wish.target_environment;
    let is_too_long = |text: &Option<String>, max: usize| text.as_ref().is_some_and(|t| t.chars().count() > max);
    if is_too_long(&body.region, REGION_CHARS_MAX) || is_too_long(&body.confirmation, CONFIRMATION_CHARS_MAX) {
        return Err(Problem::bad_request("`region` or `confirmation` is too long"));
    }
    let has_database = || match api.house.targets.contains(&into) {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::CONFLICT,
            "no_target",
            format!("this deployment has no database to restore `{into}` into; its owner sets one, and deploys it"),
        )),
    };
    if body.dry_run {
        // It changes nothing, and is answered anew each time.
        key.required()?;
        count(&api, &caller).await?;
        caller.person.require(Right::Restore(into))?;
        has_database()?;
        return Ok(axum::Json(restore::plan(&*api.catalog, &wish).await?).into_response());
    }
    let what = Write {
        action: "restore.request",
        right: caller.person.require_restore(into),
        on: None,
        detail: Some(format!("{} into {into}", body.backup_id)),
        body: &body,
    };
    write(&api, &caller, &key, what, async |makes| {
        has_database()?;
        let queue = required(&api.restores)?;
        let now = api.clock.now();
        let (id, by) = (chosen::<RestoreId>(makes)?, caller.person.id.as_str());
        let record = restore::request(&*api.catalog, queue, id, &wish, by, api.house.approval_s, now).await?;
        Ok(Done::accepted(format!("/v1/restores/{id}"), RestoreStatus::of(record, now)))
    })
    .await
}

/// Consents to a restore into production that another person asked for: it begins. `restorer` may, signed in with a second factor.
#[utoipa::path(operation_id = "approveRestore", post, path = "/v1/restores/{id}/approve", tag = "restores",
    params(("id" = RestoreId, Path, description = "Its id."),
        Key),
    responses((status = 202, body = RestoreStatus, headers(("location" = String))), WriteProblems))]
pub(crate) async fn approve(
    caller: Caller,
    key: Key,
    State(api): State<Arc<Api>>,
    Id(id): Id<RestoreId>,
    _: NoBody,
) -> Result<Response, Problem> {
    caller.person.require(Right::See)?;
    let record = restore::record(&*api.catalog, id).await?;
    let right = caller.person.require_restore(record.target_environment).and_then(|()| {
        match record.requested_by == caller.person.id {
            true => Err(Problem::forbidden("it takes the consent of another person than who asked for it")),
            false => Ok(()),
        }
    });
    let what = Write {
        action: "restore.approve",
        right,
        on: Some(id.to_string()),
        detail: Some(format!("into {}", record.target_environment)),
        body: &(),
    };
    write(&api, &caller, &key, what, async |_| {
        let queue = required(&api.restores)?;
        let now = api.clock.now();
        let record = restore::approve(&*api.catalog, queue, id, &caller.person.id, now).await?;
        Ok(Done::accepted(format!("/v1/restores/{id}"), RestoreStatus::of(record, now)))
    })
    .await
}

/// Stops a restore. What it replaces stays as it was; what it filled from empty stays as far as it came. Who may restore into
/// that environment may.
#[utoipa::path(operation_id = "cancelRestore", post, path = "/v1/restores/{id}/cancel", tag = "restores",
    params(("id" = RestoreId, Path, description = "Its id."),
        Key),
    responses((status = 200, body = RestoreStatus), WriteProblems))]
pub(crate) async fn cancel(
    caller: Caller,
    key: Key,
    State(api): State<Arc<Api>>,
    Id(id): Id<RestoreId>,
    _: NoBody,
) -> Result<Response, Problem> {
    caller.person.require(Right::See)?;
    let record = restore::record(&*api.catalog, id).await?;
    let into = record.target_environment;
    let what = Write {
        action: "restore.cancel",
        right: caller.person.require(Right::Restore(into)),
        on: Some(id.to_string()),
        detail: Some(format!("into {into}")),
        body: &(),
    };
    write(&api, &caller, &key, what, async |_| {
        let now = api.clock.now();
        let record = restore::cancel(&*api.catalog, id, &caller.person.id, now).await?;
        Ok(Done::ok(RestoreStatus::of(record, now)))
    })
    .await
}
