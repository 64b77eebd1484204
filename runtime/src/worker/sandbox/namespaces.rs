//! Which namespaces a child is born into, and who it is in a user namespace.

use std::fs;
use std::io;

use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, capabilities};

use super::{Layer, Sandbox};

/// The flags for `clone3`. Making namespaces is a privilege, which an ordinary user has in a user namespace of its own.
pub(in crate::worker) fn namespaces(sandbox: &Sandbox) -> i32 {
    let layers = [
        (Layer::MountNamespace, libc::CLONE_NEWNS),
        (Layer::ProcessNamespace, libc::CLONE_NEWPID),
        (Layer::IpcNamespace, libc::CLONE_NEWIPC | libc::CLONE_NEWUTS),
    ];
    let mut flags = layers
        .iter()
        .filter(|(layer, _)| sandbox.has(*layer))
        .fold(0, |flags, (_, flag)| flags | flag);
    if sandbox.has(Layer::NetworkNamespace) && !sandbox.network {
        flags |= libc::CLONE_NEWNET;
    }
    if flags != 0 && !is_privileged() {
        flags |= libc::CLONE_NEWUSER;
    }
    flags
}

/// Whether this process may make namespaces as it is.
fn is_privileged() -> bool {
    capabilities(None).is_ok_and(|held| held.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// In a child that was born into a user namespace: it is the same user and group there as outside.
pub(in crate::worker) fn map_user(user: Uid, group: Gid) -> io::Result<()> {
    let same = |id: u32| format!("{id} {id} 1");
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", same(user.as_raw()))?;
    fs::write("/proc/self/gid_map", same(group.as_raw()))
}
