//! One path of a backend: a pattern, the fields it takes, and what it does.

use std::borrow::Cow;
use std::sync::Arc;

use palisade_contract::{Operation, Response};

use crate::field::{Field, FieldSchema, FieldValue};
use crate::handler::{Handler, SharedHandler};
use crate::matcher::Matcher;

/// A path, or a family of paths, and the operations on it.
///
/// The pattern is a regular expression which has to match the whole path; its named groups become fields. See
/// [`pattern`](crate::pattern) for the usual groups.
pub struct Path<S> {
    matcher: Matcher,
    pub(crate) fields: Vec<FieldSchema>,
    /// In the order of the operations.
    operations: Vec<(Operation, SharedHandler<S, Option<Response>>)>,
    exists: Option<SharedHandler<S, bool>>,
    pub(crate) synopsis: Cow<'static, str>,
    pub(crate) description: Cow<'static, str>,
}

/// Makes a path when a request comes for it; see [`Router::path_at`](crate::Router::path_at).
pub type MakePath<S> = fn() -> Path<S>;

impl<S: Send + Sync + 'static> Path<S> {
    /// A path that matches this pattern and does nothing yet.
    pub fn new(pattern: impl Into<Cow<'static, str>>) -> Self {
        Self {
            matcher: Matcher::new(pattern.into()),
            fields: Vec::new(),
            operations: Vec::new(),
            exists: None,
            synopsis: Cow::Borrowed(""),
            description: Cow::Borrowed(""),
        }
    }

    /// Takes this field from the body, the query or the pattern's group of the same name.
    #[must_use]
    pub fn field<T: FieldValue>(mut self, field: &Field<T>) -> Self {
        self.fields.push(field.schema);
        self
    }

    /// Does this when asked for that operation. The handler is an `async fn(&S, Call<'_>) -> Answer`.
    #[must_use]
    pub fn on<H>(mut self, operation: Operation, handler: H) -> Self
    where
        H: for<'a> Handler<'a, S, Option<Response>> + 'static,
    {
        self.put(operation, Arc::new(handler));
        self
    }

    /// The last handler of an operation is the one.
    fn put(&mut self, operation: Operation, handler: SharedHandler<S, Option<Response>>) {
        match self.find(operation) {
            Ok(at) => self.operations[at].1 = handler,
            Err(at) => self.operations.insert(at, (operation, handler)),
        }
    }

    /// Does this when read.
    #[must_use]
    pub fn read<H>(self, handler: H) -> Self
    where
        H: for<'a> Handler<'a, S, Option<Response>> + 'static,
    {
        self.on(Operation::Read, handler)
    }

    /// Does this when listed.
    #[must_use]
    pub fn list<H>(self, handler: H) -> Self
    where
        H: for<'a> Handler<'a, S, Option<Response>> + 'static,
    {
        self.on(Operation::List, handler)
    }

    /// Does this when written, whether something was there (update) or not (create).
    #[must_use]
    pub fn write<H>(mut self, handler: H) -> Self
    where
        H: for<'a> Handler<'a, S, Option<Response>> + 'static,
    {
        let handler: SharedHandler<S, Option<Response>> = Arc::new(handler);
        self.put(Operation::Create, Arc::clone(&handler));
        self.put(Operation::Update, handler);
        self
    }

    /// Does this when patched.
    #[must_use]
    pub fn patch<H>(self, handler: H) -> Self
    where
        H: for<'a> Handler<'a, S, Option<Response>> + 'static,
    {
        self.on(Operation::Patch, handler)
    }

    /// Does this when deleted.
    #[must_use]
    pub fn delete<H>(self, handler: H) -> Self
    where
        H: for<'a> Handler<'a, S, Option<Response>> + 'static,
    {
        self.on(Operation::Delete, handler)
    }

    /// Tells whether something is at the path, so that the host can tell create from update. Without it, every
    /// write is an update. The check is an `async fn(&S, Call<'_>) -> Result<bool, Failure>`.
    #[must_use]
    pub fn exists<H>(mut self, check: H) -> Self
    where
        H: for<'a> Handler<'a, S, bool> + 'static,
    {
        self.exists = Some(Arc::new(check));
        self
    }

    /// What the path is for, in one line and at length.
    #[must_use]
    pub fn help(
        mut self,
        synopsis: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.synopsis = synopsis.into();
        self.description = description.into();
        self
    }
}

impl<S> Path<S> {
    pub(crate) fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    pub(crate) fn handler(
        &self,
        operation: Operation,
    ) -> Option<&SharedHandler<S, Option<Response>>> {
        let at = self.find(operation).ok()?;
        Some(&self.operations[at].1)
    }

    /// Where the operation is, or where it belongs.
    fn find(&self, operation: Operation) -> Result<usize, usize> {
        let known = |(known, _): &(Operation, _)| *known;
        self.operations.binary_search_by_key(&operation, known)
    }

    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation> {
        self.operations.iter().map(|(operation, _)| *operation)
    }

    pub(crate) fn existence_check(&self) -> Option<&SharedHandler<S, bool>> {
        self.exists.as_ref()
    }

    /// The pattern as the author wrote it, anchored as it is matched.
    pub(crate) fn pattern(&self) -> String {
        format!("^{}$", self.matcher.bare())
    }
}
