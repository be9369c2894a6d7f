//! What every request has: an id, an address that it came from, and perhaps a person. The layer that finds them, and that writes the
//! bodies of problems.

use crate::house::Api;
use crate::person::{Person, Right};
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use engine::clock::{Clock, Entropy};
use engine::id::AuditId;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use std::sync::Arc;
use tracing::Instrument;

/// The name of the header that tells the id of a request.
const REQUEST_ID: &str = "x-request-id";

/// Where a request comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) request_id: String,
    pub(crate) address: String,
}

impl Origin {
    fn of(request: &Request, clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        let (mut id, mut address) = (None, None);
        if let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() {
            id = context.request_id.clone();
            address = context.http.source_ip.clone();
        }
        let new = || AuditId::new(clock, entropy).map(|id| id.to_string()).unwrap_or_default();
        Self { request_id: id.unwrap_or_else(new), address: address.unwrap_or_else(|| "unknown".to_owned()) }
    }
}

/// The outermost layer of ours.
pub(crate) async fn identify(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let origin = Origin::of(&request, &*api.clock, &*api.entropy);
    let span = tracing::info_span!("request", request = %origin.request_id);
    request.extensions_mut().insert(origin.clone());
    let mut response = next.run(request).instrument(span).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let body = serde_json::to_string(&problem.body(&origin.request_id)).unwrap_or_default();
        *response.body_mut() = Body::from(body);
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&origin.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    // What one person sees is nobody else's, and a copy of it is asked after before it is shown.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// A person who asks, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) person: Person,
    pub(crate) origin: Origin,
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let origin = parts.extensions.get::<Origin>().cloned();
        let origin = origin.unwrap_or_else(|| Origin { request_id: String::new(), address: "unknown".to_owned() });
        let Some(tokens) = &api.tokens else {
            return Err(Problem::unauthorized("nobody is let in: this deployment knows no issuer of tokens"));
        };
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let token = header.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            return Err(Problem::unauthorized("send the token of who asks: `Authorization: Bearer …`"));
        };
        let person = tokens.believe(token.trim(), &*api.clock).await?;
        Ok(Self { person, origin })
    }
}

/// A person who may see.
pub(crate) struct Viewer;

impl FromRequestParts<Arc<Api>> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, api).await?.person.require(Right::See).map(|()| Self)
    }
}

/// A person who may administer.
pub(crate) struct Admin;

impl FromRequestParts<Arc<Api>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, api).await?.person.require(Right::Administer).map(|()| Self)
    }
}
