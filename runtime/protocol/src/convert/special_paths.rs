//! Paths that the host treats specially.

use palisade_contract::SpecialPaths;

use crate::pb;

impl From<SpecialPaths> for pb::Paths {
    fn from(paths: SpecialPaths) -> Self {
        Self {
            root: paths.root,
            unauthenticated: paths.unauthenticated,
            local_storage: paths.local_storage,
            seal_wrap_storage: paths.seal_wrap_storage,
            write_forwarded_storage: paths.write_forwarded_storage,
            safe_reads: paths.safe_reads,
            ..Self::default()
        }
    }
}

impl From<pb::Paths> for SpecialPaths {
    fn from(paths: pb::Paths) -> Self {
        Self {
            root: paths.root,
            unauthenticated: paths.unauthenticated,
            local_storage: paths.local_storage,
            seal_wrap_storage: paths.seal_wrap_storage,
            write_forwarded_storage: paths.write_forwarded_storage,
            safe_reads: paths.safe_reads,
        }
    }
}
