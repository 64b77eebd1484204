//! Booleans in words, wherever a person or a script writes one: a flag, a field, a query, a variable.

/// What Go's `strconv.ParseBool` makes of a word.
pub(crate) fn parse(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
