//! What a guest does with the handle of a file or folder.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, ErrorCode, HostDescriptor, HostDirectoryEntryStream, OpenFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult};
use wasmtime_wasi::runtime::spawn_blocking;

use super::stream::{Reading, Seats, Writing};
use super::{Open, StoreState, TYPES};
use crate::folders::{Folder, Seat, StoreShare};

type Handle = Resource<Descriptor>;

/// Functions that are as wasmtime-wasi has them, counted as work of the host.
macro_rules! as_they_are {
    ($($name:literal $function:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        async fn $function(&mut self, handle: Handle $(, $argument: $type)*) -> FsResult<$answer> {
            self.called(TYPES, $name, 0).await;
            let outcome = HostDescriptor::$function(&mut self.unguarded(), handle $(, $argument)*).await;
            self.told(outcome)
        }
    )*};
}

impl HostDescriptor for StoreState {
    as_they_are! {
        "descriptor.advise" advise(offset: u64, length: u64, advice: types::Advice) -> ();
        "descriptor.sync-data" sync_data() -> ();
        "descriptor.get-flags" get_flags() -> DescriptorFlags;
        "descriptor.get-type" get_type() -> types::DescriptorType;
        "descriptor.set-times" set_times(access: types::NewTimestamp, change: types::NewTimestamp) -> ();
        "descriptor.sync" sync() -> ();
        "descriptor.stat" stat() -> types::DescriptorStat;
        "descriptor.stat-at" stat_at(flags: types::PathFlags, path: String) -> types::DescriptorStat;
        "descriptor.set-times-at" set_times_at(
            flags: types::PathFlags,
            path: String,
            access: types::NewTimestamp,
            change: types::NewTimestamp
        ) -> ();
        "descriptor.readlink-at" readlink_at(path: String) -> String;
        "descriptor.remove-directory-at" remove_directory_at(path: String) -> ();
        "descriptor.unlink-file-at" unlink_file_at(path: String) -> ();
        "descriptor.metadata-hash" metadata_hash() -> types::MetadataHashValue;
        "descriptor.metadata-hash-at" metadata_hash_at(
            flags: types::PathFlags,
            path: String
        ) -> types::MetadataHashValue;
    }

    async fn read(
        &mut self,
        handle: Handle,
        length: u64,
        offset: u64,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.called(TYPES, "descriptor.read", 0).await;
        let outcome = HostDescriptor::read(&mut self.unguarded(), handle, length, offset).await;
        if let Ok((bytes, _)) = &outcome {
            self.meter.charge(bytes.len()).await;
        }
        self.told(outcome)
    }

    /// A listing is held as a whole until it is dropped.
    async fn read_directory(
        &mut self,
        handle: Handle,
    ) -> FsResult<Resource<types::DirectoryEntryStream>> {
        self.called(TYPES, "descriptor.read-directory", 0).await;
        let outcome = self.list(handle).await;
        self.told(outcome)
    }

    async fn write(&mut self, handle: Handle, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        self.called(TYPES, "descriptor.write", bytes.len()).await;
        let outcome = self.write_piece(handle, bytes, offset).await;
        self.told(outcome)
    }

    /// A file that grows this way has holes and takes no room; its length is bounded all the same.
    async fn set_size(&mut self, handle: Handle, size: u64) -> FsResult<()> {
        self.called(TYPES, "descriptor.set-size", 0).await;
        let outcome = match self.check_length(&handle, size) {
            Ok(()) => HostDescriptor::set_size(&mut self.unguarded(), handle, size).await,
            Err(error) => Err(error),
        };
        self.told(outcome)
    }

    async fn open_at(
        &mut self,
        handle: Handle,
        path_flags: types::PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Handle> {
        self.called(TYPES, "descriptor.open-at", path.len()).await;
        let outcome = self.open(handle, path_flags, path, open_flags, flags).await;
        self.told(outcome)
    }

    async fn create_directory_at(&mut self, handle: Handle, path: String) -> FsResult<()> {
        self.called(TYPES, "descriptor.create-directory-at", path.len())
            .await;
        let outcome = self.create_directory(handle, path).await;
        self.told(outcome)
    }

    /// From one folder into another it is refused as between file systems: their quotas are apart.
    async fn rename_at(
        &mut self,
        old: Handle,
        old_path: String,
        new: Handle,
        new_path: String,
    ) -> FsResult<()> {
        self.called(
            TYPES,
            "descriptor.rename-at",
            old_path.len() + new_path.len(),
        )
        .await;
        let same = match (self.known(&old), self.known(&new)) {
            (Ok(old), Ok(new)) => Arc::ptr_eq(&old.folder, &new.folder),
            _ => false,
        };
        let outcome = match same {
            true => {
                let mut files = self.unguarded();
                HostDescriptor::rename_at(&mut files, old, old_path, new, new_path).await
            }
            false => Err(ErrorCode::CrossDevice.into()),
        };
        self.told(outcome)
    }

    /// A second name would outlast what is granted of the first.
    async fn link_at(
        &mut self,
        _: Handle,
        _: types::PathFlags,
        _: String,
        _: Handle,
        _: String,
    ) -> FsResult<()> {
        self.called(TYPES, "descriptor.link-at", 0).await;
        self.told(Err(ErrorCode::NotPermitted.into()))
    }

    /// No guest follows a link out of its folder; whoever else reads the folder might.
    async fn symlink_at(&mut self, _: Handle, _: String, _: String) -> FsResult<()> {
        self.called(TYPES, "descriptor.symlink-at", 0).await;
        self.told(Err(ErrorCode::NotPermitted.into()))
    }

    fn read_via_stream(
        &mut self,
        handle: Handle,
        offset: u64,
    ) -> FsResult<Resource<DynInputStream>> {
        self.noted(TYPES);
        let open = self.known(&handle)?;
        let inner = HostDescriptor::read_via_stream(&mut self.unguarded(), handle, offset)?;
        let inner = self.table.delete(inner)?;
        let _seats = self.stream_seats(open.seat)?;
        let reading: DynInputStream = Box::new(Reading { inner, _seats });
        Ok(self.table.push(reading)?)
    }

    fn write_via_stream(
        &mut self,
        handle: Handle,
        offset: u64,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.noted(TYPES);
        let open = self.known(&handle)?;
        let inner = HostDescriptor::write_via_stream(&mut self.unguarded(), handle, offset)?;
        self.writing(open, inner, Some(offset))
    }

    fn append_via_stream(&mut self, handle: Handle) -> FsResult<Resource<DynOutputStream>> {
        self.noted(TYPES);
        let open = self.known(&handle)?;
        let inner = HostDescriptor::append_via_stream(&mut self.unguarded(), handle)?;
        self.writing(open, inner, None)
    }

    async fn is_same_object(&mut self, one: Handle, other: Handle) -> Result<bool> {
        self.called(TYPES, "descriptor.is-same-object", 0).await;
        let same = HostDescriptor::is_same_object(&mut self.unguarded(), one, other).await?;
        self.given(same)
    }

    fn drop(&mut self, handle: Handle) -> Result<()> {
        self.noted(TYPES);
        self.files.open.remove(&handle.rep());
        HostDescriptor::drop(&mut self.unguarded(), handle)
    }
}

impl HostDirectoryEntryStream for StoreState {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<types::DirectoryEntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        self.called(TYPES, "directory-entry-stream.read-directory-entry", 0)
            .await;
        let mut files = self.unguarded();
        let outcome = HostDirectoryEntryStream::read_directory_entry(&mut files, stream).await;
        self.told(outcome)
    }

    fn drop(&mut self, stream: Resource<types::DirectoryEntryStream>) -> Result<()> {
        self.files.listings.remove(&stream.rep());
        HostDirectoryEntryStream::drop(&mut self.unguarded(), stream)
    }
}

impl StoreState {
    async fn open(
        &mut self,
        handle: Handle,
        path_flags: types::PathFlags,
        path: String,
        open_flags: OpenFlags,
        mut flags: DescriptorFlags,
    ) -> FsResult<Handle> {
        let folder = self.known(&handle)?.folder;
        let seat = self.files.seat(StoreShare::file)?;
        let _room = match &folder.quota {
            Some(quota) if open_flags.contains(OpenFlags::CREATE) => Some(quota.file().await?),
            _ => None,
        };
        // Emptied only once it is known to be no file that has another name elsewhere.
        let empties = open_flags.contains(OpenFlags::TRUNCATE);
        if empties {
            flags |= DescriptorFlags::WRITE;
        }
        let writes = flags.contains(DescriptorFlags::WRITE);
        if empties && open_flags.contains(OpenFlags::DIRECTORY) {
            return Err(ErrorCode::Invalid.into());
        }
        let open_flags = open_flags & !OpenFlags::TRUNCATE;
        let mut files = self.unguarded();
        let opened =
            HostDescriptor::open_at(&mut files, handle, path_flags, path, open_flags, flags)
                .await?;
        if let Err(error) = self.take_over(&opened, &folder, writes, empties).await {
            self.table.delete(opened)?;
            return Err(error);
        }
        let open = Open {
            folder,
            seat: Some(seat),
        };
        self.files.open.insert(opened.rep(), open);
        Ok(opened)
    }

    /// What is open counts even when it is removed. A file that is written to has no other name, which might be outside of
    /// the folder.
    async fn take_over(
        &mut self,
        opened: &Handle,
        folder: &Arc<Folder>,
        writes: bool,
        empties: bool,
    ) -> FsResult<()> {
        let (file, is_file) = match self.table.get(opened)? {
            Descriptor::File(file) => (Arc::clone(&file.file), true),
            Descriptor::Dir(folder) => (Arc::clone(&folder.dir), false),
        };
        let account = Arc::clone(&folder.account);
        let names = spawn_blocking(move || account.opened(&file)).await?;
        if is_file && writes && names > 1 {
            return Err(ErrorCode::NotPermitted.into());
        }
        if is_file && empties {
            let file = Resource::new_borrow(opened.rep());
            HostDescriptor::set_size(&mut self.unguarded(), file, 0).await?;
        }
        Ok(())
    }

    async fn list(&mut self, handle: Handle) -> FsResult<Resource<types::DirectoryEntryStream>> {
        let seat = self.files.seat(StoreShare::listing)?;
        let listing = HostDescriptor::read_directory(&mut self.unguarded(), handle).await?;
        self.files.listings.insert(listing.rep(), seat);
        Ok(listing)
    }

    async fn create_directory(&mut self, handle: Handle, path: String) -> FsResult<()> {
        let folder = self.known(&handle)?.folder;
        let _room = match &folder.quota {
            Some(quota) => Some(quota.file().await?),
            None => None,
        };
        HostDescriptor::create_directory_at(&mut self.unguarded(), handle, path).await
    }

    async fn write_piece(&mut self, handle: Handle, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        let folder = self.known(&handle)?.folder;
        let length = bytes.len() as u64;
        self.check_length(&handle, offset.saturating_add(length))?;
        let room = match &folder.quota {
            Some(quota) => Some(quota.bytes(length).await?),
            None => None,
        };
        let file = self.writable(&handle)?;
        // A request that is given up does not stop it, and the room is taken until it is done.
        let write = move || {
            let written = file.write_at(&bytes, offset);
            drop(room);
            written
        };
        Ok(spawn_blocking(write).await? as u64)
    }

    fn writable(&self, handle: &Handle) -> FsResult<Arc<File>> {
        match self.table.get(handle)? {
            Descriptor::File(file) if file.perms.write_not_permitted() => {
                Err(ErrorCode::NotPermitted.into())
            }
            Descriptor::File(file) => Ok(Arc::clone(&file.file)),
            Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    /// No file is longer than its folder may hold.
    fn check_length(&self, handle: &Handle, length: u64) -> FsResult<()> {
        let folder = self.known(handle)?.folder;
        match &folder.quota {
            Some(quota) if length > quota.bytes_max => Err(ErrorCode::FileTooLarge.into()),
            _ => Ok(()),
        }
    }

    /// A stream holds what it has read, or is writing.
    fn stream_seats(&mut self, of_file: Option<Arc<Seat>>) -> FsResult<Seats> {
        Ok(Seats {
            _of_file: of_file,
            _own: Some(self.files.seat(StoreShare::stream)?),
        })
    }

    fn writing(
        &mut self,
        open: Open,
        inner: Resource<DynOutputStream>,
        at: Option<u64>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.table.delete(inner)?;
        let quota = open.folder.quota.clone();
        let quota = quota.ok_or(ErrorCode::NotPermitted)?;
        let seats = self.stream_seats(open.seat)?;
        let writing: DynOutputStream = Box::new(Writing::new(inner, quota, at, seats));
        Ok(self.table.push(writing)?)
    }
}
