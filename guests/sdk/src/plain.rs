//! Patterns that need no regular expression: text, names and the rest of the path, as most paths of a backend are written.
//!
//! What is found here is what the regular expression would find. Whatever is written in another way, even if it means the
//! same, is left to that.

use std::ops::Range;

use crate::matcher::Captures;
use crate::pattern::{NAME, NAME_WITH_AT, is_word, text_length};

/// The pieces of a pattern in their order.
pub(crate) struct Plain(Vec<Piece>);

/// Where in the pattern something stands.
type Place = Range<usize>;

enum Piece {
    /// Text that stands for itself.
    Text(Place),
    /// A group for one name.
    Name { group: Place, letters: Letters },
    /// The rest of the path.
    Rest { group: Option<Place>, least: usize },
    /// All of this, or nothing.
    Maybe(Plain),
}

/// What a name may hold anywhere; inside, also `-` and `.`.
#[derive(Clone, Copy)]
enum Letters {
    Word,
    WordOrAt,
}

impl Plain {
    /// The pieces of a pattern that has no anchors, unless it needs a regular expression.
    pub(crate) fn of(pattern: &str) -> Option<Self> {
        let mut reader = Reader {
            pattern,
            at: 0,
            groups: Vec::new(),
        };
        reader.pieces(pattern.len())
    }

    /// The named groups of `pattern`, whose pieces these are, when it matches the whole of `path`.
    pub(crate) fn captures(&self, pattern: &str, path: &str) -> Option<Captures> {
        let mut captures = Captures::new();
        self.take(pattern, path, &mut captures)?;
        Some(captures)
    }

    fn take(&self, pattern: &str, mut path: &str, captures: &mut Captures) -> Option<()> {
        for piece in &self.0 {
            let (group, length) = match piece {
                Piece::Text(text) => {
                    let text = &pattern[text.clone()];
                    (None, path.starts_with(text).then_some(text.len())?)
                }
                Piece::Name { group, letters } => (Some(group), letters.name_in(path)?),
                // As a dot in a regular expression: anything but the end of a line.
                Piece::Rest { group, least } => {
                    let is_taken = path.len() >= *least && !path.contains('\n');
                    (group.as_ref(), is_taken.then_some(path.len())?)
                }
                Piece::Maybe(_) if path.is_empty() => (None, 0),
                Piece::Maybe(rest) => return rest.take(pattern, path, captures),
            };
            let (caught, rest) = path.split_at(length);
            if let Some(group) = group {
                captures.push((pattern[group.clone()].to_owned(), caught.to_owned()));
            }
            path = rest;
        }
        path.is_empty().then_some(())
    }
}

impl Letters {
    /// Those of the name that a group is for, and what comes after the group; `inner` begins after the group's own name.
    fn written_in(inner: &str) -> Option<(Self, &str)> {
        let ways = [(NAME, Self::Word), (NAME_WITH_AT, Self::WordOrAt)];
        ways.into_iter().find_map(|(written, letters)| {
            let after = inner.strip_prefix(written)?.strip_prefix(')')?;
            Some((letters, after))
        })
    }

    /// The length of the name that `path` begins with, up to where no name could go on.
    fn name_in(self, path: &str) -> Option<usize> {
        let bytes = path.as_bytes();
        let is_inside = |byte: u8| self.has(byte) || byte == b'-' || byte == b'.';
        let length = bytes.iter().position(|byte| !is_inside(*byte));
        let name = &bytes[..length.unwrap_or(bytes.len())];
        let (first, last) = (name.first()?, name.last()?);
        (self.has(*first) && self.has(*last)).then_some(name.len())
    }

    fn has(self, byte: u8) -> bool {
        is_word(byte) || matches!((self, byte), (Self::WordOrAt, b'@'))
    }
}

/// How a group begins.
const GROUP: &str = "(?P<";

/// Reads a pattern from its beginning to its end.
struct Reader<'a> {
    pattern: &'a str,
    at: usize,
    groups: Vec<&'a str>,
}

impl Reader<'_> {
    /// What stands before `end`, if all of it is plain.
    fn pieces(&mut self, end: usize) -> Option<Plain> {
        let mut pieces = Vec::new();
        while self.at < end {
            let left = &self.pattern[self.at..end];
            pieces.push(match left {
                "/?" => self.maybe("", "?", end)?,
                _ if left.starts_with("(?:/") => self.maybe("(?:", ")?", end)?,
                _ if left.starts_with(GROUP) => self.group(end)?,
                ".*" | ".+" => self.rest(None, left, end)?,
                _ => self.text(left)?,
            });
        }
        Some(Plain(pieces))
    }

    /// What may be missing as a whole; it begins with a slash, and the pattern ends with it.
    fn maybe(&mut self, opening: &str, closing: &str, end: usize) -> Option<Piece> {
        let left = &self.pattern[self.at..end];
        left.strip_suffix(closing)?;
        self.at += opening.len();
        let inner = self.pieces(end - closing.len())?;
        self.at = end;
        Some(Piece::Maybe(inner))
    }

    /// A group, with which a rest or a name begins.
    fn group(&mut self, end: usize) -> Option<Piece> {
        let left = &self.pattern[self.at + GROUP.len()..end];
        let (name, inner) = left.split_once('>')?;
        if !is_name(name) || self.groups.contains(&name) {
            return None;
        }
        self.groups.push(name);
        let start = self.at + GROUP.len();
        let group = start..start + name.len();
        match Letters::written_in(inner) {
            Some((letters, after)) => self.name(group, letters, after, end),
            None => self.rest(Some(group), inner.strip_suffix(')')?, end),
        }
    }

    /// A name, which only a slash can end.
    fn name(&mut self, group: Place, letters: Letters, after: &str, end: usize) -> Option<Piece> {
        self.at = end - after.len();
        let is_ended = after.is_empty() || after.starts_with('/') || after.starts_with("(?:/");
        is_ended.then_some(Piece::Name { group, letters })
    }

    /// The rest of the path, which nothing follows.
    fn rest(&mut self, group: Option<Place>, written: &str, end: usize) -> Option<Piece> {
        self.at = end;
        let least = match written {
            ".*" => 0,
            ".+" => 1,
            _ => return None,
        };
        Some(Piece::Rest { group, least })
    }

    fn text(&mut self, left: &str) -> Option<Piece> {
        let mut length = text_length(left);
        let next = left.as_bytes().get(length);
        if next.is_some_and(|it| b"?*+{".contains(it)) {
            // The last of it may be missing, or come again: only a slash at the end is plain then.
            length = length.checked_sub(1)?;
        }
        let start = self.at;
        self.at += length;
        (length > 0).then_some(Piece::Text(start..self.at))
    }
}

/// Whether a group may be called that.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(is_word)
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::matcher::by_regex;
    use crate::pattern;

    #[test]
    fn what_the_usual_groups_make_is_plain() {
        for written in [
            "config".to_owned(),
            "users/?".to_owned(),
            ".*".to_owned(),
            "echo(?:/.*)?".to_owned(),
            format!("data/{}", pattern::rest("path")),
            format!("data/{}", pattern::some_rest("a_1")),
            format!("keys{}", pattern::optional_name("key")),
            format!(
                "roles/{}/creds/{}",
                pattern::name("role"),
                pattern::name("id")
            ),
            format!("login/{}/?", pattern::name_with_at("user")),
        ] {
            assert!(Plain::of(&written).is_some(), "{written}");
        }
    }

    #[test]
    fn what_is_written_otherwise_needs_a_regular_expression() {
        let name = pattern::name("a");
        for written in [
            "data/(?P<1>.*)",
            "data/(?P<>.*)",
            "a|b",
            "users?",
            "users/?x",
            "x(?P<a>.*)y",
            "(?:/a)?(?:/b)?",
            "(?:/a|/b)?",
            "(?:a)?",
            r"a\.b",
            &format!("{name}x"),
            &format!("{name}?"),
            &format!("{name}/{name}"),
            &format!("{name}(?:x)?"),
        ] {
            assert!(Plain::of(written).is_none(), "{written}");
        }
    }

    /// Patterns of pieces that are plain or nearly so.
    fn patterns() -> impl Strategy<Value = String> {
        let pieces = [
            "a",
            "/",
            "a/b",
            "-",
            "?",
            "+",
            "_",
            "{",
            "*",
            ".",
            "(?:/",
            "(?:",
            ")?",
            ")",
            "/?",
            "|",
            "(?P<r>.*)",
            "(?P<s>.+)",
            ".*",
            ".+",
            r"(?P<n>\w(?:[\w.-]*\w)?)",
            r"(?P<m>\w(?:[\w.-]*\w)?)",
            r"(?P<w>[\w@](?:[\w@.-]*[\w@])?)",
            r"(?:/(?P<o>\w(?:[\w.-]*\w)?))?",
            "(?:/.*)?",
            "(?:/(?P<t>.+))?",
        ];
        let written = proptest::collection::vec(select(pieces.to_vec()), 0..5);
        written.prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// The regular expression says what is right.
        #[test]
        fn what_is_plain_matches_as_the_regular_expression_does(
            pattern in patterns(),
            path in "[ab/.@é_\n-]{0,6}",
        ) {
            if let Some(plain) = Plain::of(&pattern) {
                prop_assert_eq!(plain.captures(&pattern, &path), by_regex(&pattern, &path));
            }
        }
    }
}
