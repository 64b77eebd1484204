//! Finds the path that a request is for and runs its handler.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use palisade_contract::{Backend, Existence, Host, Operation, PluginError, Request, Response};

use crate::call::Fields;
use crate::handler::{Handler, Hook, SharedHandler, SharedHook};
use crate::help;
use crate::known::Known;
use crate::matcher::Captures;
use crate::path::{MakePath, Path};
use crate::{Answer, Call};

/// A backend made of paths over a state of the author's own.
///
/// Paths are tried in the order they were added, and the first that matches answers. What no path matches is an
/// unsupported path, and what the path does not do is an unsupported operation, as in OpenBao's framework.
pub struct Router<S> {
    state: S,
    help: Cow<'static, str>,
    paths: Vec<Known<S>>,
    hooks: Hooks<S>,
}

/// What a backend does outside of its paths.
struct Hooks<S> {
    initialize: Option<SharedHook<S>>,
    invalidate: Option<SharedInvalidate<S>>,
    renew: Option<SharedHandler<S, Option<Response>>>,
    revoke: Option<SharedHandler<S, Option<Response>>>,
    rollback: Option<SharedHandler<S, Option<Response>>>,
}

type SharedInvalidate<S> = Arc<dyn Fn(&S, &str) + Send + Sync>;

impl<S: Send + Sync + 'static> Router<S> {
    /// A backend with this state and no paths. The state is what the handlers get besides the call: settings from the
    /// mount's options, a cache. It may be dropped and made anew between any two requests; only storage stays.
    pub fn new(state: S) -> Self {
        Self {
            state,
            help: Cow::Borrowed(""),
            paths: Vec::new(),
            hooks: Hooks {
                initialize: None,
                invalidate: None,
                renew: None,
                revoke: None,
                rollback: None,
            },
        }
    }

    /// What the backend is for, shown as the help of the mount itself.
    #[must_use]
    pub fn help(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.help = text.into();
        self
    }

    /// Adds a path.
    #[must_use]
    pub fn path(mut self, path: Path<S>) -> Self {
        self.paths.push(Known::made(path));
        self
    }

    /// Adds several paths.
    #[must_use]
    pub fn paths(mut self, paths: impl IntoIterator<Item = Path<S>>) -> Self {
        self.paths.extend(paths.into_iter().map(Known::made));
        self
    }

    /// Adds a path that is made for the first request whose path begins with `start`; all that its pattern matches has to.
    ///
    /// A component with a store for each request is set up for each request. Of a backend with many paths this leaves the
    /// one to be made that the request is for, which is a good part of what such a request takes.
    #[must_use]
    pub fn path_at(mut self, start: &'static str, make: MakePath<S>) -> Self {
        self.paths.push(Known::at(start, make));
        self
    }

    /// Adds several paths as [`path_at`](Self::path_at) does.
    #[must_use]
    pub fn paths_at(mut self, paths: &[(&'static str, MakePath<S>)]) -> Self {
        let paths = paths.iter();
        self.paths
            .extend(paths.map(|(start, make)| Known::at(start, *make)));
        self
    }

    /// Does this before the first request of a generation of the mount; storage can be written. The hook is an
    /// `async fn(&S, &dyn Host) -> Result<(), Failure>`.
    #[must_use]
    pub fn initialize<H>(mut self, hook: H) -> Self
    where
        H: for<'a> Hook<'a, S> + 'static,
    {
        self.hooks.initialize = Some(Arc::new(hook));
        self
    }

    /// Does this when another instance of the mount wrote a storage key: forget what the state knows of it.
    #[must_use]
    pub fn invalidate(mut self, hook: impl Fn(&S, &str) + Send + Sync + 'static) -> Self {
        self.hooks.invalidate = Some(Arc::new(hook));
        self
    }

    /// Does this when a lease or a login of this mount is to be renewed.
    #[must_use]
    pub fn renew<H>(mut self, handler: H) -> Self
    where
        H: for<'a> Handler<'a, S, Option<Response>> + 'static,
    {
        self.hooks.renew = Some(Arc::new(handler));
        self
    }

    /// Does this when a lease of this mount has ended.
    #[must_use]
    pub fn revoke<H>(mut self, handler: H) -> Self
    where
        H: for<'a> Handler<'a, S, Option<Response>> + 'static,
    {
        self.hooks.revoke = Some(Arc::new(handler));
        self
    }

    /// Does this when the host asks, about once a minute, to tidy up what was left half done.
    #[must_use]
    pub fn rollback<H>(mut self, handler: H) -> Self
    where
        H: for<'a> Handler<'a, S, Option<Response>> + 'static,
    {
        self.hooks.rollback = Some(Arc::new(handler));
        self
    }

    /// Gives the finished backend. A pattern that is no regular expression, or does not begin as
    /// [`path_at`](Self::path_at) says, is found out when the backend is initialized.
    ///
    /// # Errors
    ///
    /// None as yet; it ends a setup as that has to end.
    pub fn build(self) -> Result<Box<dyn Backend>, PluginError> {
        Ok(Box::new(Routed {
            state: self.state,
            help: self.help,
            paths: self.paths,
            hooks: self.hooks,
        }))
    }
}

/// A router that is ready to answer.
struct Routed<S> {
    state: S,
    help: Cow<'static, str>,
    paths: Vec<Known<S>>,
    hooks: Hooks<S>,
}

/// A path and what its pattern's groups caught.
type Found<'r, S> = (&'r Path<S>, Captures);

impl<S: Send + Sync + 'static> Routed<S> {
    fn find(&self, path: &str) -> Result<Found<'_, S>, PluginError> {
        for known in &self.paths {
            if let Some(captures) = known.captures(path)? {
                return Ok((known.path(), captures));
            }
        }
        Err(PluginError::unsupported_path())
    }

    /// Answers an operation that belongs to no path.
    async fn hook(
        &self,
        handler: Option<&SharedHandler<S, Option<Response>>>,
        request: &Request,
        host: &dyn Host,
    ) -> Answer {
        let handler = handler.ok_or_else(PluginError::unsupported_operation)?;
        let fields = Fields::of(request, Captures::new())?;
        handler
            .call(&self.state, Call::new(request, &fields, host))
            .await
    }

    async fn at_path(&self, request: &Request, host: &dyn Host) -> Answer {
        let (path, captures) = self.find(&request.path)?;
        let handler = path
            .handler(request.operation)
            .ok_or_else(PluginError::unsupported_operation)?;
        let fields = Fields::of(request, captures)?;
        fields.check(&path.fields, request.operation)?;
        handler
            .call(&self.state, Call::new(request, &fields, host))
            .await
    }

    fn help(&self, request: &Request) -> Answer {
        match request.path.as_str() {
            "" => help::of_mount(&self.help, &self.paths),
            path => help::of_path(path, self.find(path)?.0),
        }
    }
}

#[async_trait]
impl<S: Send + Sync + 'static> Backend for Routed<S> {
    async fn initialize(&self, host: &dyn Host) -> Result<(), PluginError> {
        for known in &self.paths {
            known.check()?;
        }
        match &self.hooks.initialize {
            Some(hook) => {
                let done = hook.call(&self.state, host).await;
                done.map_err(crate::Failure::into_error)
            }
            None => Ok(()),
        }
    }

    async fn handle_request(
        &self,
        request: Request,
        host: &dyn Host,
    ) -> Result<Option<Response>, PluginError> {
        let hooks = &self.hooks;
        let answer = match request.operation {
            Operation::Help => self.help(&request),
            Operation::Renew => self.hook(hooks.renew.as_ref(), &request, host).await,
            Operation::Revoke => self.hook(hooks.revoke.as_ref(), &request, host).await,
            Operation::Rollback => self.hook(hooks.rollback.as_ref(), &request, host).await,
            _ => self.at_path(&request, host).await,
        };
        answer.or_else(crate::Failure::into_answer)
    }

    async fn check_existence(
        &self,
        request: Request,
        host: &dyn Host,
    ) -> Result<Existence, PluginError> {
        let (path, captures) = self.find(&request.path)?;
        let Some(check) = path.existence_check() else {
            return Ok(Existence::Unchecked);
        };
        let answer = async {
            let fields = Fields::of(&request, captures)?;
            let call = Call::new(&request, &fields, host);
            check.call(&self.state, call).await
        };
        match answer.await.map_err(crate::Failure::into_error)? {
            true => Ok(Existence::Present),
            false => Ok(Existence::Absent),
        }
    }

    async fn invalidate_key(&self, key: &str, _: &dyn Host) {
        if let Some(hook) = &self.hooks.invalidate {
            hook(&self.state, key);
        }
    }
}

#[cfg(test)]
mod tests;
