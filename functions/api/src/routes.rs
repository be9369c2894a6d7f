//! What is done with each request: read it, ask or do, answer.

pub(crate) mod backups;
pub(crate) mod cleanups;
pub(crate) mod reports;
pub(crate) mod restores;

use crate::problem::Problem;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::clock::Timestamp;
use engine::error::Error;
use engine::stage::Sha256;
use serde::Serialize;

/// An answer that changes seldom: whoever has it already is told so.
fn fresh<T: Serialize>(headers: &HeaderMap, body: &T, retry_after_s: Option<i64>) -> Result<Response, Problem> {
    let body = serde_json::to_string(body)
        .map_err(|e| Problem::from(Error::internal("write the answer as JSON").with_source(e)))?;
    let tag = format!("\"{}\"", &Sha256::of(body.as_bytes()).to_string()[..32]);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').map(|t| t.trim().trim_start_matches("W/")).any(|t| t == tag || t == "*");
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if let Some(seconds) = retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

/// When to ask again for what is under way: often at first, and seldom when it takes long.
fn retry_after_s(started_at: Timestamp, now: Timestamp) -> i64 {
    match now.since(started_at) / 1_000 {
        ..30 => 1,
        30..120 => 2,
        120..600 => 3,
        _ => 5,
    }
}
