//! Streams of files: those that are written to take room in the folder for each piece before it is written.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::folders::{Full, Quota, Reserved, Seat};

/// What a stream keeps: its file open, and its own place among the streams.
#[derive(Default)]
pub(super) struct Seats {
    pub(super) _of_file: Option<Arc<Seat>>,
    pub(super) _own: Option<Arc<Seat>>,
}

/// A stream from a file.
pub(super) struct Reading {
    pub(super) inner: DynInputStream,
    pub(super) _seats: Seats,
}

#[async_trait]
impl InputStream for Reading {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.inner.read(size)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.inner.blocking_read(size).await
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for Reading {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

/// A stream to a file.
pub(super) struct Writing {
    pub(super) inner: DynOutputStream,
    pub(super) quota: Quota,
    /// Where the next piece goes; none when it goes to the end.
    pub(super) at: Option<u64>,
    /// What came of the last look for room, when there was none.
    full: Option<Full>,
    _seats: Seats,
}

impl Writing {
    pub(super) fn new(inner: DynOutputStream, quota: Quota, at: Option<u64>, seats: Seats) -> Self {
        Self {
            inner,
            quota,
            at,
            full: None,
            _seats: seats,
        }
    }

    /// Bytes that fit behind what is written already: no file is longer than its folder may hold.
    fn length_left(&self) -> u64 {
        let at = self.at.unwrap_or(0);
        self.quota.bytes_max.saturating_sub(at)
    }
}

/// What is being written, with the room that it takes until it is: a request that is given up does not stop a write that
/// has begun.
struct Piece {
    bytes: Bytes,
    _room: Reserved,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[async_trait]
impl OutputStream for Writing {
    fn check_write(&mut self) -> StreamResult<usize> {
        let permit = self.inner.check_write()?;
        if permit == 0 {
            return Ok(0);
        }
        if self.length_left() == 0 {
            return Err(failed(ErrorCode::FileTooLarge));
        }
        let room = self.quota.writable().min(self.length_left());
        match (room, self.full.take()) {
            // `ready` looks whether there is more room by now.
            (0, None) => Ok(0),
            (0, Some(full)) => Err(failed(code(full))),
            (room, _) => Ok(permit.min(usize::try_from(room).unwrap_or(usize::MAX))),
        }
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len() as u64;
        if length > self.length_left() {
            return Err(failed(ErrorCode::FileTooLarge));
        }
        let room = self.quota.try_bytes(length);
        let room = room.map_err(|full| failed(code(full)))?;
        let piece = Piece { bytes, _room: room };
        self.inner.write(Bytes::from_owner(piece))?;
        self.at = self.at.map(|at| at.saturating_add(length));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for Writing {
    async fn ready(&mut self) {
        self.inner.ready().await;
        if self.quota.writable() > 0 {
            return;
        }
        let looked = self.quota.look().await;
        self.full = looked.err();
        if self.full.is_none() && self.quota.writable() == 0 {
            self.full = Some(Full::Bytes);
        }
    }
}

/// What a stream failed for, in the words of `wasi:filesystem`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) ErrorCode);

fn failed(code: ErrorCode) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::new(Refused(code)))
}

/// The word for a folder that takes nothing more.
pub(super) fn code(full: Full) -> ErrorCode {
    match full {
        Full::Bytes | Full::Files => ErrorCode::Quota,
        Full::Uncountable => ErrorCode::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FolderRoot, Grants, Limits};
    use std::sync::Mutex;
    use wasmtime::component::ResourceTable;
    use wasmtime_wasi::filesystem::{
        Descriptor, File, FsPerms, OpenMode, WasiFilesystemCtx, WasiFilesystemCtxView,
    };
    use wasmtime_wasi::p2::bindings::filesystem::types::HostDescriptor;

    fn quota(place: &std::path::Path, folder_bytes: u64) -> Quota {
        std::fs::create_dir(place.join("spool")).unwrap();
        let grants = Grants::stated(&["folder:spool:rw".to_owned()]).unwrap();
        let limits = Limits {
            folder_bytes,
            ..Limits::default()
        };
        let root = FolderRoot::open(&place.canonicalize().unwrap()).unwrap();
        let folder = root.folder(grants.folders().next().unwrap(), &limits);
        folder.unwrap().quota.unwrap()
    }

    /// Writes to a file of a folder, from `at` on, until that is refused, and says for what.
    async fn refusal(folder_bytes: u64, at: u64) -> ErrorCode {
        let place = tempfile::tempdir().unwrap();
        let quota = quota(place.path(), folder_bytes);
        let file = std::fs::File::create(place.path().join("spool/file")).unwrap();
        let (mut table, mut context) = (ResourceTable::new(), WasiFilesystemCtx::default());
        let file = Descriptor::File(File::new(file, FsPerms::ReadWrite, OpenMode::WRITE, false));
        let file = table.push(file).unwrap();
        let mut files = WasiFilesystemCtxView {
            ctx: &mut context,
            table: &mut table,
        };
        let inner = HostDescriptor::write_via_stream(&mut files, file, at);
        let inner = table.delete(inner.ok().unwrap()).unwrap();
        let mut stream = Writing::new(inner, quota, Some(at), Seats::default());
        for _ in 0..1000 {
            let written = stream.blocking_write_and_flush(Bytes::from(vec![1; 4096]));
            match written.await {
                Ok(()) => {}
                Err(StreamError::LastOperationFailed(error)) => {
                    return error.downcast::<Refused>().unwrap().0;
                }
                Err(other) => panic!("{other}"),
            }
        }
        panic!("everything was taken")
    }

    /// A file that has not written yet what it was given.
    struct Slow(Arc<Mutex<Vec<Bytes>>>);

    #[async_trait]
    impl Pollable for Slow {
        async fn ready(&mut self) {}
    }

    impl OutputStream for Slow {
        fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
            self.0.lock().unwrap().push(bytes);
            Ok(())
        }

        fn flush(&mut self) -> StreamResult<()> {
            Ok(())
        }

        fn check_write(&mut self) -> StreamResult<usize> {
            Ok(4096)
        }
    }

    #[tokio::test]
    async fn a_piece_takes_its_room_until_it_is_written_whoever_still_waits() {
        let place = tempfile::tempdir().unwrap();
        let quota = quota(place.path(), 64 << 10);
        quota.look().await.unwrap();
        let empty = quota.writable();
        let unwritten = Arc::new(Mutex::new(Vec::new()));
        let slow = Box::new(Slow(Arc::clone(&unwritten)));
        let mut stream = Writing::new(slow, quota.clone(), Some(0), Seats::default());
        stream.write(Bytes::from_static(&[1; 4096])).unwrap();
        // Its store is gone, and somebody looks before the piece is on the disk.
        drop(stream);
        quota.look().await.unwrap();
        assert!(quota.writable() < empty);
        unwritten.lock().unwrap().clear();
        quota.look().await.unwrap();
        assert_eq!(quota.writable(), empty);
    }

    #[tokio::test]
    async fn a_guest_that_asks_is_told_what_a_write_failed_for() {
        assert_eq!(refusal(64 << 10, 0).await, ErrorCode::Quota);
        assert_eq!(refusal(64 << 10, 60 << 10).await, ErrorCode::FileTooLarge);
    }
}
