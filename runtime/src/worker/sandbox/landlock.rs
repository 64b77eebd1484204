//! Which files a process may open, and whom it may reach by TCP, by signals and by abstract sockets.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::paths::{DEVICES, LIBRARIES, readable};
use super::{Layer, Sandbox};

/// Restricts this process, and whatever it becomes.
pub(super) fn enter(sandbox: &Sandbox, folder: Option<&str>) -> Result<(), String> {
    let layers = [
        Layer::LandlockFiles,
        Layer::LandlockNetwork,
        Layer::LandlockSignals,
    ];
    if !layers.iter().any(|layer| sandbox.has(*layer)) {
        return Ok(());
    }
    let restricted = rules(sandbox, folder).and_then(RulesetCreated::restrict_self);
    match restricted.map_err(|fault| fault.to_string())?.ruleset {
        RulesetStatus::NotEnforced => Err("this kernel does not have it".to_owned()),
        _ => Ok(()),
    }
}

/// Leaves this process no file, no TCP, no abstract socket and no signal to others, as far as this kernel can. Where it
/// can do nothing of it, the probes of the server's start have said so.
pub(super) fn close() -> Result<(), RulesetError> {
    let everything = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?;
    everything.create()?.restrict_self().map(drop)
}

fn rules(sandbox: &Sandbox, folder: Option<&str>) -> Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if sandbox.has(Layer::LandlockFiles) {
        ruleset = ruleset.handle_access(AccessFs::from_all(ABI::V1))?;
        // Later kernels know more to forbid.
        ruleset = ruleset
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V5))?
            .set_compatibility(CompatLevel::HardRequirement);
    }
    if sandbox.has(Layer::LandlockNetwork) && !sandbox.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V4))?;
    }
    if sandbox.has(Layer::LandlockSignals) {
        ruleset = ruleset.scope(Scope::from_all(ABI::V6))?;
    }
    let created = ruleset.create()?.set_compatibility(CompatLevel::BestEffort);
    match sandbox.has(Layer::LandlockFiles) {
        true => permit_files(created, sandbox, folder),
        false => Ok(created),
    }
}

/// Everything that is not named here stays closed. What does not exist needs no rule.
fn permit_files(
    mut rules: RulesetCreated,
    sandbox: &Sandbox,
    folder: Option<&str>,
) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = read | AccessFs::Execute;
    for path in LIBRARIES {
        rules = permit(rules, path, run)?;
    }
    if let Some(image) = sandbox.image_path().and_then(|path| path.to_str().ok()) {
        rules = permit(rules, image, run)?;
    }
    for path in readable(sandbox.network).chain(["/proc/self"]) {
        rules = permit(rules, path, read)?;
    }
    for path in DEVICES {
        rules = permit(rules, path, AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    if sandbox.has(Layer::MountNamespace) {
        // Its own, and small.
        rules = permit(
            rules,
            "/tmp",
            AccessFs::from_all(ABI::V5) & !AccessFs::Execute,
        )?;
    }
    match folder {
        Some(folder) => permit(rules, folder, of_a_folder_of_sockets()),
        None => Ok(rules),
    }
}

/// Go makes a file first, to have a name, then removes it and makes a socket of that name.
fn of_a_folder_of_sockets() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::MakeSock
        | AccessFs::RemoveFile
}

fn permit(
    rules: RulesetCreated,
    path: &str,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else {
        return Ok(rules);
    };
    let access = match Path::new(path).is_dir() {
        true => access,
        false => access & AccessFs::from_file(ABI::V5),
    };
    rules.add_rule(PathBeneath::new(opened, access))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::TcpListener;

    use super::*;

    /// Rules are of one thread, so each side of the wall is a thread of its own.
    #[test]
    fn what_is_closed_has_no_file_and_no_port() {
        let attempts = || {
            let file = File::open("/etc/passwd").map(drop);
            let port = TcpListener::bind("127.0.0.1:0").map(drop);
            [file, port].map(|attempt| attempt.err().and_then(|fault| fault.raw_os_error()))
        };
        let closed = std::thread::spawn(move || {
            close().expect("this kernel takes the rules");
            attempts()
        });
        // Not EPERM, which would be another wall's answer.
        let refused = Some(libc::EACCES);
        assert_eq!(closed.join().expect("a thread can end"), [refused; 2]);
        assert_eq!(attempts(), [None; 2]);
    }
}
