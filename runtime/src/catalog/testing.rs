//! What the catalog's tests share.

use async_trait::async_trait;
use palisade_contract::{CONTRACT_VERSION, PluginType, SectionFacts};
use sha2::{Digest as _, Sha256};

use super::{ComponentInspector, Manifest, Survey, Verified};
use crate::{Profile, RegisterError};

/// The smallest file that is a component.
pub(crate) const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A well-formed registration of [`COMPONENT`].
pub(crate) fn manifest(name: &str) -> Manifest {
    let digest = hex::encode(Sha256::digest(COMPONENT));
    Manifest::new(PluginType::Secret, name, &digest)
}

/// Finds these facts in every component.
pub(crate) struct Says(pub(crate) SectionFacts);

impl Says {
    /// A secret plugin of that version.
    pub(crate) fn secret(version: &str) -> Self {
        Self(SectionFacts {
            contract: CONTRACT_VERSION.to_owned(),
            plugin_type: PluginType::Secret,
            version: version.to_owned(),
        })
    }
}

#[async_trait]
impl ComponentInspector for Says {
    async fn inspect(&self, _: &Verified, _: Profile) -> Result<Survey, RegisterError> {
        Ok(Survey::of(self.0.clone()))
    }
}
