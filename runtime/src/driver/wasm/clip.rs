//! Cuts what a guest says to a length fit for an error or a log line, and makes it harmless to print.

/// The longest name of a function or an import that is shown, in characters.
const NAME_CHARS_MAX: usize = 128;

/// The longest text of a fault that is shown, in characters.
const TEXT_CHARS_MAX: usize = 1024;

/// A name, cut and escaped.
pub(super) fn name(text: &str) -> String {
    cut(text, NAME_CHARS_MAX)
}

/// A text, cut and escaped.
pub(super) fn text(text: &str) -> String {
    cut(text, TEXT_CHARS_MAX)
}

fn cut(text: &str, chars_max: usize) -> String {
    let mut shown: String = text.chars().take(chars_max).flat_map(printable).collect();
    if text.chars().nth(chars_max).is_some() {
        shown.push('…');
    }
    shown
}

/// What does not print, or changes how its neighbours do, becomes visible; everything else stays as it is.
fn printable(letter: char) -> impl Iterator<Item = char> {
    let plain = matches!(letter, '"' | '\'' | '\\');
    let escaped = (!plain).then(|| letter.escape_debug());
    escaped.into_iter().flatten().chain(plain.then_some(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_where_a_character_ends() {
        assert_eq!(name(&"ä".repeat(200)), "ä".repeat(128) + "…");
        assert_eq!(name("wasi:io/poll@0.2.0"), "wasi:io/poll@0.2.0");
    }

    #[test]
    fn what_would_move_a_terminal_is_shown_instead() {
        assert_eq!(text("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
    }
}
