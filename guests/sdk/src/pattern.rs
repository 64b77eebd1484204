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
    fn an_optional_name_may_be_missing() {
        let pattern = format!("keys{}", optional_name("key"));
        assert!(matches(&pattern, "keys"));
        assert!(matches(&pattern, "keys/a"));
        assert!(!matches(&pattern, "keys/"));
    }
}
