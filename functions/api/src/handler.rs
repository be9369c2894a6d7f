//! Reads the request, asks the catalog, answers. Errors are `application/problem+json` (RFC 9457).

use crate::answer::{BackupPage, BackupStatus, DrillPage, RotationPage};
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use engine::catalog::{self, Catalog, SnapshotRecord};
use engine::error::{Error, ErrorKind};
use engine::id::{DrillId, RotationId, SnapshotId};
use engine::limits::PAGE_MAX;
use engine::ops::backup;
use engine::ops::drill::{DrillRecord, Streak};
use engine::ops::rotate::RotationRecord;
use engine::ops::watch::UsageRecord;
use serde::Deserialize;
use serde_json::json;
use std::str::FromStr;
use std::sync::Arc;

/// Backups a page, unless the request says otherwise.
const PAGE: usize = 50;
/// While a backup runs, ask again after so many seconds.
const RETRY_AFTER_S: &str = "1";

type Ports = State<Arc<dyn Catalog>>;

pub(crate) fn router(catalog: Arc<dyn Catalog>) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/v1/backups", get(list))
        .route("/v1/backups/{id}", get(one))
        .route("/v1/drills", get(drills))
        .route("/v1/rotations", get(rotations))
        .route("/v1/usage", get(usage))
        .fallback(|| async { Problem(Error::not_found("there is nothing at this path")) })
        .method_not_allowed_fallback(|| async { problem(StatusCode::METHOD_NOT_ALLOWED, "this path is only read") })
        .with_state(catalog)
}

/// Well when the catalog answers.
async fn health(State(catalog): Ports) -> Result<Response, Problem> {
    catalog::list::<SnapshotRecord>(&*catalog, None, 1).await?;
    Ok(axum::Json(json!({ "status": "ok" })).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paging {
    limit: Option<usize>,
    before: Option<String>,
}

impl Paging {
    /// Which page is asked for: what it begins before, and how much it holds.
    fn of<I: FromStr<Err = Error>>(paging: Result<Query<Self>, QueryRejection>) -> Result<(Option<I>, usize), Error> {
        let Query(paging) =
            paging.map_err(|e| Error::invalid(format!("{}; there are `limit` and `before`", e.body_text())))?;
        let limit = paging.limit.unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::invalid(format!("`limit` must be 1 to {PAGE_MAX}")));
        }
        Ok((paging.before.as_deref().map(str::parse).transpose()?, limit))
    }
}

async fn list(State(catalog): Ports, paging: Result<Query<Paging>, QueryRejection>) -> Result<Response, Problem> {
    let (before, limit) = Paging::of::<SnapshotId>(paging)?;
    let page = catalog::list::<SnapshotRecord>(&*catalog, before, limit).await?;
    let backups = page.records.into_iter().map(BackupStatus::from).collect();
    Ok(axum::Json(BackupPage { backups, next: page.next }).into_response())
}

async fn one(State(catalog): Ports, Path(id): Path<String>) -> Result<Response, Problem> {
    let record = backup::record(&*catalog, id.parse()?).await?;
    let settled = record.is_settled();
    let mut response = axum::Json(BackupStatus::from(record)).into_response();
    if !settled {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER_S));
    }
    Ok(response)
}

async fn drills(State(catalog): Ports, paging: Result<Query<Paging>, QueryRejection>) -> Result<Response, Problem> {
    let (before, limit) = Paging::of::<DrillId>(paging)?;
    // The first page says what many of them show together.
    let is_first = before.is_none();
    let mut page = catalog::list::<DrillRecord>(&*catalog, before, if is_first { PAGE_MAX } else { limit }).await?;
    let streak = is_first.then(|| Streak::of(&page.records));
    if page.records.len() > limit {
        page.records.truncate(limit);
        page.next = page.records.last().map(|drill| drill.id);
    }
    Ok(axum::Json(DrillPage { drills: page.records, streak, next: page.next }).into_response())
}

async fn rotations(State(catalog): Ports, paging: Result<Query<Paging>, QueryRejection>) -> Result<Response, Problem> {
    let (before, limit) = Paging::of::<RotationId>(paging)?;
    let page = catalog::list::<RotationRecord>(&*catalog, before, limit).await?;
    Ok(axum::Json(RotationPage { rotations: page.records, next: page.next }).into_response())
}

/// What the backups take, as it was counted last.
async fn usage(State(catalog): Ports) -> Result<Response, Problem> {
    let page = catalog::list::<UsageRecord>(&*catalog, None, 1).await?;
    let last = page.records.into_iter().next();
    let last = last.ok_or_else(|| Error::not_found("nothing was counted yet; `watch` does so once a day"))?;
    Ok(axum::Json(last).into_response())
}

/// An error as an answer.
struct Problem(Error);

impl From<Error> for Problem {
    fn from(e: Error) -> Self {
        Self(e)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, detail) = match self.0.kind() {
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, self.0.to_string()),
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, self.0.to_string()),
            kind => {
                tracing::error!(%kind, error = %self.0, "a request failed");
                // What is wrong inside is for the log.
                let busy = kind == ErrorKind::Unavailable;
                let status = if busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
                (status, "the catalog cannot be asked now; try again in a moment".to_owned())
            }
        };
        problem(status, &detail)
    }
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({ "type": "about:blank", "title": status.canonical_reason(), "status": status.as_u16(), "detail": detail });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests;
