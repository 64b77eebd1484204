//! What a server is from its first start on: its cluster's name and id, and what is known of its root token.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use palisade_runtime::ErrorKind;
use palisade_runtime::store::{Check, Commit, Store, StoreError, Write as Change};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::plan::Plan;
use super::{INTERNAL, TokenSink};
use crate::cli::Failure;
use crate::token::{self, RootToken};

/// Where it is kept, behind the barrier.
const KEY: &str = "core/server";

/// Kept in one record, so that a server has all of it or nothing.
#[derive(Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) cluster_name: String,
    pub(super) cluster_id: String,
    pub(super) root: RootToken,
}

/// A token that was just made, for whoever may see it.
pub(super) struct NewToken(pub(super) Zeroizing<String>);

impl Identity {
    /// Reads what an earlier start made, or makes it. The token comes back only in the latter case, and only when it
    /// is to be shown.
    pub(super) async fn load_or_make(
        store: &dyn Store,
        plan: &Plan,
    ) -> Result<(Self, Option<NewToken>), Failure> {
        if let Some(known) = load(store).await? {
            return Ok((known, None));
        }
        let token = match &plan.root_token {
            Some(chosen) => chosen.0.clone(),
            None => token::generate().map_err(|error| Failure::coded(INTERNAL, error))?,
        };
        let identity = Self::new(&token, plan)?;
        // The token reaches its reader before it counts: a crash in between makes another at the next start.
        if let TokenSink::File(path) = &plan.token_sink {
            write_private(path, &token).map_err(|fault| {
                Failure::coded(
                    ErrorKind::InvalidInput.code(),
                    format!("-root-token-file {}: {fault}", path.display()),
                )
            })?;
        }
        identity.save(store).await?;
        let shown = matches!(plan.token_sink, TokenSink::Banner);
        Ok((identity, shown.then_some(NewToken(token))))
    }

    fn new(token: &str, plan: &Plan) -> Result<Self, Failure> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let id = Uuid::new_v4();
        let made_up = format!("palisade-cluster-{}", &id.simple().to_string()[..8]);
        Ok(Self {
            cluster_name: plan.cluster_name.clone().unwrap_or(made_up),
            cluster_id: id.to_string(),
            root: RootToken::of(token, now.as_secs())
                .map_err(|error| Failure::coded(INTERNAL, error))?,
        })
    }

    /// Of two first starts over one storage, one wins.
    async fn save(&self, store: &dyn Store) -> Result<(), Failure> {
        let value = serde_json::to_vec(self).map_err(|error| Failure::coded(INTERNAL, error))?;
        let commit = Commit {
            checks: vec![Check::Key {
                key: KEY.to_owned(),
                revision: None,
            }],
            writes: vec![Change::Put {
                key: KEY.to_owned(),
                value,
            }],
        };
        store.commit(commit).await.map_err(|error| failed(&error))
    }
}

async fn load(store: &dyn Store) -> Result<Option<Identity>, Failure> {
    let snapshot = store.snapshot().await.map_err(|error| failed(&error))?;
    let Some(found) = snapshot.get(KEY).await.map_err(|error| failed(&error))? else {
        return Ok(None);
    };
    serde_json::from_slice(&found.value).map(Some).map_err(|_| {
        Failure::coded(
            ErrorKind::Storage.code(),
            format!("the record at {KEY} is not what this version writes"),
        )
    })
}

fn failed(error: &StoreError) -> Failure {
    Failure::coded(
        ErrorKind::Storage.code(),
        format!("the server's own record cannot be read or written: {error}"),
    )
}

/// Writes a file that only its owner reads, and waits until it is on the medium.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let nofollow =
        i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).map_err(std::io::Error::other)?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(nofollow)
        .open(path)?;
    // The mode above counts for a new file only.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
