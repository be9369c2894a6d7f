//! The document of the API, made of the types and routes that it is served by.

use crate::problem::ProblemBody;
use crate::router::documented;
use engine::error::{Error, Result};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};
use utoipa::{Modify, OpenApi as _};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "GasRápido backup",
        description = "Backups of a Supabase project: ask for them, follow them, restore them. Every request but that of the health takes a token of the \
                       project's Supabase Auth; what a person may do is said by the roles in `app_metadata.backup_roles`: `viewer`, `operator`, `admin`, \
                       `restorer`. What is asked for is done after the answer: follow `Location`, as often as `Retry-After` says. Send a request \
                       again with the same `Idempotency-Key` when its answer was lost: it is done once. Times are RFC 3339 in UTC. An answer may get \
                       new fields; a request may have none that are not described. What is refused is told as a problem (RFC 9457); only what API Gateway \
                       itself does not let through, more requests than it may take or a body of more than 10 MB, is answered with a `message` alone.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "The output `ApiUrl` of the deployment.")),
    tags(
        (name = "backups", description = "Backups: list, look, ask for one, stop one, keep one."),
        (name = "restores", description = "Restores into development, staging or production."),
        (name = "cleanups", description = "What the policy lets go."),
        (name = "reports", description = "Whether all is well, and what it takes."),
    ),
    components(schemas(ProblemBody)),
    security(("token" = [])),
    modifiers(&Token)
)]
struct Base;

struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The access token of Supabase Auth."))
            .build();
        let components = openapi.components.get_or_insert_with(Components::new);
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// What the document says of no single route.
pub(crate) fn base() -> OpenApi {
    Base::openapi()
}

/// The whole document, as JSON.
pub(crate) fn document() -> Result<String> {
    let document = documented().into_openapi();
    document.to_pretty_json().map_err(|e| Error::internal("write the document").with_source(e))
}
