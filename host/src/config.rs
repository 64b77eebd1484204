//! The server's configuration file: HCL with OpenBao's keys, read whole, every fault named.
//!
//! Unknown keys are refused: a misspelt setting that is silently ignored is how a server ends up without the limit its
//! operator believes in.

pub(crate) mod duration;
mod section;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use palisade_runtime::catalog::{Custody, PluginDirectory};
use palisade_runtime::{ErrorKind, FolderRoot, GrantCeiling, Layer, Timeouts};

use crate::boolean;
use crate::env;
use crate::listener;
use crate::seal::StaticSeal;
use section::{Faults, Section};

/// A configuration file longer than this is not one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The server's settings, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where to listen; at least one.
    pub(crate) listeners: Vec<SocketAddr>,
    /// Where everything is kept.
    pub(crate) storage: Storage,
    /// Where the key that unseals comes from.
    pub(crate) seal: Seal,
    /// Where artifacts are; without one nothing can be registered.
    pub(crate) plugin_directory: Option<PathBuf>,
    /// Where the folders are that components may be granted.
    pub(crate) plugin_folders_root: Option<PathBuf>,
    /// In whose hands the plugin directory and its files may be.
    pub(crate) custody: Custody,
    /// Walls without which no process of a plugin is started.
    pub(crate) required_layers: BTreeSet<Layer>,
    /// What entries may be granted at most.
    pub(crate) grant_ceiling: GrantCeiling,
    /// How long a lone call to a process is waited for without going to sleep.
    pub(crate) plugin_busy_wait: Duration,
    /// The address that others reach this server at.
    pub(crate) api_addr: Option<String>,
    /// How much to log.
    pub(crate) log_level: Option<String>,
    /// The name this cluster shows; made up at the first start when not given.
    pub(crate) cluster_name: Option<String>,
    /// How long a lease lives when nobody says. OpenBao's default is 768 hours too.
    pub(crate) default_lease_ttl: Duration,
    /// How long a lease may live. OpenBao's default is 768 hours too.
    pub(crate) max_lease_ttl: Duration,
}

/// Where everything is kept.
#[derive(Debug)]
pub(crate) enum Storage {
    /// In this process's memory: gone when it ends.
    Memory,
    /// In one file.
    Redb(PathBuf),
}

/// Where the key that unseals comes from.
#[derive(Debug)]
pub(crate) enum Seal {
    /// A key made at this start, for development.
    Fresh,
    /// A key that the operator keeps.
    Static(StaticSeal),
}

/// 768 hours.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(768 * 3600);

/// Why there is no configuration: every fault, each with its place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("error loading configuration from {file}:{}", list(.faults))]
pub(crate) struct ConfigError {
    file: String,
    faults: Faults,
}

impl ConfigError {
    /// The kind of the faults.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.faults.kind()
    }
}

fn list(faults: &Faults) -> String {
    faults
        .texts
        .iter()
        .map(|fault| format!("\n  * {fault}"))
        .collect()
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// Every fault of the file at once.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        read_bounded(path)
            .map_err(Faults::one)
            .and_then(|text| Self::parse(&text))
            .map_err(|faults| ConfigError { file, faults })
    }

    fn parse(text: &str) -> Result<Self, Faults> {
        let body = hcl_edit::parser::parse_body(text)
            .map_err(|fault| Faults::one(format!("not valid HCL: {fault}")))?;
        let mut faults = Faults::default();
        let mut root = Section::root(&body, &mut faults);
        let config = Self::read(&mut root);
        root.finish();
        match config {
            Some(config) if faults.texts.is_empty() => Ok(config),
            _ => Err(faults),
        }
    }

    /// Reads everything, so that every fault is found, and only then asks whether it is enough.
    fn read(root: &mut Section<'_, '_>) -> Option<Self> {
        let listeners = root.blocks("listener", read_listener);
        let storage = root.one_block("storage", read_storage);
        let seal = root.one_block("seal", read_seal);
        let custody = read_custody(root);
        let plugin_directory = read_plugin_directory(root, custody.as_ref());
        let plugin_folders_root = read_folders_root(root);
        let required_layers = read_layers(root);
        let grant_ceiling = read_ceiling(root);
        let plugin_busy_wait = read_busy_wait(root);
        let (api_addr, log_level) = (root.text("api_addr"), root.text("log_level"));
        let cluster_name = root.text("cluster_name");
        let default_lease_ttl = root.duration("default_lease_ttl").unwrap_or(LEASE_TTL);
        let max_lease_ttl = root.duration("max_lease_ttl").unwrap_or(LEASE_TTL);
        if default_lease_ttl > max_lease_ttl {
            root.fault("default_lease_ttl", "it is longer than max_lease_ttl");
        }
        check_level(root, log_level.as_deref());
        Some(Self {
            listeners: listeners?,
            storage: storage?,
            seal: Seal::Static(seal?),
            plugin_directory,
            plugin_folders_root,
            custody: custody?,
            required_layers: required_layers?,
            grant_ceiling: grant_ceiling?,
            plugin_busy_wait,
            api_addr,
            log_level,
            cluster_name,
            default_lease_ttl,
            max_lease_ttl,
        })
    }
}

fn read_bounded(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|fault| fault.to_string())?;
    match text.len() as u64 {
        0..=FILE_BYTES_MAX => Ok(text),
        _ => Err(format!("the file has more than {FILE_BYTES_MAX} bytes")),
    }
}

fn read_listener(kind: &str, section: &mut Section<'_, '_>) -> Option<SocketAddr> {
    if kind != "tcp" {
        section.fault("", "this kind of listener is not known; tcp is");
        return None;
    }
    let text = section
        .text("address")
        .unwrap_or_else(|| "127.0.0.1:8200".to_owned());
    let address = listener::address(&text);
    if address.is_none() {
        section.fault(
            "address",
            &format!("{text:?} is not an address with a port, such as 127.0.0.1:8200"),
        );
    }
    if section.flag("tls_disable") != Some(true) {
        section.fault(
            "tls_disable",
            "this version serves plain HTTP only: say so with tls_disable = true, and put a proxy that ends TLS in front",
        );
    }
    address
}

/// Opens it too, so that a directory that is none is named with the other faults.
fn read_folders_root(root: &mut Section<'_, '_>) -> Option<PathBuf> {
    let path = PathBuf::from(root.text("plugin_folders_root")?);
    if let Err(error) = FolderRoot::open(&path) {
        root.fault("plugin_folders_root", &error.to_string());
    }
    Some(path)
}

/// Opens it too, as above.
fn read_plugin_directory(root: &mut Section<'_, '_>, custody: Option<&Custody>) -> Option<PathBuf> {
    let path = PathBuf::from(root.text("plugin_directory")?);
    if let Err(error) = PluginDirectory::open_in(&path, custody.cloned().unwrap_or_default()) {
        root.fault_of(error.kind(), "plugin_directory", &error.to_string());
    }
    Some(path)
}

/// Whether owners and permissions are looked at: OpenBao's variable, which there turns on what here can be turned off.
pub(crate) const CUSTODY_VARIABLE: &str = "ENABLE_FILE_PERMISSIONS_CHECK";

fn read_custody(root: &mut Section<'_, '_>) -> Option<Custody> {
    let owner = root.digits("plugin_file_uid");
    let permissions = root.digits("plugin_file_permissions");
    let owner = owner.map(|text| text.parse().map_err(|_| text));
    let permissions = permissions.map(|text| u32::from_str_radix(&text, 8).map_err(|_| text));
    // Zero leaves the choice to the server, as in OpenBao.
    let owner = root.parsed("plugin_file_uid", owner, "the number of a user")?;
    let permissions = root.parsed(
        "plugin_file_permissions",
        permissions,
        "octal, as in \"0755\"",
    )?;
    custody(
        owner.filter(|owner| *owner != 0),
        permissions.filter(|permissions| *permissions != 0),
    )
    .map_err(|fault| root.fault("plugin_directory", &fault))
    .ok()
}

/// The rules for the plugin directory, unless the environment says that there are none.
///
/// # Errors
///
/// That the variable is neither true nor false.
pub(crate) fn custody(owner: Option<u32>, permissions: Option<u32>) -> Result<Custody, String> {
    let word = env::either(CUSTODY_VARIABLE).unwrap_or_else(|| "true".to_owned());
    match boolean::parse(&word) {
        Some(true) => Ok(Custody::Checked { owner, permissions }),
        Some(false) => Ok(Custody::Unchecked),
        None => Err(format!(
            "BAO_{CUSTODY_VARIABLE} is {word:?}, neither true nor false"
        )),
    }
}

fn read_layers(root: &mut Section<'_, '_>) -> Option<BTreeSet<Layer>> {
    let names = root.texts("plugin_required_layers")?;
    let mut layers = BTreeSet::new();
    for name in names {
        match name.parse::<Layer>() {
            Ok(layer) => drop(layers.insert(layer)),
            Err(fault) => root.fault("plugin_required_layers", &fault.to_string()),
        }
    }
    Some(layers)
}

/// Without the setting everything is allowed; with an empty list nothing.
fn read_ceiling(root: &mut Section<'_, '_>) -> Option<GrantCeiling> {
    const NAME: &str = "plugin_grants_ceiling";
    if !root.has(NAME) {
        return Some(GrantCeiling::default());
    }
    GrantCeiling::stated(&root.texts(NAME)?)
        .map_err(|fault| root.fault(NAME, &fault.to_string()))
        .ok()
}

fn read_busy_wait(root: &mut Section<'_, '_>) -> Duration {
    const NAME: &str = "plugin_busy_wait";
    let Some(stated) = root.duration(NAME) else {
        return Timeouts::default().busy_wait;
    };
    let most = Timeouts::BUSY_WAIT_MAX;
    if stated > most {
        root.fault(
            NAME,
            &format!("{stated:?} is too long; at most {most:?}, and \"0s\" for none"),
        );
    }
    stated
}

fn read_storage(kind: &str, section: &mut Section<'_, '_>) -> Option<Storage> {
    match kind {
        "inmem" => Some(Storage::Memory),
        "redb" => {
            let path = PathBuf::from(section.required_text("path")?);
            if path.is_relative() {
                section.fault(
                    "path",
                    &format!("{path:?} is relative; it must start with /"),
                );
            }
            Some(Storage::Redb(path))
        }
        _ => {
            section.fault("", "this kind of storage is not known; redb and inmem are");
            None
        }
    }
}

fn read_seal(kind: &str, section: &mut Section<'_, '_>) -> Option<StaticSeal> {
    if kind != "static" {
        section.fault("", "this kind of seal is not known; static is");
        return None;
    }
    let id = section.required_text("current_key_id");
    let source = section.required_text("current_key")?;
    match StaticSeal::parse(id.unwrap_or_default(), &source) {
        Ok(seal) => {
            // Fetched only to see whether it can be; the key is forgotten again.
            if let Err(error) = seal.key() {
                section.fault("current_key", &error.to_string());
            }
            Some(seal)
        }
        Err(fault) => {
            section.fault("current_key", &fault);
            None
        }
    }
}

/// The words for `log_level`.
pub(crate) const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

fn check_level(root: &mut Section<'_, '_>, level: Option<&str>) {
    if let Some(level) = level.filter(|level| !LEVELS.contains(level)) {
        root.fault(
            "log_level",
            &format!("{level:?} is none of {}", LEVELS.join(", ")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    /// With `HERE` in place of a folder.
    const GOOD: &str = r#"
        listener "tcp" {
          address     = "127.0.0.1:0"
          tls_disable = true
        }
        storage "redb" { path = "HERE/store.redb" }
        seal "static" {
          current_key_id = "2026-1"
          current_key    = "file://HERE/key"
        }
        plugin_directory  = "HERE/plugins"
        default_lease_ttl = "1h"
        max_lease_ttl     = "24h"
        log_level         = "debug"
    "#;

    /// A folder with a key and a plugin directory, and a good file that names them.
    fn installation() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, [7; 32]).unwrap();
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        let text = GOOD.replace("HERE", folder.path().to_str().unwrap());
        (folder, text)
    }

    #[test]
    fn a_complete_file_is_read() {
        let (folder, text) = installation();
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.listeners, ["127.0.0.1:0".parse().unwrap()]);
        assert!(matches!(config.storage, Storage::Redb(path) if path.ends_with("store.redb")));
        assert_eq!(config.default_lease_ttl, Duration::from_secs(3600));
        assert_eq!(
            config.plugin_directory.unwrap(),
            folder.path().join("plugins")
        );
    }

    #[test]
    fn the_file_that_operators_are_shown_is_read() {
        let (folder, _good) = installation();
        let here = folder.path().to_str().unwrap();
        std::fs::rename(folder.path().join("key"), folder.path().join("seal-key")).unwrap();
        std::fs::create_dir(folder.path().join("folders")).unwrap();
        let document = include_str!("../../docs/running-the-server.md");
        let (_, rest) = document.split_once("```hcl\n").unwrap();
        let (shown, _) = rest.split_once("```").unwrap();
        let text = shown
            .replace("/var/lib/palisade", here)
            .replace("/etc/palisade", here);
        Config::parse(&text).unwrap();
    }

    #[test]
    fn every_fault_is_named_with_its_place_in_one_run() {
        let faults = Config::parse(
            r#"
            listener "tcp" { address = "nowhere" }
            storage "redb" { pth = "/x" }
            seal "static" { current_key_id = "1", current_key = "ftp://x" }
            log_level = "loud"
            default_lease_ttl = "soon"
            plugin_directory = ["a"]
            plugin_folders_root = "relative"
            plugin_dir = "/x"
            "#
            .replace("\", current_key", "\"\ncurrent_key")
            .replace("{ current_key_id", "{\ncurrent_key_id")
            .replace("\"ftp://x\" }", "\"ftp://x\"\n}")
            .as_str(),
        )
        .unwrap_err();
        let all = faults.texts.join("\n");
        for place in [
            "listener \"tcp\": address:",
            "listener \"tcp\": tls_disable:",
            "storage \"redb\": path:",
            "storage \"redb\": pth:",
            "seal \"static\": current_key:",
            "log_level:",
            "default_lease_ttl:",
            "plugin_directory:",
            "plugin_folders_root: invalid root of folders",
            "plugin_dir:",
        ] {
            assert!(all.contains(place), "{place} is missing in\n{all}");
        }
        assert_eq!(faults.texts.len(), 10, "{all}");
    }

    #[test]
    fn what_the_file_points_at_is_checked_in_the_same_run() {
        let (folder, good) = installation();
        let here = folder.path().to_str().unwrap();
        std::fs::set_permissions(folder.path().join("key"), Permissions::from_mode(0o644)).unwrap();
        let text = good
            .replace(&format!("{here}/plugins"), "relative")
            .replace(&format!("{here}/store.redb"), "store.redb");
        let faults = Config::parse(&text).unwrap_err();
        let all = faults.texts.join("\n");
        for part in ["path: \"store.redb\"", "0644", "plugin_directory: "] {
            assert!(all.contains(part), "{part} is missing in\n{all}");
        }
        assert_eq!(
            (faults.texts.len(), faults.kind()),
            (3, ErrorKind::InvalidInput)
        );
        std::fs::remove_file(folder.path().join("key")).unwrap();
        let missing = Config::parse(&good).unwrap_err().texts;
        assert!(
            missing.len() == 1 && missing[0].contains("current_key"),
            "{missing:?}"
        );
    }

    #[test]
    fn a_plugin_directory_that_is_none_has_its_own_code() {
        let (folder, good) = installation();
        let directory = folder.path().join("plugins");
        std::fs::remove_dir(&directory).unwrap();
        let kind = |text: &str| Config::parse(text).unwrap_err().kind();
        assert_eq!(kind(&good), ErrorKind::PluginDirectory);
        std::os::unix::fs::symlink(folder.path(), &directory).unwrap();
        assert_eq!(kind(&good), ErrorKind::PluginDirectory);
    }

    #[test]
    fn a_wait_without_sleep_is_bounded() {
        let (_folder, good) = installation();
        let wait = |line: &str| {
            let config = Config::parse(&format!("{good}\n{line}"));
            config.map(|config| config.plugin_busy_wait)
        };
        assert_eq!(wait("").unwrap(), Timeouts::default().busy_wait);
        assert_eq!(wait("plugin_busy_wait = \"0s\"").unwrap(), Duration::ZERO);
        let most = wait("plugin_busy_wait = \"10ms\"").unwrap();
        assert_eq!(most, Timeouts::BUSY_WAIT_MAX);
        let faults = wait("plugin_busy_wait = \"11ms\"").unwrap_err();
        let text = "plugin_busy_wait: 11ms is too long; at most 10ms, and \"0s\" for none";
        assert_eq!(faults.texts, [text]);
    }

    #[test]
    fn a_ceiling_of_grants_is_everything_unless_stated() {
        let (_folder, good) = installation();
        let ceiling = |line: &str| {
            let config = Config::parse(&format!("{good}\n{line}"));
            config.map(|config| config.grant_ceiling)
        };
        assert_eq!(ceiling("").unwrap(), GrantCeiling::default());
        let nothing = GrantCeiling::stated(&[]).unwrap();
        assert_eq!(ceiling("plugin_grants_ceiling = []").unwrap(), nothing);
        let faults = ceiling("plugin_grants_ceiling = [\"netwrok\"]").unwrap_err();
        assert!(faults.texts[0].contains("netwrok"), "{faults:?}");
    }

    #[test]
    fn what_is_missing_is_named_too() {
        let faults = Config::parse("").unwrap_err().texts.join("\n");
        for place in ["listener", "storage", "seal"] {
            assert!(faults.contains(place), "{faults}");
        }
    }

    #[test]
    fn a_second_storage_is_refused() {
        let (_folder, good) = installation();
        let twice = format!("{good}\nstorage \"inmem\" {{}}");
        assert!(
            Config::parse(&twice)
                .unwrap_err()
                .texts
                .join("\n")
                .contains("storage")
        );
    }

    #[test]
    fn a_key_in_the_file_is_not_echoed() {
        let text = GOOD.replace("file://HERE/key", "hunter2hunter2");
        assert!(
            !Config::parse(&text)
                .unwrap_err()
                .texts
                .join("\n")
                .contains("hunter2")
        );
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let error = Config::load(Path::new("/nowhere/palisade.hcl")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/palisade.hcl"));
    }
}
