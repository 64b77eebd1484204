//! The usual groups of path patterns.

/// A group for one name: letters, digits, `_`, and inside also `-` and `.`.
pub fn name(group: &str) -> String {
    format!(r"(?P<{group}>\w(?:[\w.-]*\w)?)")
}

/// As [`name`], with `@` allowed anywhere, as in mail addresses.
pub fn name_with_at(group: &str) -> String {
    format!(r"(?P<{group}>[\w@](?:[\w@.-]*[\w@])?)")
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

/// The pattern without the anchors that an author may write; it always matches the whole path.
pub(crate) fn without_anchors(pattern: &str) -> &str {
    pattern.trim_start_matches('^').trim_end_matches('$')
}

/// What every path that the pattern matches begins with, as far as that can be told by looking at it; without anchors.
pub(crate) fn literal_start(pattern: &str) -> &str {
    let pattern = without_anchors(pattern);
    if has_alternatives(pattern) {
        return "";
    }
    let special = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-'));
    let end = pattern.find(special).unwrap_or(pattern.len());
    let mut after = pattern[end..].chars();
    let may_be_missing = |letter: Option<char>| matches!(letter, Some('?' | '*' | '{'));
    let first = after.next();
    match may_be_missing(first) || (first == Some('+') && may_be_missing(after.next())) {
        // The last of them may be missing.
        true => &pattern[..end.saturating_sub(1)],
        false => &pattern[..end],
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
            assert_eq!(literal_start(pattern), start, "{pattern}");
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
