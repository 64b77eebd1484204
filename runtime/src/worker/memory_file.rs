//! Memory files that carry a job's input and output.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, fstat, memfd_create};
use rustix::io::{Errno, pread, pwrite};

/// An empty memory file.
pub(super) fn create(name: &str) -> io::Result<OwnedFd> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC)?)
}

/// A memory file that holds `bytes`.
pub(super) fn holding(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = create(name)?;
    write_all(file.as_fd(), bytes)?;
    Ok(file)
}

/// How many bytes the file has.
pub(super) fn size(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(u64::try_from(fstat(file)?.st_size).unwrap_or(0))
}

/// The first `size` bytes of a file, or all of them when they are fewer. Reads by position: descriptors of one file
/// share their offset, and the same artifact may be read by several jobs at once.
pub(super) fn read(file: BorrowedFd<'_>, size: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(size).map_err(|_| Errno::FBIG)?;
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match pread(file, &mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Writes `bytes` at the beginning of the file.
pub(super) fn write_all(file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    write_at(file, bytes, 0)
}

/// Writes `bytes` from `start` on.
pub(super) fn write_at(file: BorrowedFd<'_>, bytes: &[u8], start: u64) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        match pwrite(file, &bytes[written..], start + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
