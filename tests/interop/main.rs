//! Plugins that we did not write, and plugins on SDKs that we did not write, run as they are.
//!
//! The peers beneath `interop/go` and `interop/go-old` are built once, with the Go toolchain and exact versions of the SDKs.
//! Without Go their tests are skipped, and say so. What the SDKs' mock plugins do, ours does as well, in every mode.
#![deny(dead_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is a test's verdict, and the terminal is told what is built or skipped"
)]

mod bao_peer;
mod crooked;
mod database;
mod dying;
mod family;
mod idle;
mod lifecycle;
mod mock;
mod old_database;
mod openbao;
mod peers;
mod protocol_four;
mod re_exec;
mod vault_jwt;
mod vault_kv;
mod vault_peer;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use peers::Case;

const FILES: &[&[Case]] = &[
    mock::CASES,
    mock::MEMORY,
    mock::TYPES,
    bao_peer::CASES,
    lifecycle::CASES,
    dying::CASES,
    idle::CASES,
    database::CASES,
    database::SINGLE,
    database::MULTIPLEXED,
    old_database::CASES,
    protocol_four::CASES,
    family::CASES,
    re_exec::CASES,
    crooked::CASES,
    vault_kv::CASES,
    vault_peer::CASES,
    vault_jwt::CASES,
];

fn main() -> ExitCode {
    // First of all: in a worker process this does not return.
    let workers = palisade_runtime::enter_worker();
    palisade_tests::workers_for_all_tests(workers);
    palisade_tests::keep_what_is_logged();
    let arguments = Arguments::from_args();
    let has_go = arguments.list || peers::build();
    let cases = FILES.iter().copied().flatten();
    let mut trials: Vec<Trial> = cases.flat_map(|case| peers::trials(case, has_go)).collect();
    let has_openbao = arguments.list || openbao::is_here(has_go);
    trials.extend(openbao::trials(has_openbao));
    libtest_mimic::run(&arguments, trials).exit_code()
}
