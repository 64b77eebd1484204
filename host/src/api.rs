//! The HTTP API: OpenBao's paths, JSON and status codes, over the runtime.
//!
//! One request goes through these steps: what it asks for ([`call`]), whether it needs a token ([`access`]), its body,
//! and then the area that its path belongs to. An area gives a [`reply::Reply`] or an [`error::ApiError`].

mod access;
mod call;
mod catalog;
mod compilation;
mod crash;
mod dry_run;
mod error;
mod fields;
mod logical;
mod mounts;
mod reload;
mod reply;
mod server;
mod shape;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use server::{Facts, Server};

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use palisade_runtime::ErrorKind;

use call::{Call, Target};
use error::ApiError;
use reply::Reply;

/// The header that carries the stable code of an error.
pub(crate) const ERROR_CODE_HEADER: &str = "x-palisade-error-code";

/// How long a request may take, from its header to its answer. OpenBao's default is 90 seconds too.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// The API over one server.
pub(crate) fn router(server: Arc<Server>) -> Router {
    // Paths are the mounts' and methods include LIST and SCAN, so `route` below is the table, not axum's.
    Router::new().fallback(answer).with_state(server)
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    // Boxed, because it holds the future of everything that a request does.
    let answer = Box::pin(serve(&server, request));
    match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
        Ok(Ok(reply)) => reply.into_response(),
        Ok(Err(error)) => error.into_response(),
        Err(_) => ApiError::new(
            ErrorKind::Timeout,
            format!("the request was not answered within {REQUEST_TIMEOUT:?}"),
        )
        .into_response(),
    }
}

async fn serve(server: &Server, request: Request) -> Result<Reply, ApiError> {
    let target = Target::of(&request)?;
    if let Some(reply) = server.open_to_all(&target) {
        return reply;
    }
    let token = access::check(server, request.headers())?;
    access::check_namespace(request.headers())?;
    access::check_wrapping(request.headers())?;
    let call = Call::read(target, token, request).await?;
    route(server, call).await
}

/// The table of paths.
async fn route(server: &Server, call: Call) -> Result<Reply, ApiError> {
    let path = call.path.clone();
    if path == "auth/token/lookup-self" {
        return access::lookup_self(server, &call);
    }
    if path == "sys/plugins/reload/backend" {
        return reload::backend(server, &call).await;
    }
    if let Some(rest) = after(&path, "sys/plugins/catalog") {
        return catalog::route(server, &call, rest).await;
    }
    if let Some(rest) = beneath(&path, "sys/internal/ui/mounts/") {
        return mounts::preflight(server, &call, rest);
    }
    if let Some(rest) = beneath(&path, "sys/mounts") {
        return mounts::route(server, &call, rest).await;
    }
    if path.starts_with("sys/") || path.starts_with("auth/") {
        return Err(ApiError::no_handler(&path));
    }
    logical::handle(server, call).await
}

/// What follows `area` in `path`, without slashes around it; `None` when the path lies elsewhere.
fn beneath<'a>(path: &'a str, area: &str) -> Option<&'a str> {
    after(path, area).map(|rest| rest.trim_matches('/'))
}

/// What follows `area` and its slash in `path`, to the last character; `None` when the path lies elsewhere.
fn after<'a>(path: &'a str, area: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(area)?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(rest),
        None => (rest.is_empty() || area.ends_with('/')).then_some(rest),
    }
}
