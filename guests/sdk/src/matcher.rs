//! Matching a request's path against the pattern of one of the backend's.
//!
//! A component is set up for each request, so no more is done here than the request needs. Most patterns are plain text,
//! perhaps with a group for the rest of the path, and need no regular expression; the others are compiled when a path
//! begins as they do.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use palisade_contract::{PluginError, PluginErrorKind};
use regex_lite::Regex;

use crate::pattern::{self, Rest};

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
    tail: Tail,
}

/// What comes after the text that stands for itself.
enum Tail {
    Nothing,
    /// A slash that may be missing.
    MaybeSlash,
    /// Whatever the path goes on with, or a group for it.
    Rest(Rest),
    Other(Box<Compiled>),
}

/// A regular expression once somebody needed it.
type Compiled = OnceLock<Result<Regex, PluginError>>;

impl Matcher {
    /// Looks at the pattern, and compiles nothing.
    pub(crate) fn new(pattern: Cow<'static, str>) -> Self {
        let bare = pattern::without_anchors(&pattern);
        let text = &pattern[bare.clone()];
        let literal = pattern::literal_start(text);
        Self {
            literal,
            tail: Tail::of(&text[literal..]),
            bare,
            pattern,
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
        let bare = self.bare();
        let Some(rest) = path.strip_prefix(self.literal()) else {
            return Ok(None);
        };
        match &self.tail {
            Tail::Nothing => Ok(rest.is_empty().then(Captures::new)),
            Tail::MaybeSlash => Ok(matches!(rest, "" | "/").then(Captures::new)),
            Tail::Rest(tail) => Ok(tail.takes(rest).then(|| {
                let name = tail.group.clone().map(|group| &bare[self.literal..][group]);
                name.map(|name| (name.to_owned(), rest.to_owned()))
                    .into_iter()
                    .collect()
            })),
            Tail::Other(regex) => Ok(groups(self.compiled(regex)?, path)),
        }
    }

    /// Finds out whether the pattern can be matched at all.
    ///
    /// # Errors
    ///
    /// It is not a regular expression.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        match &self.tail {
            Tail::Other(regex) => self.compiled(regex).map(drop),
            Tail::Nothing | Tail::MaybeSlash | Tail::Rest(_) => Ok(()),
        }
    }

    fn compiled<'a>(&self, regex: &'a Compiled) -> Result<&'a Regex, PluginError> {
        let compiled = regex.get_or_init(|| {
            let pattern = &self.pattern;
            let anchored = format!("^(?:{})$", pattern.trim_end_matches('$'));
            Regex::new(&anchored).map_err(|fault| {
                let text = format!("the path pattern {pattern:?} is malformed: {fault}");
                PluginError::new(PluginErrorKind::Internal, text)
            })
        });
        compiled.as_ref().map_err(Clone::clone)
    }
}

impl Tail {
    /// What that piece of a pattern is.
    fn of(piece: &str) -> Self {
        match piece {
            "" => Self::Nothing,
            "/?" => Self::MaybeSlash,
            _ => match pattern::as_rest(piece) {
                Some(rest) => Self::Rest(rest),
                None => Self::Other(Box::default()),
            },
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_regex(pattern: &str, path: &str) -> Option<Captures> {
        groups(&Regex::new(&format!("^(?:{pattern})$")).unwrap(), path)
    }

    fn matched(pattern: &str, path: &str) -> Option<Captures> {
        let matcher = Matcher::new(Cow::Owned(pattern.to_owned()));
        matcher.captures(path).unwrap()
    }

    #[test]
    fn what_needs_no_regular_expression_is_not_compiled() {
        for pattern in [
            "config",
            "^config$",
            "data/(?P<path>.*)",
            "x/(?P<a_1>.+)",
            ".*",
            "users/?",
        ] {
            let matcher = Matcher::new(Cow::Borrowed(pattern));
            assert!(!matches!(matcher.tail, Tail::Other(_)), "{pattern}");
        }
        for pattern in [
            "data/(?P<1>.*)",
            "data/(?P<>.*)",
            "a|b",
            "users?",
            "x(?P<a>.*)y",
        ] {
            let matcher = Matcher::new(Cow::Borrowed(pattern));
            assert!(matches!(matcher.tail, Tail::Other(_)), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_told_when_it_is_needed() {
        let matcher = Matcher::new(Cow::Borrowed("data/(?P<1>.*)"));
        assert!(matcher.captures("config").unwrap().is_none());
        assert!(matcher.captures("data/x").is_err());
        assert!(matcher.check().is_err());
    }

    proptest! {
        /// The regular expression says what is right.
        #[test]
        fn the_short_cuts_match_as_the_regular_expression_does(
            pattern in "(a|ab|a/|data/|ab\\?)?(\\(\\?P<p>\\.[*+]\\)|b|/\\?|\\(\\?:/b\\)\\?|\\.\\+|\\.\\*|a\\|b)?",
            path in "(a|b|ab|a/|data/)?[ab/\n]{0,3}",
        ) {
            prop_assert_eq!(matched(&pattern, &path), by_regex(&pattern, &path));
        }
    }
}
