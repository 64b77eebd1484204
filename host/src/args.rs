//! The command line: Go's habits in front of clap's parser.
//!
//! Operators' fingers know `bao`, which reads flags as Go programs do. [`rewrite`] turns such a line into one that clap
//! reads the same way; [`Cli`] says which commands and flags there are; [`pairs`] reads `key=value`.

mod commands;
pub(crate) mod pairs;
mod rewrite;

pub(crate) use commands::{
    Cli, Command, Connection, Format, Input, Kv, KvDelete, KvGet, KvList, KvPut, Output, Path,
    Plugin, PluginDeregister, PluginInfo, PluginInspect, PluginList, PluginRegister, PluginReload,
    Secrets, SecretsCrashes, SecretsDisable, SecretsEnable, SecretsList, Server, Status,
};

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches};

/// Reads a command line, the program's own name first.
///
/// # Errors
///
/// The text to print and whether it was asked for: help is no fault.
pub(crate) fn parse(line: impl Iterator<Item = OsString>) -> Result<Cli, Refusal> {
    let words = line
        .map(OsString::into_string)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Refusal::fault("an argument is not UTF-8 text"))?;
    let mut grammar = Cli::command();
    grammar.build();
    let words = rewrite::rewrite(words, &grammar).map_err(Refusal::fault)?;
    grammar
        .try_get_matches_from(words)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| Refusal {
            asked_for: !error.use_stderr(),
            text: error.to_string().trim_end().to_owned(),
        })
}

/// Why there is no command to run.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Whether the user wanted this text, as with `-help`.
    pub(crate) asked_for: bool,
    /// What to print.
    pub(crate) text: String,
}

impl Refusal {
    fn fault(text: impl Into<String>) -> Self {
        Self {
            asked_for: false,
            text: text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cli(line: &str) -> Result<Cli, Refusal> {
        parse(line.split(' ').map(OsString::from))
    }

    fn register(line: &str) -> PluginRegister {
        match cli(line).expect("the line is well-formed").command {
            Command::Plugin(Plugin::Register(register)) => *register,
            other => panic!("another command: {other:?}"),
        }
    }

    #[test]
    fn one_dash_and_two_dashes_and_both_ways_to_give_a_value_mean_the_same() {
        for line in [
            "palisade plugin register -sha256=ab -command=x secret p",
            "palisade plugin register --sha256=ab --command=x secret p",
            "palisade plugin register -sha256 ab -command x secret p",
            "palisade plugin register --sha256 ab --command x secret p",
        ] {
            let register = register(line);
            assert_eq!(register.sha256.as_deref(), Some("ab"), "{line}");
            assert_eq!(register.command.as_deref(), Some("x"), "{line}");
            assert_eq!(register.names, ["secret", "p"], "{line}");
        }
    }

    #[test]
    fn a_value_may_start_with_a_dash() {
        let register = register("palisade plugin register -args -v -args=--x secret p");
        assert_eq!(register.args, ["-v", "--x"]);
    }

    #[test]
    fn a_boolean_flag_takes_its_value_only_after_an_equals_sign() {
        let enable = |line| match cli(line).expect("the line is well-formed").command {
            Command::Secrets(Secrets::Enable(enable)) => enable,
            other => panic!("another command: {other:?}"),
        };
        assert!(enable("palisade secrets enable -local kv").local);
        assert!(enable("palisade secrets enable -local=T kv").local);
        assert!(!enable("palisade secrets enable -local=0 kv").local);
        assert_eq!(enable("palisade secrets enable -local kv").names, ["kv"]);
    }

    #[test]
    fn a_boolean_that_go_would_not_read_is_refused() {
        let refusal = cli("palisade secrets enable -local=yes kv").expect_err("not a boolean");
        assert!(refusal.text.contains("yes"), "{}", refusal.text);
    }

    #[test]
    fn a_flag_after_a_positional_argument_is_refused() {
        let refusal = cli("palisade kv put secret/a -cas=1 k=v").expect_err("misplaced");
        assert!(refusal.text.contains("-cas=1"), "{}", refusal.text);
        assert!(!refusal.asked_for);
    }

    #[test]
    fn two_dashes_end_the_flags() {
        let put = match cli("palisade kv put -- secret/a -k=v")
            .expect("well-formed")
            .command
        {
            Command::Kv(Kv::Put(put)) => put,
            other => panic!("another command: {other:?}"),
        };
        assert_eq!(put.words, ["secret/a", "-k=v"]);
    }

    #[test]
    fn a_single_dash_is_an_argument() {
        let Command::Write(write) = cli("palisade write a/b -").expect("well-formed").command
        else {
            panic!("another command")
        };
        assert_eq!(write.words, ["a/b", "-"]);
    }

    #[test]
    fn help_is_asked_for_in_every_spelling() {
        for line in ["palisade -h", "palisade kv -help", "palisade kv put --help"] {
            assert!(cli(line).expect_err("help").asked_for, "{line}");
        }
    }

    #[test]
    fn the_version_is_asked_for_in_every_spelling() {
        for flag in ["-v", "-version", "--version", "version"] {
            let cli = cli(&format!("palisade {flag}")).expect("well-formed");
            assert!(matches!(cli.command, Command::Version), "{flag}");
        }
    }

    #[test]
    fn an_unknown_flag_and_a_missing_value_are_faults() {
        assert!(
            !cli("palisade status -nonsense")
                .expect_err("unknown")
                .asked_for
        );
        assert!(
            !cli("palisade status -address")
                .expect_err("no value")
                .asked_for
        );
    }

    #[test]
    fn every_command_and_flag_is_declared_without_contradiction() {
        Cli::command().debug_assert();
    }
}
