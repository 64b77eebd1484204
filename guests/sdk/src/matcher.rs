//! Matching a request's path against the pattern of one of the backend's.
//!
//! A component is set up for each request, so no more is done here than the request needs: a pattern is read when a path
//! begins as it does, and most patterns are plain and need no regular expression.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use palisade_contract::{PluginError, PluginErrorKind};
use regex_lite::Regex;

use crate::pattern;
use crate::plain::Plain;

/// What a pattern's named groups caught, by their names.
pub(crate) type Captures = Vec<(String, String)>;

/// A pattern that has to match the whole of a path.
pub(crate) struct Matcher {
    /// As the author wrote it.
    pattern: Cow<'static, str>,
    /// Where in it the anchors end and begin that the author may have written.
    bare: Range<usize>,
    /// How much of the bare pattern, from its start, stands for itself.
    literal: usize,
    /// Once somebody needed it.
    way: OnceLock<Way>,
}

/// How a pattern is matched.
enum Way {
    Plain(Plain),
    Regex(Box<Regex>),
    /// It is none; why.
    Malformed(PluginError),
}

impl Matcher {
    /// Looks for the anchors and for the text that every path begins with, and no further.
    pub(crate) fn new(pattern: Cow<'static, str>) -> Self {
        let bare = pattern::without_anchors(&pattern);
        Self {
            literal: pattern::literal_start(&pattern[bare.clone()]),
            bare,
            pattern,
            way: OnceLock::new(),
        }
    }

    /// The pattern without the anchors that the author wrote.
    pub(crate) fn bare(&self) -> &str {
        &self.pattern[self.bare.clone()]
    }

    /// What every path begins with that the pattern matches.
    pub(crate) fn literal(&self) -> &str {
        &self.bare()[..self.literal]
    }

    /// The pattern's named groups when it matches the whole of `path`.
    ///
    /// # Errors
    ///
    /// It is not a regular expression.
    pub(crate) fn captures(&self, path: &str) -> Result<Option<Captures>, PluginError> {
        if !path.starts_with(self.literal()) {
            return Ok(None);
        }
        match self.way() {
            Way::Plain(plain) => Ok(plain.captures(self.bare(), path)),
            Way::Regex(regex) => Ok(groups(regex, path)),
            Way::Malformed(error) => Err(error.clone()),
        }
    }

    /// Finds out whether the pattern can be matched at all.
    ///
    /// # Errors
    ///
    /// It is not a regular expression.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        match self.way() {
            Way::Plain(_) | Way::Regex(_) => Ok(()),
            Way::Malformed(error) => Err(error.clone()),
        }
    }

    fn way(&self) -> &Way {
        self.way.get_or_init(|| match Plain::of(self.bare()) {
            Some(plain) => Way::Plain(plain),
            None => self.compiled(),
        })
    }

    fn compiled(&self) -> Way {
        let pattern = &self.pattern;
        let anchored = format!("^(?:{})$", pattern.trim_end_matches('$'));
        match Regex::new(&anchored) {
            Ok(regex) => Way::Regex(Box::new(regex)),
            Err(fault) => {
                let text = format!("the path pattern {pattern:?} is malformed: {fault}");
                Way::Malformed(PluginError::new(PluginErrorKind::Internal, text))
            }
        }
    }
}

fn groups(regex: &Regex, path: &str) -> Option<Captures> {
    let found = regex.captures(path)?;
    let named = regex.capture_names().flatten().filter_map(|name| {
        let group = found.name(name)?;
        Some((name.to_owned(), group.as_str().to_owned()))
    });
    Some(named.collect())
}

/// What the regular expression says of a pattern without anchors.
#[cfg(test)]
pub(crate) fn by_regex(pattern: &str, path: &str) -> Option<Captures> {
    let regex = Regex::new(&format!("^(?:{pattern})$")).unwrap();
    groups(&regex, path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matched(pattern: &str, path: &str) -> Option<Captures> {
        let matcher = Matcher::new(Cow::Owned(pattern.to_owned()));
        matcher.captures(path).unwrap()
    }

    #[test]
    fn a_pattern_is_read_when_a_path_begins_like_it() {
        let matcher = Matcher::new(Cow::Borrowed("data/(?P<a>.*)"));
        assert!(matcher.captures("config").unwrap().is_none());
        assert!(matcher.way.get().is_none());
        assert!(matcher.captures("data/x").unwrap().is_some());
        assert!(matches!(matcher.way.get(), Some(Way::Plain(_))));
    }

    #[test]
    fn a_plain_pattern_with_anchors_is_not_compiled() {
        for pattern in ["^config$", "^data/(?P<a>.*)", "users/?$"] {
            let matcher = Matcher::new(Cow::Borrowed(pattern));
            assert!(matches!(matcher.way(), Way::Plain(_)), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_told_when_it_is_needed() {
        let matcher = Matcher::new(Cow::Borrowed("data/(?P<1>.*)"));
        assert!(matcher.captures("config").unwrap().is_none());
        assert!(matcher.captures("data/x").is_err());
        assert!(matcher.check().is_err());
    }

    #[test]
    fn anchors_change_nothing() {
        let bare = "things/(?P<a>.*)";
        for pattern in [
            bare,
            &format!("^{bare}"),
            &format!("^{bare}$"),
            &format!("^(?:{bare})$"),
        ] {
            let caught = matched(pattern, "things/b/c").unwrap();
            assert_eq!(caught, [("a".to_owned(), "b/c".to_owned())], "{pattern}");
            assert_eq!(matched(pattern, "others/b"), None, "{pattern}");
        }
    }

    proptest! {
        /// The regular expression says what is right.
        #[test]
        fn patterns_match_as_their_regular_expressions_do(
            pattern in "(a|ab|a/|data/|ab\\?)?(\\(\\?P<p>\\.[*+]\\)|b|/\\?|\\(\\?:/b\\)\\?|\\.\\+|\\.\\*|a\\|b)?",
            path in "(a|b|ab|a/|data/)?[ab/\n]{0,3}",
        ) {
            prop_assert_eq!(matched(&pattern, &path), by_regex(&pattern, &path));
        }
    }
}
