//! Where this program's neighbours were built: other programs, and the guests as components.

use std::path::PathBuf;

/// The target directory; this program lies two folders below it.
pub fn target_directory() -> PathBuf {
    let here = std::env::current_exe().expect("a running program has a path");
    let directory = here.ancestors().nth(2);
    directory
        .expect("it lies two folders below the target directory")
        .to_owned()
}

/// A program beside this one; a guest's executable is one.
pub fn program(name: &str) -> PathBuf {
    target_directory().join("debug").join(name)
}

/// The server: the one beside this program, or the one that the variable `PALISADE_SERVER` names.
pub fn server() -> PathBuf {
    std::env::var_os("PALISADE_SERVER").map_or_else(|| program("palisade"), PathBuf::from)
}

/// A guest's component.
pub fn component(guest: &str) -> PathBuf {
    target_directory().join(format!("wasm32-wasip2/component/palisade_{guest}.wasm"))
}
