//! How much of each structure a component may have: one set for what compilers make of a plugin, and a larger one for
//! components that carry an interpreter.

use crate::Profile;

/// The largest of everything that a component of one profile may have.
pub(crate) struct Bounds {
    profile: Profile,
    /// The file, in bytes.
    pub(super) file_bytes: u64,
    /// Functions over all modules.
    pub(super) functions: u64,
    /// One function's code, in bytes.
    pub(super) body_bytes: u64,
    /// One function's locals.
    pub(super) locals: u64,
    /// Blocks inside blocks.
    pub(super) nesting: u64,
    /// Data segments, and element segments, over all modules.
    pub(super) segments: u64,
    /// Elements over all segments: what stands ready for a table is made anew in each store, and counts as no memory of it.
    pub(super) elements: u64,
    /// Imports and exports of one module or component together.
    pub(super) names: u64,
    /// Linear memories over all modules. One is what every toolchain makes.
    pub(super) memories: u32,
    /// Tables over all modules.
    pub(super) tables: u32,
    /// Globals over all modules.
    pub(super) globals: u64,
    /// Components inside components.
    pub(super) depth: u64,
    /// Modules and components in one file.
    pub(super) parts: u64,
    /// Instances that the file describes, of modules and of components.
    pub(super) instances: u64,
    /// Instances of modules in a store: a toolchain's adapters, and one bag of functions for each import.
    pub(super) core_instances: u32,
    /// Types, aliases and adapter functions, each over all parts.
    pub(super) definitions: u64,
    /// Custom sections, in bytes, without the names of functions.
    pub(super) custom_bytes: u64,
}

static ORDINARY: Bounds = Bounds {
    profile: Profile::Ordinary,
    file_bytes: 8 << 20,
    functions: 20_000,
    body_bytes: 128 << 10,
    locals: 2_000,
    nesting: 1_000,
    segments: 1_000,
    elements: 20_000,
    names: 1_000,
    memories: 1,
    tables: 4,
    globals: 1_000,
    depth: 2,
    parts: 64,
    instances: 256,
    core_instances: 64,
    definitions: 20_000,
    custom_bytes: 1 << 20,
};

/// Two to four times what Python 3.14 with its standard library has: 18 MiB, 13,546 functions of which the loop over its
/// byte code has 417 KiB, 2,130 segments, 2,506 names in one module, 871 globals, 40 parts, 113 instances.
static LARGE: Bounds = Bounds {
    profile: Profile::Large,
    file_bytes: 48 << 20,
    functions: 60_000,
    body_bytes: 1 << 20,
    segments: 8_000,
    elements: 120_000,
    names: 8_000,
    globals: 4_000,
    parts: 128,
    instances: 512,
    core_instances: 128,
    custom_bytes: 4 << 20,
    // No toolchain needs more of these for being large.
    ..ORDINARY
};

impl Bounds {
    /// Those of one profile.
    pub(super) fn of(profile: Profile) -> &'static Self {
        match profile {
            Profile::Ordinary => &ORDINARY,
            Profile::Large => &LARGE,
        }
    }

    /// Refuses more than the bound that `of` names, and says which profile would allow it.
    pub(super) fn check(&self, found: u64, of: fn(&Self) -> u64, what: &str) -> Result<(), String> {
        let limit = of(self);
        if found <= limit {
            return Ok(());
        }
        let fault = format!("it has {found} {what}, {limit} are allowed");
        let larger = of(&LARGE);
        if self.profile == Profile::Ordinary && found <= larger {
            return Err(format!(
                "{fault}; the profile large allows {larger}: register it with -profile=large"
            ));
        }
        Err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_large_profile_allows_is_refused_with_its_name() {
        let check = |profile, found| Bounds::of(profile).check(found, |it| it.names, "names");
        assert!(check(Profile::Ordinary, 1_000).is_ok());
        let fault = check(Profile::Ordinary, 1_001).unwrap_err();
        assert!(
            fault.contains("1001") && fault.contains("-profile=large"),
            "{fault}"
        );
        assert!(check(Profile::Large, 1_001).is_ok());
    }

    #[test]
    fn what_no_profile_allows_is_refused_without_a_hint() {
        for profile in [Profile::Ordinary, Profile::Large] {
            let fault = Bounds::of(profile).check(8_001, |it| it.names, "names");
            let fault = fault.unwrap_err();
            assert!(!fault.contains("profile"), "{fault}");
        }
    }
}
