//! What is only read.

use super::fresh;
use crate::answer::{AuditPage, DrillPage, Health, Policy, RotationPage, Summary, You};
use crate::extract::Parameters;
use crate::house::Api;
use crate::page::Paging;
use crate::person::Right;
use crate::problem::{OneProblems, Problem, ReadProblems};
use crate::request::{Admin, Caller, Viewer};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::audit::AuditEntry;
use engine::catalog::{self, SnapshotRecord};
use engine::error::Error;
use engine::limits::{DAY_S, PROTECTION_DRILLS};
use engine::ops::drill::{DrillRecord, Streak};
use engine::ops::rotate::RotationRecord;
use engine::ops::watch::{self, History, UsageRecord};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Days of a history, unless the request says otherwise,
const DAYS: u16 = 30;
/// and at most.
const DAYS_MAX: u16 = 90;

/// Well when the catalog answers. Takes no token.
#[utoipa::path(operation_id = "getHealth", get, path = "/v1/health", tag = "reports", security(()),
    responses((status = 200, body = Health), ReadProblems))]
pub(crate) async fn health(State(api): State<Arc<Api>>) -> Result<axum::Json<Health>, Problem> {
    catalog::list::<SnapshotRecord>(&*api.catalog, None, 1).await?;
    Ok(axum::Json(Health { status: "ok" }))
}

/// Whether the source is protected, and why not: last good backup, next due, what would be lost now, how long a restore takes, regions;
/// and what the person who asks may do. Any role may.
#[utoipa::path(operation_id = "getSummary", get, path = "/v1/summary", tag = "reports",
    responses((status = 200, body = Summary), ReadProblems))]
pub(crate) async fn summary(caller: Caller, State(api): State<Arc<Api>>) -> Result<axum::Json<Summary>, Problem> {
    caller.person.require(Right::See)?;
    let house = &api.house;
    let protection = watch::protection(&*api.catalog, &house.places, &house.expected, api.clock.now()).await?;
    let you = You::of(caller.person, &house.targets);
    Ok(axum::Json(Summary { protection, source: house.source.clone(), you }))
}

/// How far back a history goes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Back {
    /// So many days.
    #[param(minimum = 1, maximum = 90, default = 30)]
    days: Option<u16>,
}

/// The backups of the last days, and those that were due by the schedule and never began. Any role may.
#[utoipa::path(operation_id = "getHistory", get, path = "/v1/history", tag = "reports", params(Back),
    responses((status = 200, body = History), ReadProblems))]
pub(crate) async fn history(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Parameters(Back { days }): Parameters<Back>,
) -> Result<axum::Json<History>, Problem> {
    let days = days.unwrap_or(DAYS);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Problem::bad_request(format!("`days` must be 1 to {DAYS_MAX}")));
    }
    let now = api.clock.now();
    let from = now.plus_s(-i64::from(days) * DAY_S);
    Ok(axum::Json(watch::history(&*api.catalog, &api.house.expected.schedule, from, now).await?))
}

/// Drills, newest first, and what the last ones show together. Any role may.
#[utoipa::path(operation_id = "listDrills", get, path = "/v1/drills", tag = "reports", params(Paging),
    responses((status = 200, body = DrillPage), ReadProblems))]
pub(crate) async fn drills(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Parameters(paging): Parameters<Paging>,
) -> Result<axum::Json<DrillPage>, Problem> {
    let (page, streak) = match paging.is_first() {
        true => {
            // What many of them show together takes more than a page of them.
            let last = catalog::list::<DrillRecord>(&*api.catalog, None, PROTECTION_DRILLS).await?;
            let streak = Streak::of(&last.records);
            (paging.first_of(last)?, Some(streak))
        }
        false => (paging.of::<DrillRecord>(&*api.catalog).await?, None),
    };
    Ok(axum::Json(DrillPage { drills: page.records, streak, next_cursor: page.next_cursor }))
}

/// Rotations of keys, newest first. Any role may.
#[utoipa::path(operation_id = "listRotations", get, path = "/v1/rotations", tag = "reports", params(Paging),
    responses((status = 200, body = RotationPage), ReadProblems))]
pub(crate) async fn rotations(
    _: Viewer,
    State(api): State<Arc<Api>>,
    Parameters(paging): Parameters<Paging>,
) -> Result<axum::Json<RotationPage>, Problem> {
    let page = paging.of::<RotationRecord>(&*api.catalog).await?;
    Ok(axum::Json(RotationPage { rotations: page.records, next_cursor: page.next_cursor }))
}

/// What the backups take in each region, and about what that costs, as it was counted last. Any role may.
#[utoipa::path(operation_id = "getUsage", get, path = "/v1/usage", tag = "reports",
    responses((status = 200, body = UsageRecord, headers(("etag" = String))), (status = 304, description = "It has not changed."), OneProblems))]
pub(crate) async fn usage(_: Viewer, State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, Problem> {
    let page = catalog::list::<UsageRecord>(&*api.catalog, None, 1).await?;
    let last = page.records.into_iter().next();
    let last = last.ok_or_else(|| Error::not_found("nothing was counted yet; `watch` does so once a day"))?;
    fresh(&headers, &last, None)
}

/// How the deployment is set up. `admin` may.
#[utoipa::path(operation_id = "getPolicy", get, path = "/v1/policy", tag = "reports",
    responses((status = 200, body = Policy, headers(("etag" = String))), (status = 304, description = "It has not changed."), ReadProblems))]
pub(crate) async fn policy(_: Admin, State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, Problem> {
    let house = &api.house;
    let policy = Policy {
        config: house.config.clone(),
        retention: house.retention,
        targets: house.targets.clone(),
        recovery_point_target_s: house.expected.backup_age_max_s,
        approval_s: house.approval_s,
    };
    fresh(&headers, &policy, None)
}

/// Who asked for what, on what, from where, and what came of it; newest first. `admin` may.
#[utoipa::path(operation_id = "listAudit", get, path = "/v1/audit", tag = "reports", params(Paging),
    responses((status = 200, body = AuditPage), ReadProblems))]
pub(crate) async fn audit(
    _: Admin,
    State(api): State<Arc<Api>>,
    Parameters(paging): Parameters<Paging>,
) -> Result<axum::Json<AuditPage>, Problem> {
    let page = paging.of::<AuditEntry>(&*api.catalog).await?;
    Ok(axum::Json(AuditPage { entries: page.records, next_cursor: page.next_cursor }))
}
