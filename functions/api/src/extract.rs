//! The parts of a request, read strictly; what is wrong with them is a problem like any other.

use crate::problem::Problem;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use engine::error::Error;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// The largest body.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// A body of JSON, or none; `null` is none.
pub(crate) struct Json<T>(pub(crate) Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let body = body(Bytes::from_request(request, state).await)?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        let content_type = content_type.as_ref().and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = "the body must be `content-type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let parsed = serde_json::from_slice(&body);
        parsed.map(Self).map_err(|e| Problem::bad_request(format!("the body is not right: {e}")))
    }
}

/// No body: what would be in one would be passed over.
pub(crate) struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = body(Bytes::from_request(request, state).await)?;
        match body.iter().filter(|b| !b.is_ascii_whitespace()).copied().collect::<Vec<u8>>().as_slice() {
            b"" | b"{}" => Ok(Self),
            _ => Err(Problem::bad_request("this takes no body")),
        }
    }
}

fn body(read: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    read.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("the body may have {BODY_BYTES_MAX} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        }
        _ => Problem::bad_request("the body broke off"),
    })
}

/// The parameters after the `?`.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|e| Problem::bad_request(e.body_text()))
    }
}

/// The id in the path.
pub(crate) struct Id<I>(pub(crate) I);

impl<I: FromStr<Err = Error>, S: Send + Sync> FromRequestParts<S> for Id<I> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|e| Problem::bad_request(e.body_text()))?;
        Ok(Self(text.parse().map_err(|e: Error| Problem::bad_request(e.to_string()))?))
    }
}
