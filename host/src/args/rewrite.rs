//! Turns a command line as Go reads it into one that clap reads the same way.
//!
//! Go knows no difference between `-flag` and `--flag`, takes a value after `=` or as the next word whatever it looks
//! like, gives a boolean a value only after `=`, and stops reading flags at the first positional argument.

use clap::{ArgAction, Command};

/// Rewrites `words`, the program's own name first, for the commands and flags of `grammar`.
///
/// # Errors
///
/// A flag without its value, or one that stands where Go no longer reads flags.
pub(super) fn rewrite(words: Vec<String>, grammar: &Command) -> Result<Vec<String>, String> {
    let mut words = words.into_iter().peekable();
    let mut line: Vec<String> = words.next().into_iter().collect();
    if words.peek().is_some_and(|word| asks_for_version(word)) {
        line.push("version".to_owned());
        return Ok(line);
    }
    let mut command = grammar;
    while let Some(deeper) = words.peek().and_then(|word| command.find_subcommand(word)) {
        line.extend(words.next());
        command = deeper;
    }
    while let Some(word) = words.next_if(|word| is_flag(word)) {
        if word == "--" {
            return Ok(close(line, words));
        }
        line.push(flag(&word, command, || words.next())?);
    }
    let rest: Vec<String> = words.collect();
    refuse_misplaced(&rest)?;
    Ok(close(line, rest.into_iter()))
}

/// Adds what is left as positional arguments.
fn close(mut line: Vec<String>, rest: impl Iterator<Item = String>) -> Vec<String> {
    let mut rest = rest.peekable();
    if rest.peek().is_some() {
        line.push("--".to_owned());
        line.extend(rest);
    }
    line
}

/// As the first word; beneath a command these are flags like others.
fn asks_for_version(word: &str) -> bool {
    matches!(word, "-v" | "--v" | "-version" | "--version")
}

/// A single dash stands for standard input.
fn is_flag(word: &str) -> bool {
    word.starts_with('-') && word != "-"
}

fn flag(
    word: &str,
    command: &Command,
    next: impl FnOnce() -> Option<String>,
) -> Result<String, String> {
    let bare = word.trim_start_matches('-');
    if bare == "h" || bare == "help" {
        return Ok("--help".to_owned());
    }
    if bare.contains('=') || !takes_value(command, bare) {
        return Ok(format!("--{bare}"));
    }
    let value = next().ok_or_else(|| format!("flag needs an argument: -{bare}"))?;
    Ok(format!("--{bare}={value}"))
}

/// Whether the next word belongs to the flag. An unknown flag is left for clap to refuse.
fn takes_value(command: &Command, name: &str) -> bool {
    command
        .get_arguments()
        .find(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long() == Some(name) || aliases.contains(&name)
        })
        .is_some_and(|arg| {
            matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
                && !arg.is_require_equals_set()
        })
}

fn refuse_misplaced(rest: &[String]) -> Result<(), String> {
    let before_dashes = rest.iter().take_while(|word| *word != "--");
    let misplaced: Vec<_> = before_dashes
        .filter(|word| is_flag(word))
        .cloned()
        .collect();
    if misplaced.is_empty() {
        return Ok(());
    }
    Err(format!(
        "Command flags must be provided before positional arguments. These come after one: [{}]. \
         Put -- in front of the first positional argument if they are arguments themselves.",
        misplaced.join(" ")
    ))
}
