//! Which request is whose; and what no request is.

use crate::extract::BODY_BYTES_MAX;
use crate::house::Api;
use crate::openapi::base;
use crate::problem::Problem;
use crate::request::identify;
use crate::routes::{backups, cleanups, reports, restores};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, each with what the document says of it.
pub(crate) fn documented() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(base())
        .routes(routes!(reports::health))
        .routes(routes!(reports::summary))
        .routes(routes!(reports::history))
        .routes(routes!(backups::list, backups::request))
        .routes(routes!(backups::one))
        .routes(routes!(backups::tables))
        .routes(routes!(backups::cancel))
        .routes(routes!(backups::pin))
        .routes(routes!(restores::list, restores::request))
        .routes(routes!(restores::one))
        .routes(routes!(restores::approve))
        .routes(routes!(restores::cancel))
        .routes(routes!(cleanups::request))
        .routes(routes!(cleanups::list))
        .routes(routes!(cleanups::one))
        .routes(routes!(reports::drills))
        .routes(routes!(reports::rotations))
        .routes(routes!(reports::usage))
        .routes(routes!(reports::policy))
        .routes(routes!(reports::audit))
}

/// The whole API.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let (router, _) = documented().split_for_parts();
    let nothing = || async { Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path") };
    let not_so = || async {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take that method")
    };
    router
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&api), identify))
        .with_state(api)
}
