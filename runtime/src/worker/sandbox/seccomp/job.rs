//! The system calls of a job that reads its input, computes and writes its output. Whatever else it calls fails with
//! EPERM: it opens nothing, starts nothing, reaches nobody, and makes no code of data.

use std::collections::BTreeMap;
use std::io;

use rustix::process::getpid;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpOp, SeccompFilter, SeccompRule, apply_filter,
};

use super::condition;

/// Calls that are permitted whatever their arguments.
pub(super) const PERMITTED: &[i64] = &[
    // Memory, with the two below that look at what the memory is for.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Time and randomness.
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    // Its one thread, and the signals of that.
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    // Its end.
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The descriptors that a job has.
const INPUT: u64 = 0;
const OUTPUT: u64 = 1;
const WORDS: u64 = 2;

/// Installs the filter in this process.
pub(super) fn enter() -> io::Result<()> {
    let program = program().map_err(|fault| io::Error::other(fault.to_string()))?;
    apply_filter(&program).map_err(|fault| io::Error::other(fault.to_string()))
}

fn program() -> Result<BpfProgram, BackendError> {
    let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules()?, refusal, SeccompAction::Allow, arch)?.try_into()
}

/// For each permitted call the rules of which one has to match; none means always.
pub(super) fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<_, _> = PERMITTED.iter().map(|call| (*call, Vec::new())).collect();
    let itself = u64::from(getpid().as_raw_pid().unsigned_abs());
    let conditional = [
        (libc::SYS_mmap, is_no_code()?),
        (libc::SYS_mprotect, is_no_code()?),
        (libc::SYS_fstat, is(INPUT)?),
        (libc::SYS_pread64, is(INPUT)?),
        (libc::SYS_pwrite64, is(OUTPUT)?),
        (libc::SYS_write, is(WORDS)?),
        (libc::SYS_writev, is(WORDS)?),
        // With which it aborts.
        (libc::SYS_tgkill, is(itself)?),
    ];
    rules.extend(conditional.map(|(call, rule)| (call, vec![rule])));
    Ok(rules)
}

/// The first argument is this number.
fn is(number: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition(0, SeccompCmpOp::Eq, number)?])
}

/// The memory is not to be executed, which the third argument says of both calls.
fn is_no_code() -> Result<SeccompRule, BackendError> {
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    SeccompRule::new(vec![condition(2, SeccompCmpOp::MaskedEq(executable), 0)?])
}
