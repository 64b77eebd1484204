//! Copies a file into memory that is sealed against every change, and hashes it on the way.
//!
//! Before the first byte is copied, the memory file is sealed against everybody but those who can write to it already: the
//! one mapping that the copy goes through, and nobody else, which is looked at. When all of it is hashed, that mapping goes,
//! and the file is sealed for good. So what was hashed is what stays, and need not be read a second time.
//!
//! Somebody else could only have come through `/proc`, in the moment before the first seal, and as a user who may read this
//! process. Then the copy is hashed again once it is sealed.
#![expect(
    unsafe_code,
    reason = "what the mapping holds is no memory of Rust's; no crate in use makes one"
)]

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::fd::AsRawFd as _;
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
    let mapping = reserve(&memory, size)?;
    let digest = take(&memory, mapping, source)?;
    match source.read_at(&mut [0], size.get() as u64)? {
        0 => Ok((memory, digest)),
        _ => Err(io::Error::other("it grew while it was read")),
    }
}

/// Makes room that only the mapping can be used to write to.
fn reserve(memory: &File, size: NonZero<usize>) -> io::Result<Mapping> {
    memory.set_len(size.get() as u64)?;
    let mapping = Mapping::of(memory, size)?;
    seal(
        memory,
        SealFlags::GROW | SealFlags::SHRINK | SealFlags::FUTURE_WRITE,
    )?;
    match memory.metadata()?.len() == size.get() as u64 {
        true => Ok(mapping),
        false => Err(io::Error::other(
            "somebody else changed the size of its copy",
        )),
    }
}

/// Fills the room, and seals it for good. What it hashes to is that of what is sealed.
fn take(memory: &File, mut mapping: Mapping, source: &File) -> io::Result<Digest> {
    let alone = is_open_to_nobody_else(memory);
    let digest = fill(mapping.bytes(), source)?;
    drop(mapping);
    seal(memory, SealFlags::WRITE | SealFlags::SEAL)?;
    match alone {
        true => Ok(digest),
        false => hash_again(memory),
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

/// Whether nobody but this descriptor, and what was made of it, can write to the file: the kernel grants a read lease only
/// then, and a mapping keeps what it was made of open. A descriptor that is opened later is too late for the seal.
fn is_open_to_nobody_else(memory: &File) -> bool {
    // SAFETY: a lease is a mark on an open file, and touches no memory.
    let lease =
        |kind: libc::c_int| unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_SETLEASE, kind) } == 0;
    lease(libc::F_RDLCK) && lease(libc::F_UNLCK)
}

/// Reads what is sealed.
fn hash_again(memory: &File) -> io::Result<Digest> {
    let (mut hasher, mut piece, mut offset) = (Sha256::new(), vec![0; PIECE_BYTES], 0);
    loop {
        match memory.read_at(&mut piece, offset)? {
            0 => return Ok(Digest::new(hasher.finalize().into())),
            count => {
                hasher.update(&piece[..count]);
                offset += count as u64;
            }
        }
    }
}

/// Copies piece by piece. Another thread hashes meanwhile, which takes about as long.
fn fill(bytes: &mut [u8], source: &File) -> io::Result<Digest> {
    let (copied, pieces) = mpsc::channel();
    thread::scope(|scope| {
        let hasher = thread::Builder::new().name("palisade-hasher".to_owned());
        let hasher = hasher.spawn_scoped(scope, || hash(pieces))?;
        let mut offset = 0;
        for piece in bytes.chunks_mut(PIECE_BYTES) {
            source.read_exact_at(piece, offset).map_err(explained)?;
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

fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("it became shorter while it was read"),
        // What the kernel says when it finds no page to put the bytes into.
        _ if error.raw_os_error() == Some(Errno::FAULT.raw_os_error()) => {
            io::Error::from(io::ErrorKind::OutOfMemory)
        }
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
        // and borrowed by nobody else. The file is sealed against whoever has no mapping of it. Another mapping can only
        // be of another process, which could write to this memory without it as well; its bytes are only copied and hashed.
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

    use rustix::fs::fcntl_get_seals;

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
        let (memory, size) = (memory_file().unwrap(), NonZero::new(5).unwrap());
        // The control: before it is reserved, it is open to all.
        memory.write_all_at(b"other", 0).unwrap();
        let mapping = reserve(&memory, size).unwrap();
        assert!(memory.write_all_at(b"later", 0).is_err());
        assert!(memory.set_len(0).is_err());
        assert!(memory.set_len(9).is_err());
        assert!(Mapping::of(&memory, size).is_err());
        // What can still be written to is not sealed for good.
        assert!(fcntl_add_seals(&memory, SealFlags::WRITE).is_err());
        take(&memory, mapping, &file_of(b"right")).unwrap();
        let mut bytes = [0; 5];
        memory.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"right");
        let all = SealFlags::GROW | SealFlags::SHRINK | SealFlags::FUTURE_WRITE;
        let all = all | SealFlags::WRITE | SealFlags::SEAL;
        assert_eq!(fcntl_get_seals(&memory).unwrap(), all);
    }

    #[test]
    fn whoever_could_write_to_a_copy_before_does_not_get_it_past_its_digest() {
        let bytes = vec![1; 8 * PIECE_BYTES];
        let (memory, size) = (memory_file().unwrap(), NonZero::new(bytes.len()).unwrap());
        assert!(is_open_to_nobody_else(&memory));
        memory.set_len(bytes.len() as u64).unwrap();
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        let door = File::options().read(true).write(true).open(path).unwrap();
        let mut strange = Mapping::of(&door, size).unwrap();
        drop(door);
        assert!(!is_open_to_nobody_else(&memory));
        let (source, last) = (file_of(&bytes), bytes.len() as u64 - 1);
        let digest = thread::scope(|scope| {
            let copying = scope.spawn(|| {
                let mapping = reserve(&memory, size).unwrap();
                take(&memory, mapping, &source).unwrap()
            });
            let mut copied = [0];
            while copied == [0] {
                memory.read_exact_at(&mut copied, last).unwrap();
            }
            // All is copied, and soon hashed. For as long as this mapping is there, nothing is sealed for good.
            thread::sleep(Duration::from_millis(50));
            strange.bytes()[0] = 2;
            drop(strange);
            copying.join().unwrap()
        });
        let mut kept = vec![0; size.get()];
        memory.read_exact_at(&mut kept, 0).unwrap();
        assert_eq!(kept[0], 2);
        assert_eq!(digest, Digest::new(Sha256::digest(&kept).into()));
    }

    #[test]
    fn a_file_that_changes_its_size_meanwhile_is_refused() {
        let grown = copy_of(b"grown", 4).unwrap_err().to_string();
        assert!(grown.contains("grew"), "{grown}");
        let shrunk = copy_of(b"shrunk", 7).unwrap_err().to_string();
        assert!(shrunk.contains("shorter"), "{shrunk}");
    }
}
