//! What every way to run a plugin has to do alike.
//!
//! A case is one async function that takes a [`Harness`], and runs once in each mode. What a mode cannot do by its
//! nature stands in [`differences`], with the reason. A case that is left out of its file's list is dead code, which
//! does not compile.
#![deny(dead_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic is a test's verdict, and the list of cases goes to the terminal"
)]

mod caching;
mod calling;
mod case;
mod catalog;
mod comparing;
mod crashing;
mod differences;
mod document;
mod embedder;
mod failing;
mod granting;
mod keeping;
mod launching;
mod limiting;
mod mounting;
mod other_languages;
mod replacing;
mod stopping;
mod storing;
mod using_kv;

use std::process::ExitCode;

use case::Case;
use libtest_mimic::{Arguments, Trial};

/// Every file of cases.
const FILES: &[&[Case]] = &[
    calling::CASES,
    failing::CASES,
    storing::CASES,
    keeping::CASES,
    caching::CASES,
    limiting::CASES,
    crashing::CASES,
    launching::CASES,
    granting::CASES,
    replacing::CASES,
    mounting::CASES,
    stopping::CASES,
    using_kv::CASES,
];

fn main() -> ExitCode {
    // First of all: in a worker process this does not return.
    let workers = palisade_runtime::enter_worker();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == [embedder::ROLE] {
        return embedder::run(workers);
    }
    if words.iter().any(|word| word == "--write-case-list") {
        println!("{}", document::write());
        return ExitCode::SUCCESS;
    }
    palisade_tests::workers_for_all_tests(workers);
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let mut trials: Vec<_> = cases().flat_map(case::trials).collect();
    trials.extend(catalog::CASES.iter().map(case::trial_without_mode));
    trials.extend(embedder::CASES.iter().map(case::trial_without_mode));
    trials.extend(other_languages::trials());
    trials.push(Trial::test("list::every_difference_names_a_case", || {
        differences::check();
        Ok(())
    }));
    trials.push(Trial::test("list::the_document_lists_every_case", || {
        document::check();
        Ok(())
    }));
    trials
}

/// Every case that runs once in each mode.
fn cases() -> impl Iterator<Item = &'static Case> {
    FILES.iter().copied().flatten()
}
