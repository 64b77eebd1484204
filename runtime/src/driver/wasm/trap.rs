//! One table from what ended a guest to what its caller is told.

use wasmtime::{Error, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::clip;
use super::limiter::Refusal;
use crate::CallError;

/// Frames of a guest's stack that an error names.
const FRAMES_SHOWN: usize = 6;

/// Frames that are kept of a crash; the engine collects as many.
pub(super) const FRAMES_KEPT: usize = 32;

/// What the engine says when a call copies more out of the guest than it may. It has no type of its own.
const COPIED_TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";

/// What has to be known besides the error itself.
pub(super) struct Circumstances<'a> {
    /// The entry.
    pub(super) plugin: &'a str,
    /// The fuel that the request had.
    pub(super) fuel: u64,
    /// How large its answer may be.
    pub(super) message_bytes: u64,
    /// The last growth that it was refused.
    pub(super) refusal: Option<Refusal>,
}

/// The table.
pub(super) fn explain(error: Error, at: &Circumstances<'_>) -> CallError {
    let plugin = at.plugin.to_owned();
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        return CallError::OutOfFuel {
            plugin,
            limit: at.fuel,
        };
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        let trap = format!("it called exit with status {}{}", exit.0, stack(&error));
        return CallError::Trap { plugin, trap };
    }
    if is_answer_too_large(&error) {
        return CallError::TooLarge {
            what: "response",
            bytes: at.message_bytes.saturating_add(1),
            limit: at.message_bytes,
        };
    }
    match at.refusal.filter(|_| gave_up(&error, trap)) {
        Some(Refusal::Memory { asked, limit }) => CallError::OutOfMemory {
            plugin,
            asked,
            limit,
        },
        Some(Refusal::Table { asked, limit }) => CallError::OutOfTable {
            plugin,
            asked,
            limit,
        },
        None => CallError::Trap {
            plugin,
            trap: format!("{}{}", reason(&error, trap), stack(&error)),
        },
    }
}

/// Whether a refusal explains the end. A guest whose allocator is refused memory gives up with `unreachable`; one that is
/// refused it before its first instruction is not instantiated, and has no stack. Whatever else ends a guest has a reason
/// of its own.
fn gave_up(error: &Error, trap: Option<&Trap>) -> bool {
    match trap {
        Some(trap) => *trap == Trap::UnreachableCodeReached,
        None => error.downcast_ref::<WasmBacktrace>().is_none(),
    }
}

/// An answer is copied out after the guest has returned, so no frame of it is left; anything else it copied out of a
/// frame of its own.
fn is_answer_too_large(error: &Error) -> bool {
    error.downcast_ref::<WasmBacktrace>().is_none()
        && error.root_cause().to_string().contains(COPIED_TOO_MUCH)
}

fn reason(error: &Error, trap: Option<&Trap>) -> String {
    match trap {
        Some(trap) => trap
            .to_string()
            .trim_start_matches("wasm trap: ")
            .to_owned(),
        None => clip::text(&error.root_cause().to_string()),
    }
}

/// The functions that were running, innermost first.
pub(super) fn backtrace(error: &Error) -> Vec<String> {
    functions(error, FRAMES_KEPT)
}

fn functions(error: &Error, frames_max: usize) -> Vec<String> {
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let frames = backtrace.into_iter().flat_map(WasmBacktrace::frames);
    frames.take(frames_max).map(function).collect()
}

/// The first of them, such as ` in a < b < c`.
fn stack(error: &Error) -> String {
    let names = functions(error, FRAMES_SHOWN);
    if names.is_empty() {
        return String::new();
    }
    format!(" in {}", names.join(" < "))
}

fn function(frame: &wasmtime::FrameInfo) -> String {
    match frame.func_name() {
        // Without the hash at the end of a mangled name, which says nothing to a reader.
        Some(name) => clip::name(&format!("{:#}", rustc_demangle::demangle(name))),
        None => format!("function {}", frame.func_index()),
    }
}

/// What a caller is told when a host function panicked under a guest.
pub(super) fn host_panic(plugin: &str) -> CallError {
    CallError::Trap {
        plugin: plugin.to_owned(),
        trap: "a function of the host failed under it; the server's log says more".to_owned(),
    }
}
