//! Requests that change something: who may, once, not too often, and noted.
//!
//! In this order: the count of requests, so that nobody fills the audit; the right; the idempotency key, under which a request that came
//! before is answered as it was; the first entry of the audit, without which nothing is done; the act; its answer is kept; the second entry of the audit. The act makes
//! what has the id that the claim chose: so one that was interrupted anywhere is done to its end by the same request.

use crate::house::Api;
use crate::problem::Problem;
use crate::request::Caller;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::audit::AuditEntry;
use engine::catalog;
use engine::claim::{self, Answered, ClaimId, Claimed};

use engine::error::Result as EngineResult;
use engine::id::AuditId;
use engine::quota;
use engine::stage::Sha256;
use serde::Serialize;
use std::str::FromStr;
use utoipa::IntoParams;

const KEY_BYTES_MAX: usize = 255;

/// The `Idempotency-Key` of a request.
#[derive(IntoParams)]
#[into_params(names("Idempotency-Key"), parameter_in = Header)]
pub(crate) struct Key(
    /// New for each request; the same for the same request sent again.
    #[param(value_type = String, required = true, min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    Option<Result<String, ()>>,
);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let visible = |value: &HeaderValue| {
            let text = value.to_str().map_err(|_| ())?;
            let right = (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
            if right { Ok(text.to_owned()) } else { Err(()) }
        };
        Ok(Self(parts.headers.get("idempotency-key").map(visible)))
    }
}

impl Key {
    pub(crate) fn required(&self) -> Result<&str, Problem> {
        let said = "`Idempotency-Key` must be 1 to 255 visible characters, new for each request, such as a UUID";
        match &self.0 {
            Some(Ok(key)) => Ok(key),
            Some(Err(())) => Err(Problem::bad_request(said)),
            None => Err(Problem::bad_request(format!("the header is missing: {said}"))),
        }
    }
}

/// What a request wants to do.
pub(crate) struct Write<'a> {
    /// Such as `restore.request`.
    pub(crate) action: &'static str,
    /// Who may.
    pub(crate) right: Result<(), Problem>,
    /// On what: the id that is in the path.
    pub(crate) on: Option<String>,
    /// In a few words, for the audit.
    pub(crate) detail: Option<String>,
    /// What is in the body.
    pub(crate) body: &'a (dyn erased::Body + Sync),
}

/// A body that can be written again, so that the same request is the same whatever its white space.
mod erased {
    use serde::Serialize;

    pub(crate) trait Body {
        fn to_json(&self) -> String;
    }

    impl<T: Serialize> Body for T {
        fn to_json(&self) -> String {
            serde_json::to_string(self).unwrap_or_default()
        }
    }
}

/// What was done.
pub(crate) struct Done<T> {
    pub(crate) status: StatusCode,
    /// Where what was made can be followed.
    pub(crate) location: Option<String>,
    pub(crate) body: T,
}

impl<T> Done<T> {
    /// It was done.
    pub(crate) fn ok(body: T) -> Self {
        Self { status: StatusCode::OK, location: None, body }
    }

    /// It was begun, and is followed elsewhere.
    pub(crate) fn accepted(location: String, body: T) -> Self {
        Self { status: StatusCode::ACCEPTED, location: Some(location), body }
    }
}

/// Does it, once. `act` is given the id of what it makes.
pub(crate) async fn write<T: Serialize>(
    api: &Api,
    caller: &Caller,
    key: &Key,
    write: Write<'_>,
    act: impl AsyncFnOnce(&str) -> Result<Done<T>, Problem>,
) -> Result<Response, Problem> {
    count(api, caller).await?;
    let mut entry = entry(api, caller, &write)?;
    if let Err(refused) = write.right {
        note(api, &mut entry, Some(&refused.status), Some(&refused.detail)).await?;
        return Err(refused);
    }
    let key = key.required()?;
    let id = ClaimId::of(&caller.person.id, key);
    let on = write.on.as_deref().unwrap_or_default();
    let request = Sha256::of(format!("{}\n{on}\n{}", write.action, write.body.to_json()).as_bytes());
    let makes = match claim::claim(&*api.catalog, &*api.clock, &*api.entropy, id, request).await? {
        Claimed::Open(makes) => makes,
        Claimed::Answered(answered) => return Ok(respond(&answered)),
        Claimed::Other => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key_reused",
                "this `Idempotency-Key` was used for another request; use a new one for each",
            ));
        }
    };
    note(api, &mut entry, None, None).await?;
    let done = match act(&makes).await {
        Ok(done) => done,
        Err(problem) => {
            // It is not kept: what was wrong may be mended by then, and nothing was made.
            audit_end(api, entry, problem.status, Some(&problem.detail)).await;
            return Err(problem);
        }
    };
    let body = serde_json::to_string(&done.body)
        .map_err(|e| Problem::from(engine::error::Error::internal("write the answer as JSON").with_source(e)))?;
    let answered = Answered { status: done.status.as_u16(), location: done.location, body };
    let answered = match claim::keep_answer(&*api.catalog, id, &makes, &answered).await {
        // Where the same was done twice at once, the first answer is both's.
        Ok(kept) => kept,
        Err(e) => {
            // Sent again, the request is done again, which is the same.
            tracing::warn!(error = %e, "could not keep the answer");
            answered
        }
    };
    entry.on = entry.on.or_else(|| answered.location.as_ref().and_then(|l| l.rsplit('/').next()).map(str::to_owned));
    audit_end(api, entry, done.status, None).await;
    Ok(respond(&answered))
}

/// Counts a request of a person that changes something, or that takes much to answer.
pub(crate) async fn count(api: &Api, caller: &Caller) -> Result<(), Problem> {
    let (person, most) = (&caller.person.id, api.house.writes_a_minute);
    match quota::spend(&*api.catalog, person, most, api.clock.now()).await? {
        None => Ok(()),
        Some(seconds) => {
            let detail = format!("that is more than {most} requests of one person in a minute");
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail).retry_after(seconds))
        }
    }
}

fn entry(api: &Api, caller: &Caller, write: &Write<'_>) -> Result<AuditEntry, Problem> {
    Ok(AuditEntry {
        id: AuditId::new(&*api.clock, &*api.entropy)?,
        at: api.clock.now(),
        actor: caller.person.actor(),
        action: write.action.to_owned(),
        on: write.on.clone(),
        detail: write.detail.clone(),
        from: caller.origin.address.clone(),
        request_id: caller.origin.request_id.clone(),
        status: None,
        problem: None,
    })
}

/// Adds an entry of its own.
async fn note(
    api: &Api,
    entry: &mut AuditEntry,
    status: Option<&StatusCode>,
    problem: Option<&str>,
) -> EngineResult<()> {
    entry.id = AuditId::new(&*api.clock, &*api.entropy)?;
    entry.at = api.clock.now();
    entry.status = status.map(StatusCode::as_u16);
    entry.problem = problem.map(str::to_owned);
    catalog::insert(&*api.catalog, entry).await
}

/// What came of it. It was done, or not: that cannot be taken back because it could not be noted.
async fn audit_end(api: &Api, mut entry: AuditEntry, status: StatusCode, problem: Option<&str>) {
    if let Err(e) = note(api, &mut entry, Some(&status), problem).await {
        tracing::error!(request = %entry.request_id, action = entry.action, %status, error = %e, "could not note what came of it");
    }
}

fn respond(answered: &Answered) -> Response {
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::OK);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], answered.body.clone()).into_response();
    if let Some(location) = answered.location.as_ref().and_then(|l| HeaderValue::from_str(l).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The id that a claim chose.
pub(crate) fn chosen<I: FromStr<Err = engine::error::Error>>(makes: &str) -> Result<I, Problem> {
    makes.parse().map_err(|e: engine::error::Error| Problem::from(e.context("read the id of the claim")))
}
