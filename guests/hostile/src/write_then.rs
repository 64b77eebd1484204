//! Writes a key and then ends badly, to show what is kept of it.

use palisade_plugin::{Answer, Call, Failure, Field, Path, PluginError, StorageEntry, pattern};

use crate::Hostile;
use crate::die;
use crate::store::{KEY, VALUE};

const HOW: Field<String> = Field::string("how", "error, trap, spin, hog or exit.");

pub(crate) fn path() -> Path<Hostile> {
    Path::new(format!(
        "write-then/{}/{}",
        pattern::name("how"),
        pattern::rest("key")
    ))
    .field(&HOW)
    .field(&KEY)
    .field(&VALUE)
    .read(write_then)
    .write(write_then)
    .help(
        "Writes, and then ends badly.",
        "Writes the key, and then does what the path says.",
    )
}

async fn write_then(_: &Hostile, call: Call<'_>) -> Answer {
    let entry = StorageEntry::new(call.value(&KEY)?, call.value(&VALUE)?);
    call.storage().put(entry).await?;
    match call.value(&HOW)?.as_str() {
        "error" => Err(PluginError::unknown("written, and then failed").into()),
        "trap" => die::crash(),
        "spin" => die::spin(),
        "hog" => {
            die::hog(die::HOG_BYTES);
            die::crash()
        }
        "exit" => die::exit(1),
        other => Err(Failure::refused(format!(
            "{other:?} is none of error, trap, spin, hog, exit"
        ))),
    }
}
