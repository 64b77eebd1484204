//! The paths that a plugin asks to be treated specially: clipped, since what a plugin says is input, and matched.

use palisade_contract::SpecialPaths;

/// The most paths of each sort.
const PATHS_MAX: usize = 1000;

/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 512;

/// What is left of `said`: relative paths of printable characters, of a bounded length and number. What is dropped is
/// logged: dropping a path takes a privilege away and never gives one, but its author should know.
pub(crate) fn clip(plugin: &str, said: &SpecialPaths) -> SpecialPaths {
    let keep = |paths: &[String]| clip_all(plugin, paths);
    SpecialPaths {
        root: clip_root(plugin, &said.root),
        unauthenticated: keep(&said.unauthenticated),
        local_storage: keep(&said.local_storage),
        seal_wrap_storage: keep(&said.seal_wrap_storage),
        write_forwarded_storage: keep(&said.write_forwarded_storage),
        safe_reads: keep(&said.safe_reads),
    }
}

/// Whether one of `patterns` is for `path`: exact, a prefix when it ends in `*`, and `+` for any one segment.
pub(super) fn covers(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| is_for(pattern, path))
}

fn is_for(pattern: &str, path: &str) -> bool {
    let (pattern, is_prefix) = match pattern.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (pattern, false),
    };
    let wanted: Vec<_> = pattern.split('/').collect();
    let given: Vec<_> = path.split('/').collect();
    let (Some(last), count) = (wanted.last(), wanted.len()) else {
        return false;
    };
    let fits = |(wanted, given): (&&str, &&str)| *wanted == "+" || wanted == given;
    let ends = |given: &&str| match is_prefix {
        true => given.starts_with(last),
        false => *last == "+" || last == given,
    };
    (is_prefix || given.len() == count)
        && given.get(count - 1).is_some_and(ends)
        && wanted.iter().zip(&given).take(count - 1).all(fits)
}

/// A root path is a restriction: one that cannot be kept as it is turns into a restriction of everything.
fn clip_root(plugin: &str, paths: &[String]) -> Vec<String> {
    let kept = clip_all(plugin, paths);
    match kept.len() == paths.len() {
        true => kept,
        false => vec!["*".to_owned()],
    }
}

fn clip_all(plugin: &str, paths: &[String]) -> Vec<String> {
    let kept: Vec<_> = paths
        .iter()
        .filter(|path| is_acceptable(path))
        .take(PATHS_MAX)
        .cloned()
        .collect();
    let dropped = paths.len() - kept.len();
    if dropped > 0 {
        tracing::warn!(
            plugin,
            dropped,
            "special paths of the plugin are not acceptable"
        );
    }
    kept
}

fn is_acceptable(path: &str) -> bool {
    let printable = path.chars().all(|c| !c.is_control());
    let relative = !path.starts_with('/') && path.split('/').all(|segment| segment != "..");
    !path.is_empty() && path.len() <= PATH_BYTES_MAX && printable && relative
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(all: &[&str]) -> Vec<String> {
        all.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn good_paths_stay_and_odd_ones_go() {
        let long = "x".repeat(PATH_BYTES_MAX + 1);
        let said = SpecialPaths {
            unauthenticated: paths(&["login/*", "a/+/b", "/abs", "a/../b", "a\nb", "", &long]),
            ..SpecialPaths::default()
        };
        assert_eq!(clip("p", &said).unauthenticated, ["login/*", "a/+/b"]);
    }

    #[test]
    fn a_pattern_is_exact_or_a_prefix_or_has_a_segment_of_any_name() {
        for (pattern, path, fits) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("data/*", "data/a/b", true),
            ("data/*", "data/", true),
            ("data/*", "data", false),
            ("da*", "data/x", true),
            ("config", "config", true),
            ("config", "config/x", false),
            ("+/config", "a/config", true),
            ("+/config", "a/b/config", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+/c*", "a/b/cd/e", true),
            ("a/+/c*", "a/b/d", false),
        ] {
            assert_eq!(covers(&paths(&[pattern]), path), fits, "{pattern} {path}");
        }
        assert!(!covers(&[], "a"));
    }

    #[test]
    fn more_paths_than_the_cap_are_cut() {
        let said = SpecialPaths {
            local_storage: vec!["a/".to_owned(); PATHS_MAX + 5],
            ..SpecialPaths::default()
        };
        assert_eq!(clip("p", &said).local_storage.len(), PATHS_MAX);
    }

    #[test]
    fn a_restriction_that_cannot_be_kept_restricts_everything() {
        let said = SpecialPaths {
            root: paths(&["config", "a\0"]),
            ..SpecialPaths::default()
        };
        assert_eq!(clip("p", &said).root, ["*"]);
        let fine = SpecialPaths {
            root: paths(&["config"]),
            ..SpecialPaths::default()
        };
        assert_eq!(clip("p", &fine).root, ["config"]);
    }
}
