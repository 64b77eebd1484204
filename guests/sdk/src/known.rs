//! A path that a router knows, perhaps made only when it is needed: a component is set up for each request, which is for
//! one path.

use std::sync::OnceLock;

use palisade_contract::{PluginError, PluginErrorKind};

use crate::matcher::Captures;
use crate::path::{MakePath, Path};

/// A path of a router. A router has many and few are looked at, so they lie elsewhere.
pub(crate) enum Known<S> {
    /// One that the author made.
    Made(Box<Path<S>>),
    /// One that is made for the first request whose path begins like that.
    At {
        start: &'static str,
        make: MakePath<S>,
        made: OnceLock<Box<Path<S>>>,
    },
}

impl<S: Send + Sync + 'static> Known<S> {
    /// A path as it is.
    pub(crate) fn made(path: Path<S>) -> Self {
        Self::Made(Box::new(path))
    }

    /// What makes the path, later.
    pub(crate) fn at(start: &'static str, make: MakePath<S>) -> Self {
        Self::At {
            start,
            make,
            made: OnceLock::new(),
        }
    }

    /// The path itself.
    pub(crate) fn path(&self) -> &Path<S> {
        match self {
            Self::Made(path) => path,
            Self::At { make, made, .. } => made.get_or_init(|| Box::new(make())),
        }
    }

    /// The named groups of the pattern when it matches the whole of `path`.
    ///
    /// # Errors
    ///
    /// The pattern is no regular expression.
    pub(crate) fn captures(&self, path: &str) -> Result<Option<Captures>, PluginError> {
        match path.starts_with(self.start()) {
            true => self.path().matcher().captures(path),
            false => Ok(None),
        }
    }

    /// Finds out whether the pattern can be matched, and only by paths that begin as was stated.
    ///
    /// # Errors
    ///
    /// It is no regular expression, or it matches others.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        let (matcher, start) = (self.path().matcher(), self.start());
        if !matcher.literal().starts_with(start) {
            let pattern = matcher.bare();
            let text = format!(
                "the path pattern {pattern:?} was added at {start:?}, and not all that it matches begins like that"
            );
            return Err(PluginError::new(PluginErrorKind::Internal, text));
        }
        matcher.check()
    }

    fn start(&self) -> &'static str {
        match self {
            Self::Made(_) => "",
            Self::At { start, .. } => start,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn at(start: &'static str) -> Known<()> {
        Known::at(start, || Path::new("things/(?P<name>.*)"))
    }

    #[test]
    fn it_is_made_once_and_for_a_request_that_begins_like_it() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let known = Known::<()>::at("things/", || {
            MADE.fetch_add(1, Ordering::Relaxed);
            Path::new("things/(?P<name>.*)")
        });
        assert_eq!(known.captures("others/a").unwrap(), None);
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        for name in ["a", "b/c"] {
            let captures = known.captures(&format!("things/{name}")).unwrap();
            assert_eq!(captures.unwrap(), [("name".to_owned(), name.to_owned())]);
        }
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_start_that_not_all_of_its_paths_have_is_found_out() {
        for start in ["", "thing", "things/"] {
            at(start).check().unwrap();
        }
        for start in ["things/a", "others/"] {
            let fault = at(start).check().unwrap_err().message;
            assert!(
                fault.contains(start) && fault.contains("things/("),
                "{fault}"
            );
        }
    }
}
