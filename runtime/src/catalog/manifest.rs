//! What an operator says when registering, before anything of it is believed, and what is left of it when it is
//! well-formed.

use std::collections::BTreeMap;

use palisade_contract::PluginType;

use super::{Entry, EntryKey};
use crate::id::check_segments;
use crate::limits::OF_KEPT_STORES;
use crate::{
    Digest, GrammarError, Grants, Isolation, Limits, PluginName, PluginVersion, ProcessOptions,
    Profile, RegisterError, RuntimeKind,
};

/// The most arguments or environment entries a plugin can have.
const WORDS_MAX: usize = 128;

/// The longest argument or environment entry, in bytes.
const WORD_BYTES_MAX: usize = 32 << 10;

/// Beginnings of variables that the protocol sets, or that change what a process loads.
const RESERVED_VARIABLES: [&str; 5] = ["LD_", "PLUGIN_", "BAO_", "VAULT_", "PALISADE_"];

/// A registration as it arrives. [`Entry`] is what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What the plugin is for.
    pub plugin_type: PluginType,
    /// Its name in the catalog.
    pub name: String,
    /// Its version; empty for none.
    pub version: String,
    /// The file beneath the plugin directory; empty for one named like the plugin.
    pub command: String,
    /// Arguments for a native plugin.
    pub args: Vec<String>,
    /// Its environment, each `NAME=value`: all of a component's, and of a process's all besides what the protocol sets.
    pub env: Vec<String>,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// How to run it; found from the artifact when not stated, refused when it contradicts it.
    pub runtime: Option<RuntimeKind>,
    /// How a component's requests are kept apart.
    pub isolation: Option<Isolation>,
    /// How large a component may be.
    pub profile: Option<Profile>,
    /// What it may use, by the names of the fields of [`Limits`]; the defaults where nothing is said.
    pub limits: BTreeMap<String, String>,
    /// What it may do besides, each a [`Grant`](crate::Grant).
    pub grants: Vec<String>,
    /// Whether a native plugin executes itself again.
    pub re_executes: bool,
    /// Whether each mount of a native plugin has a process of its own, even where the plugin could serve many in one.
    pub dedicated: bool,
    /// Walls without which a native plugin is not started, each a [`Layer`](crate::Layer).
    pub required_layers: Vec<String>,
}

/// A well-formed manifest, of an artifact that nobody has looked at.
pub(super) struct Draft {
    pub(super) key: EntryKey,
    pub(super) command: String,
    pub(super) sha256: Digest,
    process: ProcessOptions,
    grants: Grants,
    runtime: Option<RuntimeKind>,
    isolation: Option<Isolation>,
    profile: Option<Profile>,
    limits: BTreeMap<String, String>,
}

impl Manifest {
    /// The least that can be registered: everything else is empty, or found out.
    pub fn new(plugin_type: PluginType, name: &str, sha256: &str) -> Self {
        Self {
            plugin_type,
            name: name.to_owned(),
            version: String::new(),
            command: String::new(),
            args: Vec::new(),
            env: Vec::new(),
            sha256: sha256.to_owned(),
            runtime: None,
            isolation: None,
            profile: None,
            limits: BTreeMap::new(),
            grants: Vec::new(),
            re_executes: false,
            dedicated: false,
            required_layers: Vec::new(),
        }
    }

    /// Checks every field by itself.
    pub(super) fn check(self) -> Result<Draft, RegisterError> {
        let key = EntryKey {
            plugin_type: self.plugin_type,
            name: check_name(&self.name)?,
            version: check_version(&self.version)?,
        };
        let sha256 = check_sha256(&self.sha256)?;
        let (command, args) = split_command(&self.command, self.args, &key.name)?;
        check_command(&command)?;
        args.iter().try_for_each(|word| check_word("args", word))?;
        check_count("args", args.len())?;
        self.env.iter().try_for_each(|entry| check_env(entry))?;
        check_count("env", self.env.len())?;
        check_runtime(self.runtime)?;
        check_limits(self.runtime, &self.limits)?;
        let layers = self.required_layers.iter().map(|name| name.parse());
        Ok(Draft {
            key,
            command,
            sha256,
            process: ProcessOptions {
                args,
                env: self.env,
                re_executes: self.re_executes,
                dedicated: self.dedicated,
                required_layers: layers.collect::<Result<_, _>>()?,
            },
            grants: Grants::stated(&self.grants)?,
            runtime: self.runtime,
            isolation: self.isolation,
            profile: self.profile,
            limits: self.limits,
        })
    }
}

impl Draft {
    /// The entry of an artifact that runs as `found`, if that fits what was said.
    pub(super) fn into_entry(self, found: RuntimeKind) -> Result<Entry, RegisterError> {
        if let Some(stated) = self.runtime.filter(|stated| *stated != found) {
            return Err(RegisterError::Runtime { stated, found });
        }
        self.refuse_what_only_others_have(found)?;
        self.grants.check(found)?;
        self.refuse_what_only_kept_stores_have(found)?;
        let limits = Limits {
            isolation: self.isolation.unwrap_or_default(),
            profile: self.profile.unwrap_or_default(),
            ..Limits::stated(found, &self.limits)?
        };
        Ok(Entry {
            key: self.key,
            command: self.command,
            sha256: self.sha256,
            runtime: found,
            limits,
            grants: self.grants,
            process: self.process,
        })
    }

    fn refuse_what_only_kept_stores_have(&self, found: RuntimeKind) -> Result<(), RegisterError> {
        let keeps = self.isolation == Some(Isolation::Mount) || found != RuntimeKind::Wasm;
        let stated = OF_KEPT_STORES
            .iter()
            .find(|name| self.limits.contains_key(**name));
        match stated {
            Some(name) if !keeps => Err(RegisterError::Invalid(format!(
                "the limit {name} means nothing where each request has a store of its own; leave it out, or choose isolation mount"
            ))),
            _ => Ok(()),
        }
    }

    fn refuse_what_only_others_have(&self, found: RuntimeKind) -> Result<(), RegisterError> {
        if (self.key.plugin_type, found) == (PluginType::Database, RuntimeKind::Wasm) {
            return invalid(
                "a database plugin runs as a process, and this is a component: register an executable",
            );
        }
        let process = &self.process;
        let misplaced = match found {
            RuntimeKind::Wasm if !process.args.is_empty() => Some("args"),
            RuntimeKind::Wasm if process.re_executes => Some("re_executes"),
            RuntimeKind::Wasm if process.dedicated => Some("dedicated"),
            RuntimeKind::Wasm if !process.required_layers.is_empty() => Some("required_layers"),
            RuntimeKind::Native if self.isolation.is_some() => Some("isolation"),
            RuntimeKind::Native if self.profile.is_some() => Some("profile"),
            _ => None,
        };
        match misplaced {
            Some(field) => Err(RegisterError::Invalid(format!(
                "{field} means nothing for a {found} plugin; leave it out"
            ))),
            None => Ok(()),
        }
    }
}

/// Whether some kind of plugin, or the stated one, has all these limits: which one it is, only the artifact tells.
fn check_limits(
    runtime: Option<RuntimeKind>,
    stated: &BTreeMap<String, String>,
) -> Result<(), GrammarError> {
    let either = [RuntimeKind::Wasm, RuntimeKind::Native];
    let kinds = runtime.as_ref().map_or(&either[..], std::slice::from_ref);
    let mut faults = kinds
        .iter()
        .filter_map(|kind| Limits::stated(*kind, stated).err());
    match faults.next() {
        Some(fault) if faults.count() + 1 == kinds.len() => Err(fault),
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> Result<PluginName, RegisterError> {
    if name.is_empty() {
        return invalid("missing plugin name");
    }
    Ok(name.parse()?)
}

fn check_version(version: &str) -> Result<Option<PluginVersion>, RegisterError> {
    if version.is_empty() {
        return Ok(None);
    }
    let parsed: PluginVersion = version.parse()?;
    if parsed.is_builtin() {
        return Err(RegisterError::Invalid(format!(
            "version \"{parsed}\" is not allowed because 'builtin' is a reserved metadata identifier"
        )));
    }
    Ok(Some(parsed))
}

fn check_sha256(text: &str) -> Result<Digest, RegisterError> {
    if text.is_empty() {
        return invalid("missing SHA-256 value");
    }
    Ok(text.parse()?)
}

/// The command and its arguments, which old clients send in one string. A missing command is named like the plugin.
fn split_command(
    command: &str,
    args: Vec<String>,
    name: &PluginName,
) -> Result<(String, Vec<String>), RegisterError> {
    if command.is_empty() {
        return Ok((name.to_string(), args));
    }
    let mut words = command.split(' ').map(str::to_owned);
    let first = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    match (rest.is_empty(), args.is_empty()) {
        (true, _) => Ok((first, args)),
        (false, true) => Ok((first, rest)),
        (false, false) => invalid("must not specify args in command and args field"),
    }
}

fn check_command(command: &str) -> Result<(), GrammarError> {
    if command.starts_with('/') {
        let fault = "it is absolute; give it relative to the plugin directory";
        return Err(GrammarError::new("command", command, fault));
    }
    check_segments("command", command)
}

fn check_count(what: &'static str, count: usize) -> Result<(), GrammarError> {
    if count <= WORDS_MAX {
        return Ok(());
    }
    let fault = format!("there are {count}, {WORDS_MAX} are allowed");
    Err(GrammarError::new(what, "", &fault))
}

/// Values may be secret: the error does not quote them.
fn check_word(what: &'static str, word: &str) -> Result<(), GrammarError> {
    if word.contains('\0') {
        return Err(GrammarError::new(what, "", "one contains a NUL"));
    }
    if word.len() > WORD_BYTES_MAX {
        let fault = format!("one has {} bytes, {WORD_BYTES_MAX} are allowed", word.len());
        return Err(GrammarError::new(what, "", &fault));
    }
    Ok(())
}

fn check_env(entry: &str) -> Result<(), GrammarError> {
    check_word("env", entry)?;
    let Some((variable, _)) = entry.split_once('=') else {
        return Err(GrammarError::new("env", "", "an entry is no NAME=value"));
    };
    let refuse = |fault: &str| Err(GrammarError::new("env", variable, fault));
    if !is_variable(variable) {
        return refuse("a name has letters, digits and '_' and starts with no digit");
    }
    match RESERVED_VARIABLES
        .iter()
        .find(|start| variable.starts_with(**start))
    {
        Some(start) => refuse(&format!("names that start with {start} are reserved")),
        None => Ok(()),
    }
}

fn is_variable(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(allowed)
}

fn check_runtime(runtime: Option<RuntimeKind>) -> Result<(), RegisterError> {
    match runtime {
        Some(RuntimeKind::Builtin) => invalid("a builtin cannot be registered"),
        _ => Ok(()),
    }
}

fn invalid<T>(text: &str) -> Result<T, RegisterError> {
    Err(RegisterError::Invalid(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::manifest;

    fn refusal(change: impl FnOnce(&mut Manifest)) -> String {
        let mut changed = manifest("kv");
        change(&mut changed);
        match changed.check() {
            Ok(_) => panic!("it was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_command_is_named_like_the_plugin_when_not_stated() {
        let draft = manifest("team/kv").check().expect("it is well-formed");
        assert_eq!(draft.command, "team/kv");
    }

    #[test]
    fn arguments_may_follow_the_command_but_not_come_twice() {
        let mut given = manifest("kv");
        given.command = "kv -a b".to_owned();
        let draft = given.clone().check().expect("it is well-formed");
        assert_eq!(
            (draft.command.as_str(), draft.process.args.len()),
            ("kv", 2)
        );
        given.args = vec!["-c".to_owned()];
        let twice = given.check().err().expect("arguments come twice");
        assert!(twice.to_string().contains("args in command and args"));
    }

    #[test]
    fn every_missing_or_malformed_field_is_named() {
        assert_eq!(refusal(|m| m.name.clear()), "missing plugin name");
        assert_eq!(refusal(|m| m.sha256.clear()), "missing SHA-256 value");
        assert!(refusal(|m| m.sha256.truncate(62)).contains("64 are needed"));
        assert!(refusal(|m| m.name = "a/../b".to_owned()).contains("parent references"));
        assert!(refusal(|m| m.command = "../kv".to_owned()).contains("parent references"));
        assert!(
            refusal(|m| m.command = "/bin/sh".to_owned())
                .contains("relative to the plugin directory")
        );
        assert!(refusal(|m| m.version = "1.0".to_owned()).contains("invalid version"));
        assert!(refusal(|m| m.runtime = Some(RuntimeKind::Builtin)).contains("builtin"));
    }

    #[test]
    fn the_builtin_version_is_reserved() {
        let text = refusal(|m| m.version = "v1.0.0+builtin.palisade".to_owned());
        assert!(text.contains("reserved metadata identifier"));
    }

    #[test]
    fn environment_entries_are_checked_and_their_values_never_shown() {
        let bad = [
            "hunter2",
            "=hunter2",
            "1A=hunter2",
            "A B=hunter2",
            "LD_PRELOAD=hunter2",
            "PLUGIN_UNIX_SOCKET_DIR=hunter2",
            "VAULT_TOKEN=hunter2",
            "A=hunter2\0",
        ];
        for bad in bad {
            let text = refusal(|m| m.env = vec![bad.to_owned()]);
            assert!(text.contains("env") && !text.contains("hunter2"), "{text}");
        }
        assert!(refusal(|m| m.env = vec!["A=1".to_owned(); WORDS_MAX + 1]).contains("128"));
    }

    #[test]
    fn a_database_plugin_is_an_executable() {
        let of_database = |found| {
            let mut given = manifest("postgres");
            given.plugin_type = PluginType::Database;
            given.check().expect("it is well-formed").into_entry(found)
        };
        let entry = of_database(RuntimeKind::Native).expect("it runs as a process");
        assert_eq!(entry.key.plugin_type, PluginType::Database);
        let refused = of_database(RuntimeKind::Wasm).expect_err("there is no world for it");
        assert!(
            refused.to_string().contains("register an executable"),
            "{refused}"
        );
    }

    #[test]
    fn what_the_artifact_is_decides_and_a_contradiction_is_refused() {
        let found = |change: fn(&mut Manifest), found| {
            let mut given = manifest("kv");
            change(&mut given);
            given.check().expect("it is well-formed").into_entry(found)
        };
        let wasm = |m: &mut Manifest| m.runtime = Some(RuntimeKind::Wasm);
        assert!(found(wasm, RuntimeKind::Wasm).is_ok());
        assert!(matches!(
            found(wasm, RuntimeKind::Native),
            Err(RegisterError::Runtime { .. })
        ));
        let with_env = |m: &mut Manifest| m.env = vec!["A=1".to_owned()];
        assert!(found(with_env, RuntimeKind::Native).is_ok());
        assert!(found(with_env, RuntimeKind::Wasm).is_ok());
        let with_args = |m: &mut Manifest| m.args = vec!["-v".to_owned()];
        assert!(found(with_args, RuntimeKind::Wasm).is_err());
        let with_folder = |m: &mut Manifest| m.grants = vec!["folder:spool:rw".to_owned()];
        assert!(found(with_folder, RuntimeKind::Wasm).is_ok());
        assert!(found(with_folder, RuntimeKind::Native).is_err());
        let isolated = |m: &mut Manifest| m.isolation = Some(Isolation::Mount);
        assert!(found(isolated, RuntimeKind::Native).is_err());
        let large = |m: &mut Manifest| m.profile = Some(Profile::Large);
        assert!(found(large, RuntimeKind::Wasm).is_ok());
        let fault = found(large, RuntimeKind::Native).unwrap_err().to_string();
        assert!(
            fault.contains("profile means nothing for a native"),
            "{fault}"
        );
        let of_processes: [fn(&mut Manifest); 4] = [
            |m| m.re_executes = true,
            |m| m.dedicated = true,
            |m| m.required_layers = vec!["seccomp".to_owned()],
            |m| m.grants = vec!["network".to_owned()],
        ];
        for change in of_processes {
            assert!(found(change, RuntimeKind::Native).is_ok());
            assert!(found(change, RuntimeKind::Wasm).is_err());
        }
    }

    #[test]
    fn a_limit_of_kept_stores_is_refused_where_none_are_kept() {
        let entry = |isolation| {
            let mut given = manifest("kv");
            given.isolation = isolation;
            given.limits = BTreeMap::from([("store_uses".to_owned(), "7".to_owned())]);
            given
                .check()
                .expect("it is well-formed")
                .into_entry(RuntimeKind::Wasm)
        };
        assert_eq!(
            entry(Some(Isolation::Mount))
                .expect("it keeps them")
                .limits
                .store_uses,
            7
        );
        for isolation in [None, Some(Isolation::Call)] {
            let refused = entry(isolation).expect_err("nothing would hold to it");
            assert!(refused.to_string().contains("store_uses"), "{refused}");
        }
    }

    #[test]
    fn a_limit_of_neither_kind_is_refused_before_the_artifact_is_looked_at() {
        let limit = |name: &str, value: &str| {
            let mut given = manifest("kv");
            given.limits = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            given.check()
        };
        assert!(limit("processes", "64").is_ok());
        assert!(limit("fuel", "1000000").is_ok());
        assert!(limit("memory_bytes", "1").is_err());
        assert!(limit("wishes", "3").is_err());
    }
}
