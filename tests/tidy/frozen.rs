//! The released versions of the WebAssembly contract, each held by the hash of its folder.

use sha2::{Digest, Sha256};

use crate::tree::{Faults, Tree};

/// Every folder of the contract and what it hashes to. A released one is never changed: what is new gets a new folder.
const CONTRACTS: &[(&str, &str)] = &[(
    "wit/v0.1.0",
    "31c9e15adec60847a302e025a146339c626dae82a60107f82f16c09098bd761f",
)];

/// Each folder is listed, and has its hash.
pub(crate) fn contracts(tree: &Tree) -> Faults {
    let mut faults: Vec<_> = CONTRACTS
        .iter()
        .filter_map(|(folder, expected)| {
            let found = folder_hash(tree, folder);
            (found != *expected)
                .then(|| format!("{folder} is frozen and has changed: it hashes to {found}"))
        })
        .collect();
    let listed = |file: &str| {
        CONTRACTS
            .iter()
            .any(|(f, _)| file.starts_with(&format!("{f}/")))
    };
    let strange = tree.files_with(".wit").filter(|file| !listed(file));
    faults.extend(strange.map(|file| format!("{file} is in no listed version of the contract")));
    faults
}

/// The hash over names, lengths and contents of a folder's files, in order.
fn folder_hash(tree: &Tree, folder: &str) -> String {
    let mut hasher = Sha256::new();
    for file in tree
        .files()
        .filter(|f| f.starts_with(&format!("{folder}/")))
    {
        let bytes = tree.bytes(file);
        hasher.update(format!("{file}\0{}\0", bytes.len()));
        hasher.update(bytes);
    }
    hex::encode(hasher.finalize())
}
