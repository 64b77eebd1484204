//! The files of the machine that a process may read: what a dynamic loader, the C library and a TLS client look for.
//! An executable that is linked statically needs none of the first.

use std::ffi::CStr;

/// Libraries, which may be executed as well: the loader is one.
pub(super) const LIBRARIES: &[&str] = &[
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/local/lib",
];

/// Where libraries are, and what time it is where.
pub(super) const ALWAYS: &[&str] = &["/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"];

/// How names become addresses, and whose certificates are believed.
pub(super) const OF_THE_NETWORK: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// Devices that give nothing away.
pub(super) const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// What may be read and not executed.
pub(super) fn readable(network: bool) -> impl Iterator<Item = &'static str> {
    let more: &[&str] = if network { OF_THE_NETWORK } else { &[] };
    ALWAYS.iter().chain(more).copied()
}

/// Where a process finds itself as a file, when it is to.
pub(super) const ITSELF: &CStr = c"/plugin";
