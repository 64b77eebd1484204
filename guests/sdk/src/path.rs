//! One path of a backend: a pattern, the fields it takes, and what it does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use palisade_contract::{Operation, PluginError, PluginErrorKind, Response};
use regex_lite::Regex;

use crate::field::{Field, FieldSchema, FieldValue};
use crate::handler::{Handler, SharedHandler};
use crate::pattern;

/// A path, or a family of paths, and the operations on it.
///
/// The pattern is a regular expression which has to match the whole path; its named groups become fields. See
/// [`pattern`](crate::pattern) for the usual groups.
pub struct Path<S> {
    pattern: Cow<'static, str>,
    pub(crate) fields: Vec<FieldSchema>,
    operations: BTreeMap<Operation, SharedHandler<S, Option<Response>>>,
    exists: Option<SharedHandler<S, bool>>,
    pub(crate) synopsis: Cow<'static, str>,
    pub(crate) description: Cow<'static, str>,
}

impl<S: Send + Sync + 'static> Path<S> {
    /// A path that matches this pattern and does nothing yet.
    pub fn new(pattern: impl Into<Cow<'static, str>>) -> Self {
        Self {
            pattern: pattern.into(),
            fields: Vec::new(),
            operations: BTreeMap::new(),
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
        self.operations.insert(operation, Arc::new(handler));
        self
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
        self.operations
            .insert(Operation::Create, Arc::clone(&handler));
        self.operations.insert(Operation::Update, handler);
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

    /// Makes it ready to match.
    pub(crate) fn route(self) -> Route<S> {
        Route {
            literal: pattern::literal_start(&self.pattern).len(),
            regex: OnceLock::new(),
            path: self,
        }
    }
}

/// A path that is looked for.
///
/// A component is set up for each request, so no more is done here than the request needs: the pattern of a path that
/// begins otherwise is never compiled.
pub(crate) struct Route<S> {
    /// How much of the pattern stands for itself, in bytes.
    literal: usize,
    regex: OnceLock<Result<Regex, PluginError>>,
    path: Path<S>,
}

impl<S> Route<S> {
    /// The pattern's named groups when it matches the whole of `path`.
    pub(crate) fn captures(
        &self,
        path: &str,
    ) -> Result<Option<Vec<(String, String)>>, PluginError> {
        if !path.starts_with(&self.bare_pattern()[..self.literal]) {
            return Ok(None);
        }
        let regex = self.regex()?;
        let Some(found) = regex.captures(path) else {
            return Ok(None);
        };
        let named = regex.capture_names().flatten().filter_map(|name| {
            let group = found.name(name)?;
            Some((name.to_owned(), group.as_str().to_owned()))
        });
        Ok(Some(named.collect()))
    }

    /// The pattern, compiled when it is first needed.
    ///
    /// # Errors
    ///
    /// It is not a regular expression.
    pub(crate) fn regex(&self) -> Result<&Regex, PluginError> {
        let compiled = self.regex.get_or_init(|| {
            let pattern = &self.path.pattern;
            let anchored = format!("^(?:{})$", pattern.trim_end_matches('$'));
            Regex::new(&anchored).map_err(|fault| {
                let text = format!("the path pattern {pattern:?} is malformed: {fault}");
                PluginError::new(PluginErrorKind::Internal, text)
            })
        });
        compiled.as_ref().map_err(Clone::clone)
    }

    /// The pattern without the anchors that the author wrote.
    fn bare_pattern(&self) -> &str {
        pattern::without_anchors(&self.path.pattern)
    }

    pub(crate) fn handler(
        &self,
        operation: Operation,
    ) -> Option<&SharedHandler<S, Option<Response>>> {
        self.path.operations.get(&operation)
    }

    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation> {
        self.path.operations.keys().copied()
    }

    pub(crate) fn existence_check(&self) -> Option<&SharedHandler<S, bool>> {
        self.path.exists.as_ref()
    }

    pub(crate) fn path(&self) -> &Path<S> {
        &self.path
    }

    /// The pattern as the author wrote it, anchored as it is matched.
    pub(crate) fn pattern(&self) -> String {
        let bare = self.bare_pattern();
        format!("^{bare}$")
    }
}
