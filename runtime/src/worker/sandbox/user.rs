//! Gives up every privilege, and becomes a user of its own where that is asked for.

use std::io;

use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use super::{Layer, Sandbox};

/// Afterwards no capability is left, and none comes back by executing anything.
pub(super) fn enter(sandbox: &Sandbox) -> io::Result<()> {
    empty_bounding_set()?;
    if sandbox.has(Layer::User) {
        become_user(sandbox.user)?;
    }
    ignoring_old_kernels(clear_ambient_capability_set())?;
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(())
}

/// Only who may set capabilities can; anybody else has none that an exec could give back, because no new privileges
/// are granted.
fn empty_bounding_set() -> io::Result<()> {
    for capability in CapabilitySet::all() {
        match remove_capability_from_bounding_set(capability) {
            // This kernel has fewer, or this process may not.
            Err(Errno::INVAL) => {}
            Err(Errno::PERM) => return Ok(()),
            done => done?,
        }
    }
    Ok(())
}

fn become_user(id: u32) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    Ok(())
}

fn ignoring_old_kernels(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::INVAL) => Ok(()),
        other => Ok(other?),
    }
}
