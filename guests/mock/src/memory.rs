//! What a mount remembers in memory, to show when it is told to forget.

use std::sync::{Mutex, MutexGuard, PoisonError};

use palisade_plugin::{Answer, Call, Field, Operation, Path, data};
use serde_json::json;

/// The key whose change by others empties the memory.
const KEY: &str = "internal";

const VALUE: Field<String> = Field::string("value", "What to remember.");

/// One text, which begins as `bar`.
pub(crate) struct Memory {
    text: Mutex<String>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            text: Mutex::new("bar".to_owned()),
        }
    }
}

impl Memory {
    pub(crate) fn invalidate(&self, key: &str) {
        if key == KEY {
            self.text().clear();
        }
    }

    fn text(&self) -> MutexGuard<'_, String> {
        // A text is whole at any time.
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn path() -> Path<Memory> {
    Path::new(KEY)
        .field(&VALUE)
        .read(read)
        .on(Operation::Update, update)
        .help("A text in memory.", "Writes and reads it.")
}

async fn read(memory: &Memory, _: Call<'_>) -> Answer {
    data(&json!({ "value": *memory.text() }))
}

async fn update(memory: &Memory, call: Call<'_>) -> Answer {
    *memory.text() = call.value(&VALUE)?;
    Ok(None)
}
