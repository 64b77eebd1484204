//! Copies a file into memory that is sealed against every change, and hashes it on the way.
//!
//! Before the first byte is copied, the memory file is sealed against everybody but the one mapping that the copy goes
//! through; when all of it is hashed, that mapping goes, and the file is sealed for good. So what was hashed is what stays,
//! and need not be read a second time.
#![expect(
    unsafe_code,
    reason = "what the mapping holds is no memory of Rust's; no crate in use makes one"
)]

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// How much is copied before it is handed on to be hashed, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// How often, and after which pause, sealing is tried again: a second in all.
const SEAL_TRIES: u32 = 100;
const SEAL_PAUSE: Duration = Duration::from_millis(10);

/// The first `size` bytes of a file, which has no more, in a memory file that nobody can change; and what they hash to.
///
/// # Errors
///
/// That the file changed its size meanwhile, or cannot be read; that there is no memory.
pub(super) fn copy(source: &File, size: NonZero<usize>) -> io::Result<(File, Digest)> {
    let memory = memory_file()?;
    memory.set_len(size.get() as u64)?;
    let mut mapping = Mapping::of(&memory, size)?;
    seal(
        &memory,
        SealFlags::GROW | SealFlags::SHRINK | SealFlags::FUTURE_WRITE,
    )?;
    let digest = fill(mapping.bytes(), source)?;
    drop(mapping);
    seal(&memory, SealFlags::WRITE | SealFlags::SEAL)?;
    match source.read_at(&mut [0], size.get() as u64)? {
        0 => Ok((memory, digest)),
        _ => Err(io::Error::other("it grew while it was read")),
    }
}

fn memory_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let made = match memfd_create("palisade-plugin", flags | MemfdFlags::EXEC) {
        // Kernels before 6.3 do not know the flag, and let every memory file be executed.
        Err(Errno::INVAL) => memfd_create("palisade-plugin", flags),
        made => made,
    };
    Ok(File::from(made?))
}

/// The kernel does not seal memory while it has a page of it in hand, to move it or to look at its age, and says
/// "busy" then. It lets go by itself.
fn seal(memory: &File, seals: SealFlags) -> io::Result<()> {
    for _ in 0..SEAL_TRIES {
        match fcntl_add_seals(memory, seals) {
            Err(Errno::BUSY) => thread::sleep(SEAL_PAUSE),
            done => return Ok(done?),
        }
    }
    Ok(fcntl_add_seals(memory, seals)?)
}

/// Copies piece by piece. Another thread hashes meanwhile, which takes about as long.
fn fill(bytes: &mut [u8], source: &File) -> io::Result<Digest> {
    let (copied, pieces) = mpsc::channel();
    thread::scope(|scope| {
        let hasher = thread::Builder::new().name("palisade-hasher".to_owned());
        let hasher = hasher.spawn_scoped(scope, || hash(pieces))?;
        let mut offset = 0;
        for piece in bytes.chunks_mut(PIECE_BYTES) {
            source.read_exact_at(piece, offset).map_err(shorter)?;
            offset += piece.len() as u64;
            // Nobody writes to it again: it is borrowed for as long as there is a hasher.
            let _ = copied.send(&*piece);
        }
        drop(copied);
        hasher
            .join()
            .map_err(|_| io::Error::other("it could not be hashed"))
    })
}

fn hash(pieces: Receiver<&[u8]>) -> Digest {
    let mut hasher = Sha256::new();
    pieces.iter().for_each(|piece| hasher.update(piece));
    Digest::new(hasher.finalize().into())
}

fn shorter(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("it became shorter while it was read"),
        _ => error,
    }
}

/// The one way to write to a memory file that is sealed against all others.
struct Mapping {
    start: NonNull<u8>,
    size: NonZero<usize>,
}

impl Mapping {
    fn of(memory: &File, size: NonZero<usize>) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses a place where nothing is.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                size.get(),
                protection,
                MapFlags::SHARED,
                memory,
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, size })
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is that long, as is the file, which cannot become shorter; it is there until `self` is dropped,
        // and borrowed by nobody else. The file is sealed against whoever has no mapping of it, and no other was made.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.size.get()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // What stays mapped can never be sealed, and whoever seals says so.
        // SAFETY: it was mapped here, with that size, and what borrowed it has ended.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.size.get()) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn copy_of(bytes: &[u8], size: usize) -> io::Result<(File, Digest)> {
        copy(&file_of(bytes), NonZero::new(size).unwrap())
    }

    #[test]
    fn a_copy_has_the_bytes_and_their_digest_whatever_their_number() {
        for size in [1, 4095, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7] {
            let bytes: Vec<u8> = (0..size).map(|at| (at / 7 % 251) as u8).collect();
            let (memory, digest) = copy_of(&bytes, size).unwrap();
            let mut copied = vec![0; size];
            memory.read_exact_at(&mut copied, 0).unwrap();
            assert!(copied == bytes, "{size}");
            assert_eq!(digest, Digest::new(Sha256::digest(&bytes).into()), "{size}");
            assert_eq!(memory.metadata().unwrap().len(), size as u64);
        }
    }

    #[test]
    fn nobody_changes_a_copy_neither_in_the_making_nor_later() {
        let memory = memory_file().unwrap();
        memory.set_len(5).unwrap();
        let size = NonZero::new(5).unwrap();
        let mut mapping = Mapping::of(&memory, size).unwrap();
        // The control: before it is sealed, it is open to all.
        memory.write_all_at(b"other", 0).unwrap();
        seal(
            &memory,
            SealFlags::GROW | SealFlags::SHRINK | SealFlags::FUTURE_WRITE,
        )
        .unwrap();
        assert!(memory.write_all_at(b"later", 0).is_err());
        assert!(memory.set_len(0).is_err());
        assert!(Mapping::of(&memory, size).is_err());
        mapping.bytes().copy_from_slice(b"right");
        // What can still be written to is not sealed for good.
        assert!(fcntl_add_seals(&memory, SealFlags::WRITE).is_err());
        drop(mapping);
        seal(&memory, SealFlags::WRITE | SealFlags::SEAL).unwrap();
        let mut bytes = [0; 5];
        memory.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"right");
    }

    #[test]
    fn a_file_that_changes_its_size_meanwhile_is_refused() {
        let grown = copy_of(b"grown", 4).unwrap_err().to_string();
        assert!(grown.contains("grew"), "{grown}");
        let shrunk = copy_of(b"shrunk", 7).unwrap_err().to_string();
        assert!(shrunk.contains("shorter"), "{shrunk}");
    }
}
