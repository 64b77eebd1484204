//! A request's way in and a response's way out, between the server and a mount.

use std::sync::Arc;
use std::time::Duration;

use palisade_contract::{Existence, Operation, PluginErrorKind, Request, Response};

use super::Inner;
use super::mount::Mount;
use crate::CallError;
use crate::services::Deadline;

/// How much of an unknown path an error shows, in bytes.
const PATH_SHOWN: usize = 256;

/// Answers a request.
pub(super) async fn handle(
    inner: &Inner,
    mut request: Box<Request>,
    timeout: Option<Duration>,
) -> Result<Option<Response>, CallError> {
    let (mount, deadline) = address(inner, &mut request, timeout)?;
    answer(&mount, request, deadline).await
}

/// Whether the thing at the request's path exists.
pub(super) async fn exists(
    inner: &Inner,
    mut request: Box<Request>,
    timeout: Option<Duration>,
) -> Result<Existence, CallError> {
    let (mount, deadline) = address(inner, &mut request, timeout)?;
    mount.exists(request, deadline).await
}

/// Answers a write: a creation if nothing is there, an update otherwise, in one request's time. A path without a check,
/// or one that the plugin does not know, is left to the request itself.
pub(super) async fn write(
    inner: &Inner,
    mut request: Box<Request>,
    timeout: Option<Duration>,
) -> Result<Option<Response>, CallError> {
    let (mount, deadline) = address(inner, &mut request, timeout)?;
    request.operation = match mount.exists(request.clone(), deadline).await {
        Ok(Existence::Absent) => Operation::Create,
        Ok(Existence::Present | Existence::Unchecked) => Operation::Update,
        Err(CallError::Plugin(error)) if is_unknown(error.kind) => Operation::Update,
        Err(error) => return Err(error),
    };
    answer(&mount, request, deadline).await
}

fn is_unknown(kind: PluginErrorKind) -> bool {
    matches!(
        kind,
        PluginErrorKind::UnsupportedPath | PluginErrorKind::UnsupportedOperation
    )
}

async fn answer(
    mount: &Mount,
    request: Box<Request>,
    deadline: Deadline,
) -> Result<Option<Response>, CallError> {
    let mut response = mount.handle(request, deadline).await?;
    if let Some(response) = &mut response {
        mount.filter(response);
    }
    Ok(response.map(|response| *response))
}

/// Finds the mount, checks the request against its limits, and makes it the mount's.
fn address(
    inner: &Inner,
    request: &mut Request,
    timeout: Option<Duration>,
) -> Result<(Arc<Mount>, Deadline), CallError> {
    if inner.is_stopping() {
        return Err(CallError::Stopping);
    }
    let (mount, prefix_length) = inner
        .table
        .route(&request.path)
        .ok_or_else(|| no_mount(request))?;
    let admission = mount.admission();
    let limits = admission.limits();
    check_body(request, limits.message_bytes)?;
    let limit = timeout.map_or(limits.request_timeout, |timeout| {
        timeout.min(limits.request_timeout)
    });
    mount.address(request, prefix_length);
    Ok((mount, Deadline::after(limit)))
}

fn check_body(request: &Request, limit: u64) -> Result<(), CallError> {
    let bytes = request.data.as_str().len() as u64;
    if bytes <= limit {
        return Ok(());
    }
    Err(CallError::TooLarge {
        what: "request body",
        bytes,
        limit,
    })
}

fn no_mount(request: &Request) -> CallError {
    let path: String = request.path.chars().take(PATH_SHOWN).collect();
    CallError::NoMount { path }
}
