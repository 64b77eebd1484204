//! Data on a command line: `key=value`, `key=@file`, `key=-`, a lone `@file` or `-` with JSON.

use std::io::Read;

use serde_json::{Map, Value};

/// As much as a request's body may be.
const INPUT_BYTES_MAX: u64 = 32 << 20;

/// Reads the words into one JSON object. A key given twice becomes a list, as `bao` does it.
///
/// # Errors
///
/// Which word is not understood, or why a file or standard input cannot be read.
pub(crate) fn object(words: &[String], stdin: impl Read) -> Result<Map<String, Value>, String> {
    let mut data = Map::new();
    let mut stdin = Once(Some(stdin));
    for word in words {
        read_word(word, &mut stdin, &mut data)?;
    }
    Ok(data)
}

/// Reads the words into key and text, as options and queries want them.
///
/// # Errors
///
/// As [`object`].
pub(crate) fn strings(words: &[String], stdin: impl Read) -> Result<Vec<(String, String)>, String> {
    let mut stdin = Once(Some(stdin));
    words
        .iter()
        .map(|word| {
            let (key, value) = split(word)?;
            Ok((key.to_owned(), text(value, &mut stdin)?))
        })
        .collect()
}

fn read_word<R: Read>(
    word: &str,
    stdin: &mut Once<R>,
    data: &mut Map<String, Value>,
) -> Result<(), String> {
    if word == "-" {
        return merge(&stdin.take()?, "standard input", data);
    }
    if let Some(path) = word.strip_prefix('@') {
        return merge(&file(path)?, path, data);
    }
    let (key, value) = split(word)?;
    let value = Value::String(text(value, stdin)?);
    match data.get_mut(key) {
        None => {
            data.insert(key.to_owned(), value);
        }
        Some(Value::Array(earlier)) => earlier.push(value),
        Some(earlier) => {
            let first = earlier.take();
            *earlier = Value::Array(vec![first, value]);
        }
    }
    Ok(())
}

fn split(word: &str) -> Result<(&str, &str), String> {
    match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        _ => Err(format!(
            "invalid key/value pair {word:?}: format must be key=value"
        )),
    }
}

fn text<R: Read>(value: &str, stdin: &mut Once<R>) -> Result<String, String> {
    match value.strip_prefix('@') {
        Some(path) => file(path),
        None if value == "-" => stdin.take(),
        // An escaped at-sign is a value that starts with one.
        None => Ok(value
            .strip_prefix('\\')
            .filter(|rest| rest.starts_with('@'))
            .unwrap_or(value)
            .to_owned()),
    }
}

fn merge(json: &str, source: &str, data: &mut Map<String, Value>) -> Result<(), String> {
    // The parser's own text could quote a secret; its place is enough.
    let object: Map<String, Value> = serde_json::from_str(json).map_err(|fault| {
        format!(
            "invalid JSON object in {source}: see line {}, column {}",
            fault.line(),
            fault.column()
        )
    })?;
    data.extend(object);
    Ok(())
}

fn file(path: &str) -> Result<String, String> {
    let file = std::fs::File::open(path)
        .map_err(|fault| format!("error reading file {path:?}: {fault}"))?;
    bounded(file, path)
}

fn bounded(source: impl Read, name: &str) -> Result<String, String> {
    let mut text = String::new();
    source
        .take(INPUT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|fault| format!("error reading {name}: {fault}"))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(format!("{name} has more than {INPUT_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// Standard input, which can be used up once.
struct Once<R>(Option<R>);

impl<R: Read> Once<R> {
    fn take(&mut self) -> Result<String, String> {
        let source = self
            .0
            .take()
            .ok_or("standard input can be used once only")?;
        bounded(source, "standard input")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(words: &[&str], stdin: &str) -> Result<Value, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        object(&words, stdin.as_bytes()).map(Value::Object)
    }

    #[test]
    fn a_value_may_contain_equals_signs_and_be_empty() {
        assert_eq!(read(&["a=b=c", "d="], ""), Ok(json!({"a": "b=c", "d": ""})));
    }

    #[test]
    fn a_key_given_twice_becomes_a_list() {
        assert_eq!(
            read(&["a=1", "a=2", "a=3"], ""),
            Ok(json!({"a": ["1", "2", "3"]}))
        );
    }

    #[test]
    fn a_value_comes_from_a_file_or_from_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, "from a file\n").unwrap();
        let word = format!("a=@{}", path.display());
        assert_eq!(
            read(&[&word, "b=-"], "from stdin"),
            Ok(json!({"a": "from a file\n", "b": "from stdin"}))
        );
    }

    #[test]
    fn a_lone_dash_is_a_json_object_whose_numbers_keep_their_digits() {
        let digits = "123456789012345678901234567890.10";
        let data = read(&["-"], &format!("{{\"n\":{digits}}}")).unwrap();
        assert_eq!(data.to_string(), format!("{{\"n\":{digits}}}"));
    }

    #[test]
    fn an_escaped_at_sign_is_a_value() {
        assert_eq!(read(&[r"a=\@b"], ""), Ok(json!({"a": "@b"})));
    }

    #[test]
    fn what_is_no_pair_is_refused_and_bad_json_is_not_echoed() {
        assert!(read(&["nonsense"], "").unwrap_err().contains("key=value"));
        assert!(read(&["=x"], "").is_err());
        let fault = read(&["-"], "{\"password\": hunter2}").unwrap_err();
        assert!(!fault.contains("hunter2"), "{fault}");
    }

    #[test]
    fn standard_input_is_used_once_only() {
        assert!(read(&["a=-", "b=-"], "x").unwrap_err().contains("once"));
    }
}
