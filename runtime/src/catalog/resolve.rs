//! From a name to the program that a mount of it runs, with OpenBao's order of precedence.

use std::sync::Arc;

use palisade_contract::{Plugin, PluginType};

use super::{BUILTIN_VERSION, Catalog, Entry, EntryKey, Program, record};
use crate::{
    Digest, Grants, LaunchError, Limits, MountError, PluginName, PluginVersion, ProcessOptions,
    RegisterError, RuntimeKind,
};

/// What a mount asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Secret or auth.
    pub(crate) plugin_type: PluginType,
    /// The plugin's name.
    pub(crate) name: PluginName,
    /// The version it is pinned to, if any.
    pub(crate) version: Option<PluginVersion>,
}

/// How to choose where no version is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// For a new mount: the unversioned entry, else the highest version, else the builtin.
    New,
    /// For a mount that exists: the unversioned entry, else the builtin, else the highest version. A mount of a builtin
    /// does not become a versioned entry because one was registered.
    Existing,
}

/// What runs for a mount: the program, and the facts to show.
#[derive(Clone)]
pub(crate) struct Resolved {
    /// The builtin, or the verified bytes.
    pub(crate) program: Program,
    /// How it runs.
    pub(crate) runtime: RuntimeKind,
    /// The version to pin the mount to; none for the unversioned entry and the builtin.
    pub(crate) version: Option<PluginVersion>,
    /// What to show as running: empty for the unversioned entry.
    pub(crate) running_version: String,
    /// The digest of the bytes; none for a builtin.
    pub(crate) sha256: Option<Digest>,
    /// What it may use.
    pub(crate) limits: Limits,
    /// What it may do besides.
    pub(crate) grants: Grants,
    /// How its process is started, if it has one.
    pub(crate) process: ProcessOptions,
}

enum Found {
    Entry(Box<Entry>),
    Builtin(Arc<dyn Plugin>),
}

impl Catalog {
    /// Finds what `wanted` means now, opens its artifact and hashes it again. Before that takes its time, `expect` hears
    /// which entry it is.
    pub(crate) async fn resolve(
        &self,
        wanted: &Wanted,
        choice: Choice,
        expect: impl FnOnce(&Entry),
    ) -> Result<Resolved, MountError> {
        match self.find(wanted, choice).await? {
            Found::Entry(entry) => {
                expect(&entry);
                self.verified(*entry).await
            }
            Found::Builtin(plugin) => Ok(Resolved::of_builtin(plugin)),
        }
    }

    /// The entry that is chosen; nothing when that is a builtin, or when there is none.
    pub(super) async fn chosen_entry(
        &self,
        wanted: &Wanted,
        choice: Choice,
    ) -> Result<Option<Entry>, RegisterError> {
        match self.find(wanted, choice).await {
            Ok(Found::Entry(entry)) => Ok(Some(*entry)),
            Ok(Found::Builtin(_)) | Err(MountError::NoEntry { .. }) => Ok(None),
            Err(MountError::Store(error)) => Err(error.into()),
            Err(other) => Err(RegisterError::Worker(other.to_string())),
        }
    }

    async fn find(&self, wanted: &Wanted, choice: Choice) -> Result<Found, MountError> {
        match &wanted.version {
            Some(version) if version.is_builtin() => self.explicit_builtin(wanted, version).await,
            Some(_) => self
                .registered(wanted, wanted.version.clone())
                .await?
                .ok_or_else(|| missing(wanted)),
            None => self.preferred(wanted, choice).await,
        }
    }

    async fn preferred(&self, wanted: &Wanted, choice: Choice) -> Result<Found, MountError> {
        if let Some(unversioned) = self.registered(wanted, None).await? {
            return Ok(unversioned);
        }
        let builtin = self
            .builtin(wanted.plugin_type, &wanted.name)
            .map(|plugin| Found::Builtin(Arc::clone(plugin)));
        let found = match choice {
            Choice::Existing if builtin.is_some() => builtin,
            Choice::New | Choice::Existing => self.highest(wanted).await?.or(builtin),
        };
        found.ok_or_else(|| missing(wanted))
    }

    async fn registered(
        &self,
        wanted: &Wanted,
        version: Option<PluginVersion>,
    ) -> Result<Option<Found>, MountError> {
        let key = EntryKey {
            plugin_type: wanted.plugin_type,
            name: wanted.name.clone(),
            version,
        };
        let entry = self.entry(&key).await.map_err(mount_error)?;
        Ok(entry.map(|entry| Found::Entry(Box::new(entry))))
    }

    async fn highest(&self, wanted: &Wanted) -> Result<Option<Found>, MountError> {
        let versions = self
            .versions(wanted.plugin_type, &wanted.name)
            .await
            .map_err(mount_error)?;
        match versions.into_iter().max() {
            Some(version) => self.registered(wanted, Some(version)).await,
            None => Ok(None),
        }
    }

    /// The builtin, asked for by its version: only as long as no unversioned entry stands in front of it.
    async fn explicit_builtin(
        &self,
        wanted: &Wanted,
        version: &PluginVersion,
    ) -> Result<Found, MountError> {
        let shadowed = self.registered(wanted, None).await?.is_some();
        match self.builtin(wanted.plugin_type, &wanted.name) {
            Some(plugin) if !shadowed && version.to_string() == BUILTIN_VERSION => {
                Ok(Found::Builtin(Arc::clone(plugin)))
            }
            _ => Err(missing(wanted)),
        }
    }

    async fn verified(&self, entry: Entry) -> Result<Resolved, MountError> {
        // Lowered since, it bounds what was registered before.
        self.ceiling.check(&entry.grants).map_err(mount_error)?;
        let directory = self.directory().map_err(mount_error)?;
        let artifact = directory
            .verify(&entry.command, entry.sha256)
            .await
            .map_err(mount_error)?;
        if artifact.runtime() != entry.runtime {
            return Err(mount_error(RegisterError::Runtime {
                stated: entry.runtime,
                found: artifact.runtime(),
            }));
        }
        Ok(Resolved {
            runtime: entry.runtime,
            running_version: record::version_text(&entry.key),
            version: entry.key.version,
            sha256: Some(artifact.digest()),
            program: Program::Verified(artifact),
            limits: entry.limits,
            grants: entry.grants,
            process: entry.process,
        })
    }
}

impl Resolved {
    fn of_builtin(plugin: Arc<dyn Plugin>) -> Self {
        Self {
            program: Program::Builtin(plugin),
            runtime: RuntimeKind::Builtin,
            version: None,
            running_version: BUILTIN_VERSION.to_owned(),
            sha256: None,
            limits: Limits::of(RuntimeKind::Builtin),
            grants: Grants::default(),
            process: ProcessOptions::default(),
        }
    }
}

fn missing(wanted: &Wanted) -> MountError {
    let plugin = match &wanted.version {
        Some(version) => format!("{}, version={version}", wanted.name),
        None => wanted.name.to_string(),
    };
    MountError::NoEntry { plugin }
}

/// What a mount says when its artifact is no longer what was registered.
fn mount_error(error: RegisterError) -> MountError {
    match error {
        RegisterError::Store(error) => MountError::Store(error),
        other => MountError::Launch(LaunchError::Artifact {
            kind: other.kind(),
            message: other.to_string(),
        }),
    }
}
