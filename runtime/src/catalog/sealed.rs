//! Copies a file into memory that is sealed against every change, and hashes what it writes there.
//!
//! While the copy is made, a lease on the memory file tells whether anybody else opens it for writing. Nobody did if the lease
//! still stands when the file has been sealed: then what was written is what stays, and need not be read a second time.
//!
//! Somebody else could only come through `/proc`, as a user who may read this process. Then the copy is hashed again once it is
//! sealed. Who may also take descriptors out of this process, or write to its memory, has no need of this file.
#![expect(
    unsafe_code,
    reason = "no crate in use asks for leases, which are marks on an open file and touch no memory"
)]

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// How much is copied before it is handed on to be hashed, in bytes, and how many such pieces there are.
const PIECE_BYTES: usize = 256 << 10;
const PIECES: usize = 4;

/// How often, and after which pause, sealing is tried again: a second in all.
const SEAL_TRIES: u32 = 100;
const SEAL_PAUSE: Duration = Duration::from_millis(10);

/// Chooses the signal that is sent when a lease is taken away. Linux has it, the C library's bindings do not.
const F_SETSIG: libc::c_int = 10;

/// All there are: of its size, of its bytes, and of the seals themselves.
const SEALS: SealFlags = SealFlags::GROW
    .union(SealFlags::SHRINK)
    .union(SealFlags::WRITE)
    .union(SealFlags::SEAL);

/// The first `size` bytes of a file, which has no more, in a memory file that nobody can change; and what they hash to.
///
/// # Errors
///
/// That the file changed its size meanwhile, or cannot be read; that there is no memory.
pub(super) fn copy(source: &File, size: NonZero<usize>) -> io::Result<(File, Digest)> {
    let memory = memory_file()?;
    let digest = fill_and_seal(&memory, source, size.get())?;
    match source.read_at(&mut [0], size.get() as u64)? {
        0 => Ok((memory, digest)),
        _ => Err(io::Error::other("it grew while it was read")),
    }
}

/// What it hashes to is that of what is sealed, to its end.
fn fill_and_seal(memory: &File, source: &File, size: usize) -> io::Result<Digest> {
    let lease = Lease::on(memory);
    let digest = fill(memory, source, size)?;
    seal(memory)?;
    // Somebody may have come and gone before the lease, and have left more than was written over.
    let is_whole = memory.metadata()?.len() == size as u64;
    match is_whole && lease.is_some_and(|lease| lease.stands()) {
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
fn seal(memory: &File) -> io::Result<()> {
    for _ in 0..SEAL_TRIES {
        match fcntl_add_seals(memory, SEALS) {
            Err(Errno::BUSY) => thread::sleep(SEAL_PAUSE),
            done => return Ok(done?),
        }
    }
    Ok(fcntl_add_seals(memory, SEALS)?)
}

/// Copies piece by piece. Another thread hashes what was written, which takes about as long.
fn fill(memory: &File, source: &File, size: usize) -> io::Result<Digest> {
    let (written, pieces) = mpsc::channel();
    let (emptied, empty) = mpsc::channel();
    for _ in 0..PIECES {
        let _ = emptied.send(vec![0; PIECE_BYTES.min(size)]);
    }
    thread::scope(|scope| {
        let hasher = thread::Builder::new().name("palisade-hasher".to_owned());
        let hasher = hasher.spawn_scoped(scope, move || hash(&pieces, &emptied))?;
        let copying = copy_pieces(memory, source, size, &empty, &written);
        drop(written);
        let hashing = hasher.join();
        copying?;
        hashing.map_err(|_| io::Error::other("it could not be hashed"))
    })
}

fn copy_pieces(
    memory: &File,
    source: &File,
    size: usize,
    empty: &Receiver<Vec<u8>>,
    written: &Sender<Vec<u8>>,
) -> io::Result<()> {
    let mut done = 0;
    // There is always another piece, and somebody to take it, unless the hasher has panicked, which its end tells.
    while done < size
        && let Ok(mut piece) = empty.recv()
    {
        piece.truncate(size - done);
        source
            .read_exact_at(&mut piece, done as u64)
            .map_err(explained)?;
        memory.write_all_at(&piece, done as u64)?;
        done += piece.len();
        let _ = written.send(piece);
    }
    Ok(())
}

fn hash(pieces: &Receiver<Vec<u8>>, emptied: &Sender<Vec<u8>>) -> Digest {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update(&piece);
        // After the last piece nobody needs another.
        let _ = emptied.send(piece);
    }
    Digest::new(hasher.finalize().into())
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

fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("it became shorter while it was read"),
        _ => error,
    }
}

/// A read lease: the kernel grants it only if nobody else has the file open for writing, and takes it away when somebody
/// wants to. Whoever does then waits until it is given back.
struct Lease<'a>(&'a File);

impl<'a> Lease<'a> {
    /// None if somebody else has it open, or if this kernel grants none.
    fn on(memory: &'a File) -> Option<Self> {
        // What would be sent otherwise ends a process. This is ignored unless somebody asks for it.
        // SAFETY: touches no memory.
        let quietly = unsafe { libc::fcntl(memory.as_raw_fd(), F_SETSIG, libc::SIGURG) };
        let lease = Self(memory);
        (quietly == 0 && lease.set(libc::F_RDLCK)).then_some(lease)
    }

    fn set(&self, kind: libc::c_int) -> bool {
        // SAFETY: touches no memory.
        unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_SETLEASE, kind) == 0 }
    }

    /// Whether nobody has wanted to write since.
    fn stands(&self) -> bool {
        // SAFETY: touches no memory.
        unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_GETLEASE) == libc::F_RDLCK }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.set(libc::F_UNLCK);
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

    /// Another way to it, as somebody who may read this process has.
    fn door_to(memory: &File) -> File {
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        File::options().read(true).write(true).open(path).unwrap()
    }

    fn bytes_of(memory: &File) -> Vec<u8> {
        let mut bytes = vec![0; memory.metadata().unwrap().len() as usize];
        memory.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn a_copy_has_the_bytes_and_their_digest_whatever_their_number() {
        for size in [1, 4095, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7] {
            let bytes: Vec<u8> = (0..size).map(|at| (at / 7 % 251) as u8).collect();
            let (memory, digest) = copy_of(&bytes, size).unwrap();
            assert!(bytes_of(&memory) == bytes, "{size}");
            assert_eq!(digest, Digest::new(Sha256::digest(&bytes).into()), "{size}");
        }
    }

    #[test]
    fn nobody_changes_a_copy() {
        // The control: before it is sealed, it is open to all.
        let memory = memory_file().unwrap();
        memory.write_all_at(b"other", 0).unwrap();
        fill_and_seal(&memory, &file_of(b"right"), 5).unwrap();
        assert!(memory.write_all_at(b"later", 0).is_err());
        assert!(memory.set_len(0).is_err());
        assert!(memory.set_len(9).is_err());
        assert!(door_to(&memory).write_all_at(b"later", 0).is_err());
        assert_eq!(bytes_of(&memory), b"right");
        assert_eq!(fcntl_get_seals(&memory).unwrap(), SEALS);
    }

    #[test]
    fn whoever_could_write_to_a_copy_before_does_not_get_it_past_its_digest() {
        let bytes = vec![1; 64 * PIECE_BYTES];
        // One who is too slow changes nothing.
        let has_changed_one = (0..100).any(|_| {
            let memory = memory_file().unwrap();
            let door = door_to(&memory);
            assert!(Lease::on(&memory).is_none());
            let digest = while_it_is_made(&memory, &bytes, || drop(door.write_all_at(&[2], 0)));
            let kept = bytes_of(&memory);
            assert_eq!(digest, Digest::new(Sha256::digest(&kept).into()));
            kept != bytes
        });
        assert!(has_changed_one);
    }

    #[test]
    fn what_somebody_left_before_counts_for_the_digest() {
        let memory = memory_file().unwrap();
        door_to(&memory).write_all_at(b"some tail", 0).unwrap();
        assert!(Lease::on(&memory).is_some());
        let digest = fill_and_seal(&memory, &file_of(b"right"), 5).unwrap();
        assert_eq!(bytes_of(&memory), b"righttail");
        assert_eq!(digest, Digest::new(Sha256::digest(b"righttail").into()));
    }

    #[test]
    fn whoever_comes_to_write_while_a_copy_is_made_waits_until_it_is_sealed() {
        let memory = memory_file().unwrap();
        let bytes = vec![1; 64 * PIECE_BYTES];
        let digest = while_it_is_made(&memory, &bytes, || {
            // The lease is lost by this, and the process goes on.
            assert!(door_to(&memory).write_all_at(&[2], 0).is_err());
        });
        assert_eq!(digest, Digest::new(Sha256::digest(&bytes).into()));
        assert!(bytes_of(&memory) == bytes);
    }

    #[test]
    fn a_lease_stands_until_somebody_wants_to_write() {
        let memory = memory_file().unwrap();
        let lease = Lease::on(&memory).unwrap();
        memory.write_all_at(b"own", 0).unwrap();
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        File::open(&path).unwrap();
        assert!(lease.stands());
        let at_once = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK;
        let opened = rustix::fs::open(&path, at_once, rustix::fs::Mode::empty());
        assert_eq!(opened.unwrap_err(), Errno::WOULDBLOCK);
        assert!(!lease.stands());
    }

    /// Does something once the first byte was copied, and hands out what the copy is said to hash to.
    fn while_it_is_made(memory: &File, bytes: &[u8], deed: impl FnOnce()) -> Digest {
        thread::scope(|scope| {
            let source = file_of(bytes);
            let copying = scope.spawn(move || fill_and_seal(memory, &source, bytes.len()));
            while memory.metadata().unwrap().len() == 0 {
                thread::yield_now();
            }
            deed();
            copying.join().unwrap().unwrap()
        })
    }

    #[test]
    fn a_file_that_changes_its_size_meanwhile_is_refused() {
        let grown = copy_of(b"grown", 4).unwrap_err().to_string();
        assert!(grown.contains("grew"), "{grown}");
        let shrunk = copy_of(b"shrunk", 7).unwrap_err().to_string();
        assert!(shrunk.contains("shorter"), "{shrunk}");
    }
}
