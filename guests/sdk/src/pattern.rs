//! The usual groups of path patterns.

use std::ops::Range;

/// One name, as a regular expression.
pub(crate) const NAME: &str = r"\w(?:[\w.-]*\w)?";

/// One name in which `@` may come.
pub(crate) const NAME_WITH_AT: &str = r"[\w@](?:[\w@.-]*[\w@])?";

/// A group for one name: letters, digits, `_`, and inside also `-` and `.`.
pub fn name(group: &str) -> String {
    format!("(?P<{group}>{NAME})")
}

/// As [`name`], with `@` allowed anywhere, as in mail addresses.
pub fn name_with_at(group: &str) -> String {
    format!("(?P<{group}>{NAME_WITH_AT})")
}

/// A group for the rest of the path, slashes included; it may be empty.
pub fn rest(group: &str) -> String {
    format!("(?P<{group}>.*)")
}

/// A group for the rest of the path that must not be empty.
pub fn some_rest(group: &str) -> String {
    format!("(?P<{group}>.+)")
}

/// A slash and a group for one name, or neither.
pub fn optional_name(group: &str) -> String {
    format!("(?:/{})?", name(group))
}

/// Where in the pattern the anchors end and begin that an author may write; it always matches the whole path.
pub(crate) fn without_anchors(pattern: &str) -> Range<usize> {
    let bytes = pattern.as_bytes();
    let is_no_anchor = |anchor| move |byte: &u8| *byte != anchor;
    let end = bytes.iter().rposition(is_no_anchor(b'$'));
    let end = end.map_or(0, |last| last + 1);
    let start = bytes[..end].iter().position(is_no_anchor(b'^'));
    start.unwrap_or(end)..end
}

/// How many letters at the beginning of a pattern stand for themselves, if nothing after them says otherwise of the last one.
pub(crate) fn text_length(pattern: &str) -> usize {
    let is_text = |byte: u8| is_word(byte) || b"/-".contains(&byte);
    let other = pattern.bytes().position(|byte| !is_text(byte));
    other.unwrap_or(pattern.len())
}

/// Whether a `\w` takes that.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// How many bytes every path begins with that the pattern matches, as far as that can be told by looking at it.
pub(crate) fn literal_start(pattern: &str) -> usize {
    let bytes = pattern.as_bytes();
    if bytes.contains(&b'|') && has_alternatives(pattern) {
        return 0;
    }
    let end = text_length(pattern);
    let may_be_missing = |byte: Option<&u8>| matches!(byte, Some(b'?' | b'*' | b'{'));
    let (first, second) = (bytes.get(end), bytes.get(end + 1));
    match may_be_missing(first) || (first == Some(&b'+') && may_be_missing(second)) {
        // The last of them may be missing.
        true => end.saturating_sub(1),
        false => end,
    }
}

/// Whether it has a `|` outside of its groups, or a class that makes that hard to tell.
fn has_alternatives(pattern: &str) -> bool {
    let (mut depth, mut in_class, mut is_escaped) = (0_usize, false, false);
    for letter in pattern.chars() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ']' => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    // A class may begin with the bracket that ends others, or hold another one.
    ["[]", "[^]", "[["].iter().any(|odd| pattern.contains(odd))
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Regex::new(&format!("^(?:{pattern})$"))
            .unwrap()
            .is_match(path)
    }

    #[test]
    fn a_name_has_no_slash_and_no_dot_at_its_ends() {
        let pattern = format!("users/{}", name("user"));
        assert!(matches(&pattern, "users/alice"));
        assert!(matches(&pattern, "users/a.b-c_1"));
        assert!(matches(&pattern, "users/a"));
        assert!(!matches(&pattern, "users/"));
        assert!(!matches(&pattern, "users/.alice"));
        assert!(!matches(&pattern, "users/alice/x"));
    }

    #[test]
    fn a_rest_takes_slashes() {
        assert!(matches(&format!("data/{}", rest("path")), "data/a/b"));
        assert!(matches(&format!("data/{}", rest("path")), "data/"));
        assert!(!matches(&format!("data/{}", some_rest("path")), "data/"));
    }

    #[test]
    fn the_literal_start_is_what_every_match_begins_with() {
        for (pattern, start) in [
            ("config", "config"),
            ("^config/urls$", "config/urls"),
            ("data/(?P<path>.*)", "data/"),
            ("keys(?:/x)?", "keys"),
            ("users?/x", "user"),
            ("ab*c", "a"),
            ("ab{0,3}c", "a"),
            ("ab+*c", "a"),
            ("ab+c", "ab"),
            ("a[[:alpha:](]|b", ""),
            ("a.b", "a"),
            (r"a\.b", "a"),
            ("a|b", ""),
            ("a(b|c)d", "a"),
            (r"a\(b|c", ""),
            ("a[|]b", "a"),
            ("a[(]b|c", ""),
            ("a[]|(]b", ""),
            ("(?i)config", ""),
            ("", ""),
        ] {
            let bare = &pattern[without_anchors(pattern)];
            assert_eq!(&bare[..literal_start(bare)], start, "{pattern}");
        }
    }

    #[test]
    fn an_optional_name_may_be_missing() {
        let pattern = format!("keys{}", optional_name("key"));
        assert!(matches(&pattern, "keys"));
        assert!(matches(&pattern, "keys/a"));
        assert!(!matches(&pattern, "keys/"));
    }
}
