//! The system calls that no plugin has a use for: those that look into other processes, change the machine, or reach far
//! into the kernel. They fail with EPERM, as they do for whoever lacks the privilege; everything else is permitted, so
//! that executables of any language run.

mod job;

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter,
};

/// Calls that are refused whatever their arguments.
const REFUSED: &[i64] = &[
    // Other processes, and their memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // File systems and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // The machine: its clock, name, modules, accounting and power.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // Keys of other users of this kernel.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Wide doors into the kernel.
    libc::SYS_bpf,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_userfaultfd,
];

/// The same, where this kind of processor has them.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS__sysctl,
    libc::SYS_nfsservctl,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// Kinds of namespaces, which `clone` could make.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// What `ioctl` could type into somebody's terminal with: TIOCSTI and TIOCLINUX.
const TERMINAL_INPUT: [u64; 2] = [0x5412, 0x541c];

/// Leaves this process nothing but computing.
pub(super) fn close() -> io::Result<()> {
    job::enter()
}

/// Installs the filters in this process. It keeps them over an exec, and so do its children.
pub(super) fn enter(network: bool) -> io::Result<()> {
    let failed = |fault: seccompiler::Error| io::Error::other(fault.to_string());
    for program in programs(network).map_err(|fault| io::Error::other(fault.to_string()))? {
        apply_filter(&program).map_err(failed)?;
    }
    Ok(())
}

fn programs(network: bool) -> Result<Vec<BpfProgram>, BackendError> {
    let refusals = filter(refusals(network)?, libc::EPERM)?;
    // Its flags are in memory, where a filter cannot look: C libraries go on with `clone` when it is not there.
    let absent = filter(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        libc::ENOSYS,
    )?;
    Ok([refusals, absent]
        .into_iter()
        .chain(foreign_numbers())
        .collect())
}

fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, BackendError> {
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?.try_into()
}

/// On this processor the kernel may know a second table of calls, numbered from a bit upwards, which the filters by
/// number would not see.
#[cfg(target_arch = "x86_64")]
fn foreign_numbers() -> Option<BpfProgram> {
    use seccompiler::sock_filter;
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const X32_BIT: u32 = 0x4000_0000;
    const REFUSE: u32 = 0x0005_0000 | libc::ENOSYS as u32;
    const ALLOW: u32 = 0x7fff_0000;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    Some(vec![
        step(LOAD_WORD, 0, 0, 0), // the call's number is the first word
        step(JUMP_IF_AT_LEAST, 0, 1, X32_BIT),
        step(RETURN, 0, 0, REFUSE),
        step(RETURN, 0, 0, ALLOW),
    ])
}
#[cfg(not(target_arch = "x86_64"))]
fn foreign_numbers() -> Option<BpfProgram> {
    None
}

/// For each call the rules of which one has to match; none means always.
fn refusals(network: bool) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let always = REFUSED.iter().chain(REFUSED_HERE);
    let mut rules: BTreeMap<_, _> = always.map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, of_new_namespaces()?);
    rules.insert(libc::SYS_ioctl, of_terminal_input()?);
    rules.insert(libc::SYS_socket, vec![of_foreign_sockets(network)?]);
    Ok(rules)
}

fn of_new_namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let has = |bit: i32| {
        let bit = u64::from(bit.unsigned_abs());
        condition(0, SeccompCmpOp::MaskedEq(bit), bit)
    };
    NAMESPACES
        .into_iter()
        .map(|bit| SeccompRule::new(vec![has(bit)?]))
        .collect()
}

fn of_terminal_input() -> Result<Vec<SeccompRule>, BackendError> {
    TERMINAL_INPUT
        .into_iter()
        .map(|request| SeccompRule::new(vec![condition(1, SeccompCmpOp::Eq, request)?]))
        .collect()
}

/// Sockets of any kind but those it has a use for; with a network, the questions that name resolution asks the kernel
/// are among them.
fn of_foreign_sockets(network: bool) -> Result<SeccompRule, BackendError> {
    let allowed: &[i32] = match network {
        true => &[
            libc::AF_UNIX,
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_NETLINK,
        ],
        false => &[libc::AF_UNIX],
    };
    let other_than =
        |family: &i32| condition(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()));
    SeccompRule::new(allowed.iter().map(other_than).collect::<Result<_, _>>()?)
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    // All of these are 32 bits wide, and the kernel ignores what stands above.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

#[cfg(test)]
mod tests;
