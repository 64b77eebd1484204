//! The commands that talk to a server: each is a request or two, and how to print what comes back.

mod crashes;
mod dry_run;
mod inspect;
mod kv;
mod path;
mod plugin;
mod secrets;
mod status;

use std::io::Write;
use std::process::ExitCode;

use palisade_runtime::Workers;

use crate::args::Command;
use crate::client::ClientError;
use crate::output::PrintError;

/// Runs one command to its end. Only what looks at a file needs workers.
pub(crate) async fn run(command: Command, workers: Workers) -> ExitCode {
    let outcome = match command {
        Command::Status(args) => return status::run(&args).await,
        Command::Plugin(command) => plugin::run(command, &workers).await,
        Command::Secrets(command) => secrets::run(command).await,
        Command::Kv(command) => kv::run(command).await,
        Command::Read(args) => path::read(&args).await,
        Command::Write(args) => path::write(&args).await,
        Command::List(args) => path::list(&args).await,
        Command::Delete(args) => path::delete(&args).await,
        Command::Version => version(),
        // `main` runs it: it is no client.
        Command::Server(_) => Ok(()),
    };
    report(outcome)
}

/// Says what failed and turns it into an exit code.
pub(crate) fn report(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // When standard error is closed too, the exit code alone has to tell.
            let _ = writeln!(std::io::stderr().lock(), "{}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// The command line or this machine is at fault: exit code 1.
    pub(crate) fn local(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            code: 1,
        }
    }

    /// Why a server does not start, with the stable code of it: exit code 1.
    pub(crate) fn coded(code: &str, text: impl std::fmt::Display) -> Self {
        Self::local(format!("{text}\n\nError code: {code}"))
    }

    /// The server refused, was not reached or has nothing: exit code 2.
    fn server(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            code: 2,
        }
    }

    /// Puts what was tried in front of what went wrong.
    fn during(what: impl std::fmt::Display) -> impl FnOnce(ClientError) -> Self {
        move |error| Self {
            code: match &error {
                ClientError::Setting(_) => 1,
                ClientError::Unreachable { .. } | ClientError::Refused(_) => 2,
            },
            text: format!("{what}: {error}"),
        }
    }
}

impl From<PrintError> for Failure {
    fn from(error: PrintError) -> Self {
        Self::local(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::local(format!("the output cannot be written: {error}"))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::local(error.to_string())
    }
}

/// Takes exactly `N` positional arguments.
fn exactly<const N: usize>(words: &[String]) -> Result<[&str; N], Failure> {
    let taken: Vec<&str> = words.iter().map(String::as_str).collect();
    taken.try_into().map_err(|_| wrong_count(words.len(), N))
}

fn wrong_count(got: usize, expected: usize) -> Failure {
    let word = if got < expected {
        "Not enough"
    } else {
        "Too many"
    };
    Failure::local(format!("{word} arguments (expected {expected}, got {got})"))
}

/// A path as the server wants it.
fn clean(path: &str) -> String {
    path.trim().trim_matches('/').to_owned()
}

/// A path that ends in a slash, as mounts are shown.
fn with_slash(path: &str) -> String {
    format!("{}/", clean(path))
}

fn say(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(Failure::from)
}

fn version() -> Result<(), Failure> {
    say(&format!("Palisade v{}", env!("CARGO_PKG_VERSION")))
}
