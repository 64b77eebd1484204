//! Where this program's neighbours were built: other programs, and the guests as components.

use std::path::{Path, PathBuf};

/// The target directory; this program lies two folders below it, or three if it is a test.
pub fn target_directory() -> PathBuf {
    let here = std::env::current_exe().expect("a running program has a path");
    let is_test = |folder: &Path| folder.ends_with("deps");
    let mut folders = here.ancestors().skip(1).skip_while(|it| is_test(it));
    let directory = folders.nth(1);
    directory
        .expect("it lies below the target directory")
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

/// Where the interoperability tests put the executables in Go.
pub fn peers() -> PathBuf {
    target_directory().join("debug/interop")
}

/// One of them, whether it was built or not.
pub fn peer(name: &str) -> PathBuf {
    peers().join(name)
}
