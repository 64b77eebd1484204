//! The repository's own commands, for people and for CI alike.
//!
//! They need nothing but the Rust toolchain, use one development profile and one target directory, and say what they
//! are doing while they do it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program speaks to its terminal"
)]

mod bench;
mod cases;
mod demo;
mod guests;
mod languages;
mod registry;
mod shell;
mod suite;
mod toolchain;
mod vm;

use std::process::ExitCode;

const HELP: &str = "\
The repository's commands:

  cargo xtask demo     set up, then run one plugin in every mode through a server, crash it, compare
  cargo xtask test     everything that CI runs: format, lints, documentation, guests, all tests
  cargo xtask bench    measure each way to run a plugin beside its floor, with all cores and on one; after it may stand
                       parts: calls, peers, launches, load, stores, and four that take long: fairness, soak, openbao, vault;
                       with --release the server under load is built as it is shipped (some ten minutes the first time)
  cargo xtask guests   build the example plugins both ways and say where they are
  cargo xtask guests --languages
                       build those in Python, C and JavaScript, with toolchains from PyPI and npm beneath target/
  cargo xtask vm       run the native mode's suites in a virtual machine with the newest kernel of /boot, where control groups
                       are of version 2; after it may stand how qemu is to run, such as -enable-kvm -cpu host
  cargo xtask cases    write docs/conformance.md from the cases that the suite really has
  cargo xtask help     this
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        ["demo"] => demo::run(),
        ["test"] => suite::run(),
        ["bench", ref parts @ ..] => bench::run(parts),
        ["guests"] => guests::run(),
        ["guests", "--languages"] => languages::build(),
        ["vm", ref words @ ..] => vm::run(words),
        ["cases"] => cases::run(),
        _ => Err(anyhow::anyhow!(
            "there is no command {:?}\n\n{HELP}",
            words.join(" ")
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
