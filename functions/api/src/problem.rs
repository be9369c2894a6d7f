//! Errors, as `application/problem+json` (RFC 9457): what was wrong, and the id by which the log tells more.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::error::{Error, ErrorKind};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// What is said of an error.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Always `about:blank`: the code says which problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What programs tell problems apart by, such as `not_found`.
    pub(crate) code: &'static str,
    /// What was wrong, where, and what to do.
    pub(crate) detail: String,
    /// The id of the request, which stands in the log too.
    request_id: String,
}

/// An error as an answer.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    retry_after_s: Option<i64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_s: None }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(2)
    }

    #[must_use]
    pub(crate) fn retry_after(self, seconds: i64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// The body, for a request of this id.
    pub(crate) fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
        }
    }
}

impl From<Error> for Problem {
    fn from(e: Error) -> Self {
        let said = || e.to_string();
        match e.kind() {
            ErrorKind::NotFound => Self::new(StatusCode::NOT_FOUND, "not_found", said()),
            // It could be read, and contradicts itself or what there is.
            ErrorKind::Invalid => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", said()),
            ErrorKind::Conflict => Self::new(StatusCode::CONFLICT, "conflict", said()),
            kind => {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                tracing::error!(%kind, error = %e, cause, "a request failed");
                // What is wrong inside is for the log.
                match kind {
                    ErrorKind::Unavailable => {
                        Self::unavailable("the catalog cannot be asked now; try again in a moment")
                    }
                    _ => Self::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "internal",
                        "something is wrong with this deployment; the log says more under the request's id",
                    ),
                }
            }
        }
    }
}

impl IntoResponse for Problem {
    /// Without a body: the layer that knows the request's id writes that.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// What a request that changes nothing may be answered with.
pub(crate) struct ReadProblems;
/// The same of one thing, which may not be there.
pub(crate) struct OneProblems;
/// The same of what is only known when that is done.
pub(crate) struct LaterProblems;
/// What a request that changes something may be answered with.
pub(crate) struct WriteProblems;

const READ: [(u16, &str); 7] = [
    (400, "The request is not right; the detail says what is not."),
    (401, "Without a token, or with one that is not believed."),
    (403, "The person may not do this."),
    (422, "It can be read, and contradicts itself, or what there is."),
    (429, "Too many requests; `Retry-After` says when to come again."),
    (500, "Something is wrong with this deployment."),
    (503, "Something did not answer; try again in a moment."),
];
const CONFLICT: (u16, &str) = (409, "It cannot be done as things are; the detail says why.");
const MISSING: (u16, &str) = (404, "There is no such thing.");
const WRITE: [(u16, &str); 3] =
    [CONFLICT, (413, "The body is larger than 16 KB."), (415, "The body is not `application/json`.")];

type Responses = BTreeMap<String, RefOr<utoipa::openapi::Response>>;

fn responses<'a>(of: impl IntoIterator<Item = &'a (u16, &'a str)>) -> Responses {
    let response = |(status, description): &(u16, &str)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description(*description).content("application/problem+json", content);
        (status.to_string(), RefOr::T(response.build()))
    };
    of.into_iter().map(response).collect()
}

impl IntoResponses for ReadProblems {
    fn responses() -> Responses {
        responses(&READ)
    }
}

impl IntoResponses for OneProblems {
    fn responses() -> Responses {
        responses(READ.iter().chain([&MISSING]))
    }
}

impl IntoResponses for LaterProblems {
    fn responses() -> Responses {
        responses(READ.iter().chain([&MISSING, &CONFLICT]))
    }
}

impl IntoResponses for WriteProblems {
    fn responses() -> Responses {
        responses(READ.iter().chain([&MISSING]).chain(&WRITE))
    }
}
