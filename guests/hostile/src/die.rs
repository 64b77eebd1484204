//! The ways to end badly, or not at all.

use std::hint::black_box;

use palisade_plugin::{Answer, Call, Field, MakePath, Path, data};
use serde_json::json;

use crate::Hostile;

const BYTES: Field<i64> = Field::int("bytes", "How much memory to take.");
const MILLISECONDS: Field<i64> =
    Field::int("ms", "How long to wait, in milliseconds.").default("100");
const CODE: Field<i64> = Field::int("code", "The exit code.").default("1");

/// What [`hog`] takes when nobody says: more than any guest may have, and not so much that it harms a machine.
pub(crate) const HOG_BYTES: usize = 1 << 30;

const EACH: &str = "Read it to make it happen.";

pub(crate) const PATHS: [(&str, MakePath<Hostile>); 9] = [
    ("crash", || {
        Path::new("crash")
            .read(read_crash)
            .write(read_crash)
            .help("Aborts.", EACH)
    }),
    ("panic", || {
        Path::new("panic")
            .read(read_panic)
            .write(read_panic)
            .help("Panics.", EACH)
    }),
    ("spin", || {
        Path::new("spin")
            .read(read_spin)
            .write(read_spin)
            .help("Loops for ever.", EACH)
    }),
    ("spin-memory", || {
        Path::new("spin-memory")
            .field(&BYTES)
            .read(read_spin_memory)
            .write(read_spin_memory)
            .help("Fills memory for ever, in bulk.", EACH)
    }),
    ("hog", || {
        Path::new("hog")
            .field(&BYTES)
            .read(read_hog)
            .write(read_hog)
            .help("Takes memory until it is refused.", EACH)
    }),
    ("deep", || {
        Path::new("deep")
            .read(read_deep)
            .write(read_deep)
            .help("Recurses for ever.", EACH)
    }),
    ("wait", || {
        Path::new("wait")
            .field(&MILLISECONDS)
            .read(read_wait)
            .write(read_wait)
            .help("Waits, asking the host for the time and for storage.", EACH)
    }),
    ("sleep", || {
        Path::new("sleep")
            .field(&MILLISECONDS)
            .read(read_sleep)
            .write(read_sleep)
            .help("Sleeps, without a word to the host.", EACH)
    }),
    ("exit", || {
        Path::new("exit")
            .field(&CODE)
            .read(read_exit)
            .write(read_exit)
            .help("Exits with a code.", EACH)
    }),
];

async fn read_crash(_: &Hostile, _: Call<'_>) -> Answer {
    crash()
}

/// Ends the process, or traps the component.
pub(crate) fn crash() -> ! {
    std::process::abort()
}

async fn read_panic(_: &Hostile, _: Call<'_>) -> Answer {
    panic!("the hostile plugin panics on purpose")
}

async fn read_spin(_: &Hostile, _: Call<'_>) -> Answer {
    spin()
}

/// Loops for ever over plain code.
pub(crate) fn spin() -> ! {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

async fn read_spin_memory(_: &Hostile, call: Call<'_>) -> Answer {
    let bytes = call.get(&BYTES)?.map_or(SPIN_BYTES, as_size);
    let mut memory = vec![0_u8; bytes];
    let mut turn: u8 = 0;
    loop {
        turn = turn.wrapping_add(1);
        memory.fill(turn);
        black_box(&mut memory);
    }
}

/// What `spin-memory` fills when nobody says.
const SPIN_BYTES: usize = 8 << 20;

fn as_size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

async fn read_hog(_: &Hostile, call: Call<'_>) -> Answer {
    let bytes = call.get(&BYTES)?.map_or(HOG_BYTES, as_size);
    let taken = hog(bytes);
    data(&json!({ "taken": taken, "refused": taken < bytes }))
}

/// Takes memory in pieces and touches all of it, until `bytes` are taken or the next piece is refused.
pub(crate) fn hog(bytes: usize) -> usize {
    const PIECE_BYTES: usize = 1 << 20;
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut taken = 0;
    while taken < bytes {
        let len = PIECE_BYTES.min(bytes - taken);
        let mut piece: Vec<u8> = Vec::new();
        if piece.try_reserve_exact(len).is_err() || pieces.try_reserve(1).is_err() {
            break;
        }
        piece.resize(len, 0xA5);
        pieces.push(black_box(piece));
        taken += len;
    }
    taken
}

async fn read_deep(_: &Hostile, _: Call<'_>) -> Answer {
    data(&json!({ "depth": deep(0) }))
}

/// Recurses until the stack ends. Each frame is used after the call, so that no frame can be reused.
fn deep(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    let deeper = if black_box(true) { deep(depth + 1) } else { 0 };
    black_box(frame)[0] + deeper
}

async fn read_wait(_: &Hostile, call: Call<'_>) -> Answer {
    let ms = u64::try_from(call.value(&MILLISECONDS)?).unwrap_or(0);
    let end = call
        .now()
        .saturating_add(std::time::Duration::from_millis(ms));
    let mut turns: u64 = 0;
    while call.now() < end {
        call.storage().get("wait").await?;
        turns += 1;
    }
    data(&json!({ "turns": turns }))
}

async fn read_sleep(_: &Hostile, call: Call<'_>) -> Answer {
    let ms = u64::try_from(call.value(&MILLISECONDS)?).unwrap_or(0);
    std::thread::sleep(std::time::Duration::from_millis(ms));
    data(&json!({ "slept": ms }))
}

async fn read_exit(_: &Hostile, call: Call<'_>) -> Answer {
    exit(i32::try_from(call.value(&CODE)?).unwrap_or(1))
}

/// Leaves without a word to the host.
#[expect(
    clippy::disallowed_methods,
    reason = "leaving without a word is the point"
)]
pub(crate) fn exit(code: i32) -> ! {
    std::process::exit(code)
}
