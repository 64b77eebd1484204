//! Reads Rust just well enough to tell code from comments and text.

/// The words and punctuation of a source file, without comments and without what stands inside string literals.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let code = blank_out(source);
    let mut tokens = Vec::new();
    let mut word = String::new();
    for symbol in code.chars() {
        if symbol.is_alphanumeric() || symbol == '_' {
            word.push(symbol);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if !symbol.is_whitespace() {
            tokens.push(symbol.to_string());
        }
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

/// Whether a word occurs in the code of a source file.
pub(crate) fn names(source: &str, word: &str) -> bool {
    source.contains(word) && tokens(source).iter().any(|token| token == word)
}

/// The first step of every path that starts at `crate` or `super`, groups included.
pub(crate) fn first_steps(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut steps = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if !matches!(token.as_str(), "crate" | "super") {
            continue;
        }
        if let [one, two, rest @ ..] = &tokens[at + 1..]
            && (one.as_str(), two.as_str()) == (":", ":")
        {
            take_step(rest, &mut steps);
        }
    }
    steps
}

/// Takes one name, or from a group the first name of each member.
fn take_step(rest: &[String], steps: &mut Vec<String>) {
    match rest.first().map(String::as_str) {
        Some("{") => {}
        Some(name) => return steps.push(name.to_owned()),
        None => return,
    }
    let (mut depth, mut fresh) = (1, true);
    for token in &rest[1..] {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return,
            "}" => depth -= 1,
            "," if depth == 1 => fresh = true,
            name if depth == 1 && fresh => {
                steps.push(name.to_owned());
                fresh = false;
            }
            _ => {}
        }
    }
}

/// The text with comments and the insides of literals turned to spaces.
fn blank_out(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(symbol) = rest.chars().next() {
        let skipped = match symbol {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if !code.ends_with(is_word) => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(symbol);
            rest = &rest[symbol.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

fn is_word(symbol: char) -> bool {
    symbol.is_alphanumeric() || symbol == '_'
}

/// How long the comment is that starts here; block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    text.ceil_char_boundary(at)
}

/// How long the string literal is that starts here.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, symbol) in text.char_indices().skip(1) {
        match symbol {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// How long the raw string is that starts here; zero when none does.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    text[body..]
        .find(&end)
        .map_or(text.len(), |at| body + at + end.len())
}

/// How long the character literal is that starts here; zero for a lifetime.
fn character(text: &str) -> usize {
    let mut symbols = text.char_indices().skip(1);
    match symbols.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |at| 3 + at + 1),
        Some(_) => match symbols.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let source = r##"
            // unsafe
            /* unsafe /* unsafe */ unsafe */
            let a = "unsafe \" unsafe"; let b = r#"unsafe " unsafe"#; let c = '"'; let d = '\'';
            fn f<'unsafety>() {}
        "##;
        assert!(!names(source, "unsafe"));
        assert!(names("let a = '\"'; unsafe { }", "unsafe"));
    }

    #[test]
    fn the_first_steps_of_paths_and_groups_are_found() {
        let source = "use crate::{a::{x, y}, b, c::d}; use super::e::f; fn g() { crate::h::i() }";
        assert_eq!(first_steps(source), ["a", "b", "c", "e", "h"]);
    }
}
