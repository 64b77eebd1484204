//! A file to execute, with its arguments and environment as the kernel wants them.
#![expect(
    unsafe_code,
    reason = "the kernel takes arrays of pointers, and what becomes of this process the compiler cannot follow"
)]

use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr;

use super::gate::Arguments;
use super::sandbox::Sandbox;

/// An open file to execute. It is named by its descriptor: it is the very file that was hashed, and what is no executable
/// is refused, where the C library's `execvp` would hand it to a shell.
pub(super) struct Image {
    file: OwnedFd,
    argv: CStrings,
    env: CStrings,
}

impl Image {
    pub(super) fn new(
        file: OwnedFd,
        argv: impl IntoIterator<Item = String>,
        env: impl IntoIterator<Item = String>,
    ) -> io::Result<Self> {
        Ok(Self {
            file,
            argv: CStrings::new(argv)?,
            env: CStrings::new(env)?,
        })
    }

    /// What came through a gate.
    pub(super) fn of(file: OwnedFd, arguments: Arguments) -> io::Result<Self> {
        let Arguments { argv, env } = arguments;
        let env = env
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        Self::new(file, argv, env)
    }

    /// Replaces this process; returns only when it cannot. With a sandbox in which it is a file, that copy of the same
    /// bytes is executed, so that it finds itself.
    pub(super) fn execute(&self, sandbox: Option<&Sandbox>) -> io::Error {
        let (directory, path, flags) = match sandbox.and_then(Sandbox::image_path) {
            Some(path) => (libc::AT_FDCWD, path, 0),
            None => (self.file.as_raw_fd(), c"", libc::AT_EMPTY_PATH),
        };
        // SAFETY: path, arguments and environment end in NUL and null, and live until the process is replaced.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                directory,
                path.as_ptr(),
                self.argv.pointers.as_ptr(),
                self.env.pointers.as_ptr(),
                flags,
            )
        };
        io::Error::last_os_error()
    }
}

/// C strings, and the array of pointers to them that ends in null.
struct CStrings {
    pointers: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl CStrings {
    fn new(strings: impl IntoIterator<Item = String>) -> io::Result<Self> {
        let strings = strings.into_iter().map(CString::new);
        let strings = strings.collect::<Result<Vec<_>, _>>()?;
        let ends_in_null = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()]);
        Ok(Self {
            pointers: ends_in_null.collect(),
            _strings: strings,
        })
    }
}
