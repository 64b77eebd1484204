//! The fields that several paths share, and how handlers take them.

use palisade_plugin::{Call, Failure, Field};

/// The key, from the path.
pub(crate) const PATH: Field<String> = Field::string("path", "Location of the secret.");

/// One version, for reads.
pub(crate) const VERSION: Field<i64> = Field::int(
    "version",
    "The version to read; the newest when it is not given.",
);

/// The key that a write is for.
pub(crate) fn key_to_write(call: Call<'_>) -> Result<String, Failure> {
    match call.value(&PATH)? {
        key if key.is_empty() => Err(Failure::refused("missing path")),
        key => Ok(key),
    }
}

/// The version that a read asks for, if it asks for one. Zero and less mean the newest.
pub(crate) fn version_to_read(call: Call<'_>) -> Result<Option<u64>, Failure> {
    let version = u64::try_from(call.value(&VERSION)?).unwrap_or(0);
    Ok(Some(version).filter(|version| *version > 0))
}
