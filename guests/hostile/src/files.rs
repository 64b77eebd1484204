//! What a plugin can do with files, as its standard library lets it: each path does one thing and tells how it went.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};

use palisade_plugin::{Answer, Call, Field, Path, data};
use serde_json::{Value, json};

use crate::Hostile;

const OP: Field<String> = Field::string("op", "What to do.");
const PATH: Field<String> = Field::string("path", "With which file or folder.");
const TO: Field<String> = Field::string("to", "Its other name.");
const TEXT: Field<String> = Field::string("text", "What to write.");
const LEN: Field<i64> = Field::int("len", "How many, or how long.").default("1");

/// Written at once when a file is filled.
const PIECE: [u8; 16 << 10] = [b'x'; 16 << 10];

pub(crate) fn path() -> Path<Hostile> {
    Path::new("files")
        .field(&OP)
        .field(&PATH)
        .field(&TO)
        .field(&TEXT)
        .field(&LEN)
        .write(act)
        .help(
            "Files and folders.",
            "Does one thing with a file, and tells what came of it.",
        )
}

async fn act(_: &Hostile, call: Call<'_>) -> Answer {
    let (path, to, text) = (call.value(&PATH)?, call.value(&TO)?, call.value(&TEXT)?);
    let len = u64::try_from(call.value(&LEN)?).unwrap_or(0);
    let nothing = |done: io::Result<()>| done.map(|()| json!({}));
    let done = match call.value(&OP)?.as_str() {
        "read" => fs::read_to_string(&path).map(|text| json!({ "text": text })),
        "write" => nothing(fs::write(&path, text)),
        "append" => nothing(append(&path, &text)),
        "list" => names(&path).map(|names| json!({ "names": names })),
        "make-folder" => nothing(fs::create_dir(&path)),
        "remove" => nothing(fs::remove_file(&path)),
        "remove-folder" => nothing(fs::remove_dir(&path)),
        "rename" => nothing(fs::rename(&path, to)),
        "link" => nothing(fs::hard_link(&path, to)),
        "lengthen" => nothing(lengthen(&path, len)),
        "fill" => return data(&fill(&path, len)),
        "make-files" => return data(&make_files(&path, len)),
        "hoard" => return data(&hoard(&path, len)),
        "open-files" => return data(&open_files(&path, len)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    data(&done.unwrap_or_else(|error| told(&error)))
}

fn told(error: &io::Error) -> Value {
    json!({ "error": error.to_string(), "kind": format!("{:?}", error.kind()) })
}

fn append(path: &str, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn names(path: &str) -> io::Result<Vec<String>> {
    let names = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn lengthen(path: &str, len: u64) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.set_len(len)
}

/// How much of `len` bytes could be written.
fn fill(path: &str, len: u64) -> Value {
    let mut written = 0;
    let outcome = File::create(path).and_then(|mut file| {
        while written < len {
            written += file.write(&PIECE)? as u64;
        }
        Ok(())
    });
    counted("written", written, outcome)
}

/// How many of `len` files could be made.
fn make_files(folder: &str, len: u64) -> Value {
    let mut made = 0;
    let outcome = (0..len).try_for_each(|number| {
        File::create(format!("{folder}/{number}"))?;
        made += 1;
        Ok(())
    });
    counted("made", made, outcome)
}

/// How much could be written to four files of `len` bytes, each of which is removed at once and kept open.
fn hoard(folder: &str, len: u64) -> Value {
    let (mut held, mut written) = (Vec::new(), 0);
    for number in 0..4 {
        let path = format!("{folder}/hoard-{number}");
        let opened = File::create(&path).and_then(|file| fs::remove_file(&path).map(|()| file));
        let Ok(mut file) = opened else { continue };
        let end = written + len;
        while written < end {
            let Ok(more) = file.write(&PIECE) else { break };
            written += more as u64;
        }
        held.push(file);
    }
    json!({ "written": written, "held": held.len() })
}

/// How many of `len` handles of one file could be held at once.
fn open_files(path: &str, len: u64) -> Value {
    let mut held = Vec::new();
    let outcome = (0..len).try_for_each(|_| {
        held.push(File::open(path)?);
        Ok(())
    });
    counted("held", held.len() as u64, outcome)
}

fn counted(what: &str, count: u64, outcome: io::Result<()>) -> Value {
    let mut value = outcome
        .err()
        .map_or_else(|| json!({}), |error| told(&error));
    value[what] = json!(count);
    value
}
