//! Each refused call, made behind the filters and, as the control, beside them. Filters are of one thread, so each side is a
//! thread of its own.
#![expect(
    unsafe_code,
    reason = "most of these calls have no safe form, because nobody has a use for them"
)]

use std::collections::BTreeMap;
use std::io;

use super::*;

/// A call that takes nothing, so that it would do what it does.
const WITHOUT_ARGUMENTS: &[i64] = &[libc::SYS_vhangup];

/// Makes a call with these arguments.
fn call(number: i64, arguments: [i64; 3]) -> Result<i64, i32> {
    let [a, b, c] = arguments;
    // SAFETY: none of the calls made here is given memory: addresses are -1 or 0, which the kernel refuses, and numbers
    // are such that a call which is let through fails.
    let answer = unsafe { libc::syscall(number, a, b, c, -1_i64, -1_i64, -1_i64) };
    match answer {
        -1 => Err(io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or_default()),
        other => Ok(other),
    }
}

/// Does `work` on a thread behind the filters.
fn behind<T: Send + 'static>(network: bool, work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).expect("everybody may");
        enter(network).expect("the kernel takes the filters");
        work()
    });
    thread.join().expect("the filters kill nobody")
}

fn answers(calls: Vec<i64>) -> BTreeMap<i64, Result<i64, i32>> {
    let answer = |number| (number, call(number, [-1; 3]));
    calls.into_iter().map(answer).collect()
}

#[test]
fn each_call_of_the_list_is_refused_and_beside_the_filters_says_something_else() {
    let listed: Vec<_> = REFUSED.iter().chain(REFUSED_HERE).copied().collect();
    let all = listed.clone();
    for (number, answer) in behind(false, move || answers(all)) {
        assert_eq!(answer, Err(libc::EPERM), "call {number}");
    }
    let harmless = |number: &i64| !WITHOUT_ARGUMENTS.contains(number);
    let control = answers(listed.into_iter().filter(harmless).collect());
    let elsewhere = control
        .values()
        .filter(|answer| **answer != Err(libc::EPERM));
    // Some take a privilege that this test may lack; most say that -1 is no argument, or are unknown.
    assert!(elsewhere.count() > control.len() / 2, "{control:?}");
}

#[test]
fn a_namespace_cannot_be_made_by_clone_and_a_thread_can() {
    for flag in NAMESPACES {
        let refused = move || call(libc::SYS_clone, [i64::from(flag), 0, 0]);
        assert_eq!(behind(false, refused), Err(libc::EPERM), "{flag:x}");
    }
    assert_eq!(
        behind(false, || call(libc::SYS_clone3, [0, 0, 0])),
        Err(libc::ENOSYS)
    );
    let thread = || std::thread::spawn(|| 7).join().ok();
    assert_eq!(behind(false, thread), Some(7));
}

#[test]
fn sockets_are_of_the_machines_own_kind_unless_the_network_is_granted() {
    const NOBODYS: [i32; 4] = [
        libc::AF_PACKET,
        libc::AF_VSOCK,
        libc::AF_ALG,
        libc::AF_BLUETOOTH,
    ];
    const OF_A_NETWORK: [i32; 3] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    // Of a type that does not exist, so that no socket is made.
    let socket = |family: i32| call(libc::SYS_socket, [i64::from(family), -1, 0]);
    for network in [false, true] {
        for family in NOBODYS {
            let answer = behind(network, move || socket(family));
            assert_eq!(answer, Err(libc::EPERM), "{family}");
        }
        for family in OF_A_NETWORK {
            let answer = behind(network, move || socket(family));
            assert_eq!(answer == Err(libc::EPERM), !network, "{family}: {answer:?}");
        }
        let own = behind(network, move || socket(libc::AF_UNIX));
        assert_ne!(own, Err(libc::EPERM));
    }
}

#[test]
fn nothing_is_typed_into_a_terminal() {
    for request in TERMINAL_INPUT {
        let request = i64::try_from(request).expect("it is small");
        let typed = move || call(libc::SYS_ioctl, [-1, request, 0]);
        assert_eq!(behind(false, typed), Err(libc::EPERM));
        // The control: that there is no such descriptor is found out only beside the filters.
        assert_eq!(typed(), Err(libc::EBADF));
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_second_table_of_calls_is_closed() {
    const X32_GETPID: i64 = 0x4000_0000 + 39;
    assert_eq!(
        behind(false, || call(X32_GETPID, [0; 3])),
        Err(libc::ENOSYS)
    );
}

/// Does `work` on a thread that is left nothing but computing.
fn closed<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).expect("everybody may");
        close().expect("the kernel takes the filter");
        work()
    });
    thread.join().expect("a thread can end")
}

/// The highest number of a call that kernels had when this was written, and a few more.
const CALLS: std::ops::Range<i64> = 0..512;

/// The kernel's own probes make these, past every filter; a program that does is signalled.
#[cfg(target_arch = "x86_64")]
const OF_PROBES: [i64; 2] = [335, 336];
#[cfg(not(target_arch = "x86_64"))]
const OF_PROBES: [i64; 0] = [];

#[test]
fn a_job_is_left_the_calls_of_the_list_and_no_other() {
    let rules = job::rules().expect("the rules are well-formed");
    let others: Vec<_> = CALLS
        .filter(|call| !rules.contains_key(call) && !OF_PROBES.contains(call))
        .collect();
    assert!(others.len() > 400, "{}", others.len());
    for (number, answer) in closed(move || answers(others)) {
        assert_eq!(answer, Err(libc::EPERM), "call {number}");
    }
    // The control: beside the filter they do something.
    for harmless in [libc::SYS_getuid, libc::SYS_getppid] {
        assert!(call(harmless, [-1; 3]).is_ok(), "call {harmless}");
    }
}

#[test]
fn a_job_uses_its_own_descriptors_each_for_its_purpose() {
    let wrong = [
        (libc::SYS_pread64, 1),
        (libc::SYS_pread64, 3),
        (libc::SYS_pwrite64, 0),
        (libc::SYS_pwrite64, 3),
        (libc::SYS_write, 1),
        (libc::SYS_fstat, 3),
        (libc::SYS_tgkill, 1),
    ];
    for (number, first) in wrong {
        let try_it = move || call(number, [first, 0, 0]);
        assert_eq!(closed(try_it), Err(libc::EPERM), "call {number}");
    }
    // The control: with the right one the kernel looks at the rest, and there is no memory at -1.
    let right = || call(libc::SYS_fstat, [0, -1, 0]);
    assert_ne!(closed(right), Err(libc::EPERM));
}

#[test]
fn a_job_makes_no_code_of_data() {
    const NOTHING: i64 = 0;
    let protect = |kind: i32| call(libc::SYS_mprotect, [NOTHING, NOTHING, i64::from(kind)]);
    let map = |kind: i32| call(libc::SYS_mmap, [NOTHING, NOTHING, i64::from(kind)]);
    assert_eq!(closed(move || protect(libc::PROT_EXEC)), Err(libc::EPERM));
    assert_eq!(closed(move || map(libc::PROT_EXEC)), Err(libc::EPERM));
    // The controls: other memory behind the filter, and code beside it.
    assert_eq!(closed(move || protect(libc::PROT_READ)), Ok(0));
    assert_eq!(protect(libc::PROT_EXEC), Ok(0));
    assert_ne!(map(libc::PROT_EXEC), Err(libc::EPERM));
}

#[test]
fn the_filters_are_programs_that_a_kernel_takes() {
    for network in [true, false] {
        let programs = programs(network).expect("the rules are well-formed");
        assert!(programs.iter().all(|one| one.len() < 4096));
    }
}

#[test]
fn no_call_is_listed_twice() {
    let all: Vec<_> = REFUSED.iter().chain(REFUSED_HERE).collect();
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(all.len(), distinct.len());
}
