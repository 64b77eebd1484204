//! The files of the machine that a process may read: what a dynamic loader, the C library and a TLS client look for.
//! An executable that is linked statically needs none of the first.

use std::ffi::CStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

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

/// Which files these are now: a process sees those that were there when its walls went up, whatever takes their place.
pub struct MachineFiles {
    network: bool,
    found: Vec<Option<(u64, u64)>>,
}

impl MachineFiles {
    /// Of a process that may use the network, or of one that may not.
    pub fn of_now(network: bool) -> Self {
        Self {
            network,
            found: numbers(LIBRARIES.iter().copied().chain(readable(network))),
        }
    }

    /// Whether none of them was replaced since.
    pub fn are_those_of_now(&self) -> bool {
        self.found == Self::of_now(self.network).found
    }
}

/// Device and number of each, as far as it is there.
fn numbers(paths: impl Iterator<Item = impl AsRef<Path>>) -> Vec<Option<(u64, u64)>> {
    let number = |file: Metadata| (file.dev(), file.ino());
    paths
        .map(|path| fs::metadata(path).ok().map(number))
        .collect()
}

/// Where a process finds itself as a file, when it is to.
pub(super) const ITSELF: &CStr = c"/plugin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_took_the_place_of_another_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let [there, next, absent] =
            ["there", "next", "absent"].map(|name| folder.path().join(name));
        fs::write(&there, "nameserver 192.0.2.1").unwrap();
        let seen = || numbers([&there, &absent].into_iter());
        let before = seen();
        fs::write(&there, "nameserver 192.0.2.2").unwrap();
        assert!(
            before == seen(),
            "a process sees what is written to a file that it has"
        );
        fs::write(&next, "nameserver 192.0.2.3").unwrap();
        fs::rename(&next, &there).unwrap();
        assert!(before != seen());
        let renamed = seen();
        fs::write(&absent, "").unwrap();
        assert!(renamed != seen());
        assert!(MachineFiles::of_now(true).are_those_of_now());
    }
}
