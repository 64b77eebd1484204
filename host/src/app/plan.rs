//! What to start: from the flags of development, or from a configuration file.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use palisade_runtime::catalog::Custody;
use palisade_runtime::store::{MemoryStore, RedbStore, Store};
use palisade_runtime::{ErrorKind, GrantCeiling, Layer, Timeouts};
use zeroize::Zeroizing;

use super::code_folder::CodeFolder;
use super::{INTERNAL, TokenSink};
use crate::args;
use crate::barrier::{Barrier, BarrierError};
use crate::cli::Failure;
use crate::config::{Config, LEASE_TTL, Seal, Storage, custody};
use crate::env;
use crate::listener;
use crate::seal::SealKey;

/// Where a development server listens when nobody says.
const DEV_ADDRESS: &str = "127.0.0.1:8200";

/// Everything that is settled before anything starts.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) dev: bool,
    pub(super) listeners: Vec<SocketAddr>,
    storage: Storage,
    seal: Seal,
    pub(super) plugin_directory: Option<PathBuf>,
    pub(super) plugin_folders_root: Option<PathBuf>,
    pub(super) custody: Custody,
    pub(super) required_layers: BTreeSet<Layer>,
    pub(super) grant_ceiling: GrantCeiling,
    pub(super) timeouts: Timeouts,
    pub(super) api_addr: Option<String>,
    pub(super) cluster_name: Option<String>,
    pub(super) default_lease_ttl: Duration,
    pub(super) max_lease_ttl: Duration,
    pub(super) log_level: String,
    /// The root token that a developer chose.
    pub(super) root_token: Option<ChosenToken>,
    pub(super) token_sink: TokenSink,
    /// Whether a key-value engine is enabled at `secret/`.
    pub(super) enables_kv: bool,
}

/// A token from a flag or a variable; never shown by `Debug`.
pub(super) struct ChosenToken(pub(super) Zeroizing<String>);

impl std::fmt::Debug for ChosenToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChosenToken")
    }
}

impl Plan {
    /// # Errors
    ///
    /// What is missing or contradicts itself, and every fault of the configuration file.
    pub(super) fn of(args: args::Server) -> Result<Self, Failure> {
        match (&args.config, args.dev) {
            (None, true) => Self::development(args),
            (Some(_), false) => Self::configured(args),
            (None, false) => Err(Failure::coded(
                ErrorKind::InvalidInput.code(),
                "Must specify a configuration with -config=FILE, or -dev for a development server",
            )),
            (Some(_), true) => Err(Failure::coded(
                ErrorKind::InvalidInput.code(),
                "-config and -dev exclude each other",
            )),
        }
    }

    fn development(args: args::Server) -> Result<Self, Failure> {
        let address = args
            .dev_listen_address
            .or_else(|| env::either("DEV_LISTEN_ADDRESS"))
            .unwrap_or_else(|| DEV_ADDRESS.to_owned());
        let listener = listener::address(&address).ok_or_else(|| {
            Failure::coded(ErrorKind::InvalidInput.code(), format!("-dev-listen-address: {address:?} is not an address with a port, such as {DEV_ADDRESS}"))
        })?;
        let token = chosen_token(args.dev_root_token_id);
        let custody = custody(None, None)
            .map_err(|fault| Failure::coded(ErrorKind::InvalidInput.code(), fault))?;
        Ok(Self {
            dev: true,
            listeners: vec![listener],
            storage: Storage::Memory,
            seal: Seal::Fresh,
            plugin_directory: args.dev_plugin_dir,
            plugin_folders_root: args.dev_plugin_folders_root,
            custody,
            required_layers: BTreeSet::new(),
            grant_ceiling: GrantCeiling::default(),
            timeouts: Timeouts::default(),
            api_addr: None,
            cluster_name: None,
            default_lease_ttl: LEASE_TTL,
            max_lease_ttl: LEASE_TTL,
            log_level: level(args.log_level, None),
            root_token: token.map(|token| ChosenToken(Zeroizing::new(token))),
            token_sink: TokenSink::Banner,
            enables_kv: !args.dev_no_kv,
        })
    }

    fn configured(args: args::Server) -> Result<Self, Failure> {
        let file = args.config.unwrap_or_default();
        let config =
            Config::load(&file).map_err(|error| Failure::coded(error.kind().code(), error))?;
        Ok(Self {
            dev: false,
            listeners: config.listeners,
            storage: config.storage,
            seal: config.seal,
            plugin_directory: config.plugin_directory,
            plugin_folders_root: config.plugin_folders_root,
            custody: config.custody,
            required_layers: config.required_layers,
            grant_ceiling: config.grant_ceiling,
            timeouts: Timeouts {
                busy_wait: config.plugin_busy_wait,
                ..Timeouts::default()
            },
            api_addr: config.api_addr,
            cluster_name: config.cluster_name,
            default_lease_ttl: config.default_lease_ttl,
            max_lease_ttl: config.max_lease_ttl,
            log_level: level(args.log_level, config.log_level),
            root_token: None,
            token_sink: args
                .root_token_file
                .map_or(TokenSink::Banner, TokenSink::File),
            enables_kv: false,
        })
    }

    /// The word that `status` shows.
    pub(super) fn storage_type(&self) -> &'static str {
        match self.storage {
            Storage::Memory => "inmem",
            Storage::Redb(_) => "redb",
        }
    }

    /// Where compiled components are kept.
    pub(super) fn code_folder(&self) -> Result<CodeFolder, Failure> {
        match &self.storage {
            Storage::Memory => CodeFolder::temporary(),
            Storage::Redb(path) => Ok(CodeFolder::beside(path)),
        }
    }

    /// The seal, for people.
    pub(super) fn seal(&self) -> String {
        match &self.seal {
            Seal::Fresh => "a key of this start".to_owned(),
            Seal::Static(seal) => format!("static (key {:?})", seal.key_id),
        }
    }

    /// Opens the storage and unseals the barrier over it.
    pub(super) async fn open_store(&self) -> Result<Arc<Barrier>, Failure> {
        let key = self.seal_key()?;
        let medium: Arc<dyn Store> = match &self.storage {
            Storage::Memory => Arc::new(MemoryStore::new()),
            Storage::Redb(path) => Arc::new(RedbStore::open(path).map_err(|error| {
                Failure::coded(
                    ErrorKind::Storage.code(),
                    format!("storage at {}: {error}", path.display()),
                )
            })?),
        };
        let barrier = Barrier::open(medium, &key)
            .await
            .map_err(|error| still_sealed(&error))?;
        Ok(Arc::new(barrier))
    }

    fn seal_key(&self) -> Result<SealKey, Failure> {
        match &self.seal {
            Seal::Static(seal) => seal
                .key()
                .map_err(|error| Failure::coded(ErrorKind::InvalidInput.code(), error)),
            Seal::Fresh => {
                let mut key = SealKey::default();
                rand::fill(key.as_mut_slice())
                    .map_err(|_| Failure::coded(INTERNAL, "the system gives no randomness"))?;
                Ok(key)
            }
        }
    }
}

fn still_sealed(error: &BarrierError) -> Failure {
    let code = match error {
        BarrierError::WrongSealKey => ErrorKind::Sealed.code(),
        BarrierError::Cipher(_) => INTERNAL,
        _ => ErrorKind::Storage.code(),
    };
    Failure::coded(code, format!("the barrier cannot be unsealed: {error}"))
}

/// The flag, else the environment. An empty one is no choice: a token is made then, as in OpenBao.
fn chosen_token(flag: Option<String>) -> Option<String> {
    flag.filter(|token| !token.is_empty())
        .or_else(|| env::either("DEV_ROOT_TOKEN_ID"))
}

/// The flag, else the environment, else the file.
fn level(flag: Option<String>, file: Option<String>) -> String {
    let chosen = flag.or_else(|| env::either("LOG_LEVEL")).or(file);
    chosen.unwrap_or_else(|| "info".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, parse};

    fn plan(line: &str) -> Result<Plan, Failure> {
        let cli = parse(line.split(' ').map(Into::into)).unwrap();
        let Command::Server(args) = cli.command else {
            panic!("another command")
        };
        Plan::of(args)
    }

    #[test]
    fn a_start_that_cannot_be_has_a_code() {
        for line in [
            "palisade server",
            "palisade server -dev -config=/nowhere",
            "palisade server -config=/nowhere",
            "palisade server -dev -dev-listen-address=nowhere",
        ] {
            let failure = format!("{:?}", plan(line).unwrap_err());
            assert!(failure.contains("Error code: invalid-input"), "{failure}");
        }
    }

    #[test]
    fn an_empty_root_token_is_no_choice() {
        let token = |line| plan(line).unwrap().root_token.map(|chosen| chosen.0);
        assert!(token("palisade server -dev -dev-root-token-id=").is_none());
        let chosen = token("palisade server -dev -dev-root-token-id=s.mine").unwrap();
        assert_eq!(chosen.as_str(), "s.mine");
    }
}
