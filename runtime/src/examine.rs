//! Looks at a file as a registration would, for a person who has no server at hand.

use std::path::Path;

use crate::catalog::{Artifact, Survey};
use crate::driver::wasm;
use crate::{Digest, Profile, RegisterError, RuntimeKind, Timeouts, Workers};

/// What a file is.
#[derive(Debug)]
pub struct Examination {
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// How many they are.
    pub size_bytes: u64,
    /// How it would run.
    pub runtime: RuntimeKind,
    /// What is known of it, if it is a component that can be read. What an executable is, only running it tells.
    pub survey: Option<Survey>,
    /// Why it would not be registered.
    pub refusal: Option<RegisterError>,
}

/// Looks at the file. Nothing of it is run, and no component is parsed in this process.
///
/// # Errors
///
/// When it cannot be read, or is no plugin at all.
pub async fn examine(workers: &Workers, path: &Path) -> Result<Examination, RegisterError> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || Artifact::open(&path));
    let artifact = reading
        .await
        .map_err(|failure| RegisterError::Worker(failure.to_string()))??;
    let (survey, refusal) = match artifact.runtime() {
        RuntimeKind::Wasm => looked_at(workers, &artifact).await,
        RuntimeKind::Native | RuntimeKind::Builtin => (None, None),
    };
    Ok(Examination {
        sha256: artifact.digest(),
        size_bytes: artifact.size(),
        runtime: artifact.runtime(),
        survey,
        refusal,
    })
}

async fn looked_at(
    workers: &Workers,
    artifact: &Artifact,
) -> (Option<Survey>, Option<RegisterError>) {
    let limit = Timeouts::default().inspect;
    let look = |profile| wasm::survey_artifact(workers, artifact, profile, limit);
    match look(Profile::Ordinary).await {
        Ok(survey) => {
            let refusal = wasm::admit(&survey).err();
            (Some(survey), refusal)
        }
        // What only the large profile allows can be shown, and the refusal names the profile.
        Err(refusal) => (look(Profile::Large).await.ok(), Some(refusal)),
    }
}
