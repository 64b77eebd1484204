//! The plugin directory as a capability, and the only maker of [`Verified`].
//!
//! What is hashed is what runs: a file's bytes are copied into memory that is sealed against every change, and those are
//! hashed. Whatever happens to the file afterwards, or happened during the copy, the digest is that of the copy.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio::sync::Semaphore;

use super::custody::Custody;
use super::kind::{HEAD_BYTES, Kind};
use super::sealed;
use crate::registry::Registry;
use crate::{Digest, RegisterError, RuntimeKind};

/// The largest file that can be a plugin.
const ARTIFACT_BYTES_MAX: usize = 512 << 20;

/// How many files are read at once. A file system that hangs holds twice as many threads and no more.
const READERS_MAX: usize = 4;

/// How long reading one file may take, waiting for a place included.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The plugin directory, opened once; files are opened beneath it with no symlink followed.
#[derive(Clone)]
pub struct PluginDirectory(Arc<Directory>);

struct Directory {
    descriptor: OwnedFd,
    custody: Custody,
    readers: Arc<Semaphore>,
    /// Sealed copies in use, so that mounts of one entry share one.
    copies: Registry<Digest, Artifact>,
}

impl PluginDirectory {
    /// Opens the directory at an absolute path that is no symlink, with the usual rules for owners and permissions.
    ///
    /// # Errors
    ///
    /// [`RegisterError::Directory`] with what is wrong with the path.
    pub fn open(path: &Path) -> Result<Self, RegisterError> {
        Self::open_in(path, Custody::default())
    }

    /// The same with rules of the operator's, which hold for the directory and for what is read from it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_in(path: &Path, custody: Custody) -> Result<Self, RegisterError> {
        let opened = open_directory(path).and_then(|descriptor| {
            custody.check(&descriptor)?;
            Ok(descriptor)
        });
        let descriptor = opened.map_err(|fault| RegisterError::Directory {
            path: path.display().to_string(),
            fault,
        })?;
        Ok(Self(Arc::new(Directory {
            descriptor,
            custody,
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            copies: Registry::default(),
        })))
    }

    /// Copies the file at `command` into sealed memory and checks the copy's digest and kind.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, [`RegisterError::Kind`] when it is no plugin, [`RegisterError::Digest`] when it is
    /// another one.
    pub async fn verify(&self, command: &str, expected: Digest) -> Result<Verified, RegisterError> {
        let late = |_| unusable(command, "it could not be read in time");
        let artifact = tokio::time::timeout(READ_TIMEOUT, self.read(command.to_owned()))
            .await
            .map_err(late)??;
        if artifact.digest != expected {
            let found = artifact.digest;
            return Err(RegisterError::Digest { expected, found });
        }
        Ok(Verified {
            inner: self.shared(artifact),
        })
    }

    /// The bytes of that digest, if somebody holds them: those of entries that run.
    pub(super) fn held(&self, digest: Digest) -> Option<Verified> {
        let inner = self.0.copies.get(&digest)?;
        Some(Verified { inner })
    }

    async fn read(&self, command: String) -> Result<Artifact, RegisterError> {
        let place = Arc::clone(&self.0.readers)
            .acquire_owned()
            .await
            .expect("the readers' semaphore is never closed");
        let directory = Arc::clone(&self.0);
        let reading = tokio::task::spawn_blocking(move || {
            // Held by the thread, not by the waiter: a thread that hangs keeps its place.
            let _place = place;
            Artifact::read(&directory, &command)
        });
        reading
            .await
            .map_err(|failure| RegisterError::Worker(failure.to_string()))?
    }

    /// The copy of these bytes that is in use already, or this one.
    fn shared(&self, artifact: Artifact) -> Arc<Artifact> {
        self.0.copies.get_or_make(artifact.digest, || artifact)
    }
}

/// An artifact that matched the digest of its entry.
#[derive(Clone)]
pub struct Verified {
    inner: Arc<Artifact>,
}

/// Bytes found on disk, held in memory that is sealed against every change. Nobody has compared them with anything.
pub struct Artifact {
    digest: Digest,
    runtime: RuntimeKind,
    sealed: OwnedFd,
    size: u64,
}

impl Verified {
    /// The bytes.
    pub(crate) fn artifact(&self) -> &Artifact {
        &self.inner
    }

    /// What the bytes hash to.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// How they run.
    pub fn runtime(&self) -> RuntimeKind {
        self.inner.runtime
    }

    /// How many they are.
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// The sealed memory file (write, shrink, grow and seal are sealed) that holds them.
    pub fn sealed(&self) -> &OwnedFd {
        &self.inner.sealed
    }
}

impl Artifact {
    /// Reads any file that this process may read.
    ///
    /// # Errors
    ///
    /// What is wrong with it, [`RegisterError::Kind`] when it is no plugin.
    pub fn open(path: &Path) -> Result<Self, RegisterError> {
        let name = path.display().to_string();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let descriptor = opened.map_err(|error| unusable(&name, &directory_fault(error)))?;
        Self::take(regular(descriptor, &name)?, &name)
    }

    /// What they hash to.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How they run.
    pub fn runtime(&self) -> RuntimeKind {
        self.runtime
    }

    /// How many they are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The sealed memory file that holds them.
    pub(crate) fn sealed(&self) -> &OwnedFd {
        &self.sealed
    }

    fn read(directory: &Directory, command: &str) -> Result<Self, RegisterError> {
        let file = open_beneath(&directory.descriptor, command)?;
        let custody = &directory.custody;
        custody
            .check_folders(&directory.descriptor, command)
            .and_then(|()| custody.check(&file.file))
            .map_err(|fault| unusable(command, &fault))?;
        Self::take(file, command)
    }

    fn take(file: Regular, command: &str) -> Result<Self, RegisterError> {
        let failed = |error: io::Error| unusable(command, &error.to_string());
        let Regular { file, size } = file;
        let (memory, digest) = sealed::copy(&file, size).map_err(failed)?;
        let runtime = kind_of(&memory)
            .map_err(failed)?
            .runtime()
            .map_err(|found| RegisterError::Kind {
                path: command.to_owned(),
                found,
            })?;
        Ok(Self {
            digest,
            runtime,
            sealed: memory.into(),
            size: size.get() as u64,
        })
    }
}

/// Opens a directory that is named by an absolute path without symlink at its end.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, String> {
    if !path.is_absolute() {
        return Err("it must be an absolute path".to_owned());
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("it must not contain `..`".to_owned());
    }
    if path.file_name().is_none() {
        return Err("it must not be the root directory".to_owned());
    }
    // Without a trailing slash, which would follow a symlink.
    let bare: std::path::PathBuf = path.components().collect();
    let kind = rustix::fs::lstat(&bare)
        .map(|found| FileType::from_raw_mode(found.st_mode))
        .map_err(directory_fault)?;
    match kind {
        FileType::Symlink => Err("it is a symbolic link; give the directory itself".to_owned()),
        FileType::Directory => {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
            rustix::fs::open(&bare, flags, Mode::empty()).map_err(directory_fault)
        }
        _ => Err("it is not a directory".to_owned()),
    }
}

fn directory_fault(error: Errno) -> String {
    match error {
        Errno::NOENT => "it does not exist".to_owned(),
        other => other.to_string(),
    }
}

/// Opens a regular file of a permitted size beneath the directory.
fn open_beneath(directory: &OwnedFd, command: &str) -> Result<Regular, RegisterError> {
    // Without NONBLOCK, opening a FIFO would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let descriptor = rustix::fs::openat2(directory, command, flags, Mode::empty(), resolve)
        .map_err(|error| open_fault(command, error))?;
    regular(descriptor, command)
}

/// A regular file, and how many bytes it has: as many as are permitted.
struct Regular {
    file: File,
    size: NonZero<usize>,
}

/// The file, if it is a regular one of a permitted size.
fn regular(descriptor: OwnedFd, command: &str) -> Result<Regular, RegisterError> {
    let found = rustix::fs::fstat(&descriptor).map_err(|error| open_fault(command, error))?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Ok(Regular {
            file: File::from(descriptor),
            size: permitted(command, found.st_size)?,
        }),
        FileType::Directory => Err(unusable(command, "it is a directory")),
        FileType::Fifo => Err(unusable(command, "it is a FIFO")),
        _ => Err(unusable(command, "it is not a regular file")),
    }
}

fn open_fault(command: &str, error: Errno) -> RegisterError {
    match error {
        Errno::NOENT | Errno::NOTDIR => RegisterError::Missing {
            path: command.to_owned(),
        },
        Errno::LOOP => unusable(command, "it is a symbolic link, or lies behind one"),
        Errno::XDEV => unusable(
            command,
            "cannot execute files outside of configured plugin directory",
        ),
        Errno::NXIO => unusable(command, "it is not a regular file"),
        Errno::NOSYS => unusable(command, "this kernel has no openat2; Linux 5.6 has it"),
        other => unusable(command, &other.to_string()),
    }
}

fn kind_of(memory: &File) -> io::Result<Kind> {
    let mut head = [0; HEAD_BYTES];
    let length = memory.read_at(&mut head, 0)?;
    Ok(Kind::of(&head[..length]))
}

fn permitted(command: &str, size: i64) -> Result<NonZero<usize>, RegisterError> {
    let found = usize::try_from(size).ok().and_then(NonZero::new);
    match found.ok_or_else(|| unusable(command, "it is empty"))? {
        size if size.get() > ARTIFACT_BYTES_MAX => {
            let fault = format!("it has {size} bytes, {ARTIFACT_BYTES_MAX} are allowed");
            Err(unusable(command, &fault))
        }
        size => Ok(size),
    }
}

fn unusable(command: &str, fault: &str) -> RegisterError {
    RegisterError::Unusable {
        path: command.to_owned(),
        fault: fault.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use sha2::{Digest as _, Sha256};
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::time::Instant;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn digest_of(bytes: &[u8]) -> Digest {
        Digest::new(Sha256::digest(bytes).into())
    }

    fn folder() -> (tempfile::TempDir, PluginDirectory) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let directory = PluginDirectory::open(folder.path()).expect("it is a directory");
        (folder, directory)
    }

    async fn verify(directory: &PluginDirectory, command: &str) -> Result<Verified, ErrorKind> {
        directory
            .verify(command, digest_of(COMPONENT))
            .await
            .map_err(|error| error.kind())
    }

    fn fault_of(path: &Path) -> String {
        match PluginDirectory::open(path) {
            Ok(_) => panic!("{path:?} was taken"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::PluginDirectory);
                error.to_string()
            }
        }
    }

    #[test]
    fn a_plugin_directory_that_cannot_be_one_says_why() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "x").expect("the folder is ours");
        symlink(folder.path(), &link).expect("the folder is ours");
        assert!(fault_of(Path::new("plugins")).contains("absolute"));
        assert!(fault_of(Path::new("/")).contains("root"));
        assert!(fault_of(Path::new("/tmp/../tmp")).contains(".."));
        assert!(fault_of(&folder.path().join("absent")).contains("does not exist"));
        assert!(fault_of(&file).contains("not a directory"));
        assert!(fault_of(&link).contains("symbolic link"));
        let with_slash = format!("{}/", link.display());
        assert!(fault_of(Path::new(&with_slash)).contains("symbolic link"));
    }

    #[tokio::test]
    async fn a_file_with_the_right_digest_is_verified_and_sealed() {
        let (folder, directory) = folder();
        std::fs::write(folder.path().join("p"), COMPONENT).expect("the folder is ours");
        let verified = verify(&directory, "p").await.expect("the digest is right");
        assert_eq!(verified.digest(), digest_of(COMPONENT));
        assert_eq!(verified.runtime(), RuntimeKind::Wasm);
        assert_eq!(verified.size(), COMPONENT.len() as u64);
        let mut copy = File::from(verified.sealed().try_clone().expect("descriptors remain"));
        assert!(copy.write_all(b"evil").is_err());
        assert!(copy.set_len(0).is_err());
    }

    #[tokio::test]
    async fn a_file_that_changes_later_leaves_the_verified_bytes_alone() {
        let (folder, directory) = folder();
        let path = folder.path().join("p");
        std::fs::write(&path, COMPONENT).expect("the folder is ours");
        let verified = verify(&directory, "p").await.expect("the digest is right");
        std::fs::write(&path, b"#!/bin/sh").expect("the folder is ours");
        let copy = File::from(verified.sealed().try_clone().expect("descriptors remain"));
        let mut bytes = [0; COMPONENT.len()];
        copy.read_exact_at(&mut bytes, 0)
            .expect("memory can be read");
        assert_eq!(bytes, COMPONENT);
        assert_eq!(
            verify(&directory, "p").await.err(),
            Some(ErrorKind::ArtifactKind)
        );
    }

    #[tokio::test]
    async fn one_changed_byte_is_a_wrong_digest() {
        let (folder, directory) = folder();
        let mut changed = COMPONENT.to_vec();
        changed.push(0);
        std::fs::write(folder.path().join("p"), changed).expect("the folder is ours");
        assert_eq!(
            verify(&directory, "p").await.err(),
            Some(ErrorKind::DigestMismatch)
        );
    }

    #[tokio::test]
    async fn mounts_of_the_same_bytes_share_one_copy() {
        let (folder, directory) = folder();
        std::fs::write(folder.path().join("p"), COMPONENT).expect("the folder is ours");
        let first = verify(&directory, "p").await.expect("the digest is right");
        let second = verify(&directory, "p").await.expect("the digest is right");
        assert!(Arc::ptr_eq(&first.inner, &second.inner));
    }

    #[tokio::test]
    async fn what_is_no_regular_file_inside_is_refused_at_once() {
        let (folder, directory) = folder();
        let place = folder.path();
        let outside = tempfile::NamedTempFile::new().expect("a file can be made");
        std::fs::write(outside.path(), COMPONENT).expect("the file is ours");
        std::fs::write(place.join("real"), COMPONENT).expect("the folder is ours");
        std::fs::write(place.join("empty"), b"").expect("the folder is ours");
        std::fs::create_dir(place.join("sub")).expect("the folder is ours");
        symlink(place.join("real"), place.join("inner")).expect("the folder is ours");
        symlink(outside.path(), place.join("outer")).expect("the folder is ours");
        symlink(place, place.join("loop")).expect("the folder is ours");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            place.join("fifo"),
            FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .expect("the folder is ours");
        let begun = Instant::now();
        for bad in [
            "empty",
            "sub",
            "inner",
            "outer",
            "loop/real",
            "fifo",
            "../x",
        ] {
            let found = verify(&directory, bad).await.err();
            assert_eq!(found, Some(ErrorKind::ArtifactUnusable), "{bad}");
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        for absent in ["absent", "real/below"] {
            let found = verify(&directory, absent).await.err();
            assert_eq!(found, Some(ErrorKind::ArtifactMissing), "{absent}");
        }
        assert!(verify(&directory, "real").await.is_ok());
    }

    #[tokio::test]
    async fn what_others_can_write_to_is_refused_with_the_place() {
        let (folder, directory) = folder();
        let place = folder.path();
        std::fs::create_dir(place.join("team")).expect("the folder is ours");
        std::fs::write(place.join("team/p"), COMPONENT).expect("the folder is ours");
        let give = |path: &str, mode| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(place.join(path), permissions).expect("it is ours");
        };
        let fault = async || {
            let refused = directory.verify("team/p", digest_of(COMPONENT)).await.err();
            refused.map(|error| error.to_string()).unwrap_or_default()
        };
        give("team/p", 0o666);
        assert!(fault().await.contains("0666"), "{}", fault().await);
        give("team/p", 0o755);
        give("team", 0o777);
        assert!(fault().await.contains("\"team\""), "{}", fault().await);
        give("team", 0o755);
        give("", 0o777);
        assert!(
            fault().await.contains("plugin directory"),
            "{}",
            fault().await
        );
        give("", 0o755);
        assert_eq!(fault().await, "");
    }

    #[tokio::test]
    async fn a_sparse_file_over_the_cap_is_refused_before_it_is_read() {
        let (folder, directory) = folder();
        let file = File::create(folder.path().join("p")).expect("the folder is ours");
        file.set_len(1 << 40).expect("the file system has holes");
        let begun = Instant::now();
        assert_eq!(
            verify(&directory, "p").await.err(),
            Some(ErrorKind::ArtifactUnusable)
        );
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
