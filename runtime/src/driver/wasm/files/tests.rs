//! What a store can do with folders, asked of the host directly.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DirectoryEntryStream, HostDescriptor, HostDirectoryEntryStream, OpenFlags,
    PathFlags,
};
use wasmtime_wasi_io::bindings::wasi::io::streams::HostInputStream;

use super::{ErrorCode, FsResult, Granted, StoreState};
use crate::driver::wasm::testing::state;
use crate::driver::wasm::threads::{GuestThreads, Place};
use crate::services::Deadline;
use crate::{CallError, FolderRoot, Grants, Limits, Profile};

/// A folder `spool` that a mount of the entry is granted, and where it is.
fn granted(entry: &str, root: &FolderRoot) -> Arc<Granted> {
    let grants = Grants::stated(&["folder:spool:rw".to_owned()]).unwrap();
    let opened = Granted::open(Some(root), &grants, &Limits::default(), entry, entry);
    Arc::new(opened.unwrap())
}

fn root() -> (TempDir, FolderRoot) {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("spool")).unwrap();
    fs::write(place.path().join("spool/file"), "x").unwrap();
    let root = FolderRoot::open(&place.path().canonicalize().unwrap()).unwrap();
    (place, root)
}

/// What a store has before a guest is in it, and its folder.
fn store(granted: &Arc<Granted>) -> (StoreState, u32) {
    let mut store = state(granted);
    let folder = store.get_directories().unwrap().remove(0).0.rep();
    (store, folder)
}

fn lent(rep: u32) -> Resource<Descriptor> {
    Resource::new_borrow(rep)
}

async fn list(store: &mut StoreState, folder: u32) -> FsResult<Resource<DirectoryEntryStream>> {
    HostDescriptor::read_directory(store, lent(folder)).await
}

async fn open(store: &mut StoreState, folder: u32) -> FsResult<Resource<Descriptor>> {
    let (path, flags) = ("file".to_owned(), DescriptorFlags::READ);
    store
        .open_at(
            lent(folder),
            PathFlags::empty(),
            path,
            OpenFlags::empty(),
            flags,
        )
        .await
}

fn is_quota<T>(outcome: FsResult<T>) -> bool {
    matches!(
        outcome.err().map(|it| it.downcast()),
        Some(Ok(ErrorCode::Quota))
    )
}

#[tokio::test]
async fn a_store_lists_no_more_folders_at_once_than_it_may() {
    let (_place, root) = root();
    let (mut store, folder) = store(&granted("one", &root));
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(list(&mut store, folder).await.ok().unwrap());
    }
    assert!(is_quota(list(&mut store, folder).await));
    HostDirectoryEntryStream::drop(&mut store, held.remove(0)).unwrap();
    assert!(list(&mut store, folder).await.is_ok());
}

#[tokio::test]
async fn a_store_has_no_more_streams_of_files_than_it_may() {
    let (_place, root) = root();
    let (mut store, folder) = store(&granted("one", &root));
    let file = open(&mut store, folder).await.ok().unwrap().rep();
    let mut held = Vec::new();
    for _ in 0..128 {
        held.push(store.read_via_stream(lent(file), 0).ok().unwrap());
    }
    assert!(is_quota(store.read_via_stream(lent(file), 0)));
    HostInputStream::drop(&mut store, held.remove(0))
        .await
        .unwrap();
    assert!(store.read_via_stream(lent(file), 0).is_ok());
}

#[tokio::test]
async fn an_entry_that_has_all_it_may_have_open_leaves_the_rest_to_others() {
    let (_place, root) = root();
    let (greedy, modest) = (granted("greedy", &root), granted("modest", &root));
    let mut stores = Vec::new();
    // Of every kind until even a new store gets nothing.
    loop {
        let (mut store, folder) = store(&greedy);
        let mut held = 0;
        while list(&mut store, folder).await.is_ok() {
            held += 1;
        }
        while open(&mut store, folder).await.is_ok() {
            held += 1;
        }
        stores.push(store);
        if held == 0 {
            break;
        }
    }
    let (mut other, folder) = store(&modest);
    assert!(list(&mut other, folder).await.is_ok());
    assert!(open(&mut other, folder).await.is_ok());
    // A store that is gone holds nothing.
    drop(stores);
    let (mut again, folder) = store(&greedy);
    assert!(list(&mut again, folder).await.is_ok());
    assert!(open(&mut again, folder).await.is_ok());
}

/// A listing at that place, whoever else waits for files.
async fn listed(place: &Place, granted: &Arc<Granted>, patience: Duration) -> bool {
    let granted = Arc::clone(granted);
    let work = async move {
        let (mut store, folder) = store(&granted);
        Ok(list(&mut store, folder).await.is_ok())
    };
    match place
        .run("p", Deadline::after(patience), Box::pin(work))
        .await
    {
        Ok(listed) => listed,
        Err(CallError::Timeout { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn files_are_waited_for_on_the_guests_threads_and_not_on_the_servers() {
    let (_place, root) = root();
    let granted = granted("one", &root);
    let guests = GuestThreads::start().unwrap();
    // A server whose threads for slow work are all held.
    let server = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    server.block_on(async {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let held = tokio::task::spawn_blocking(move || released.recv());
        let place = guests.place(Profile::Ordinary, granted.has_folders());
        assert!(listed(&place, &granted, Duration::from_secs(20)).await);
        // The control: if it began on the server's thread it would wait for one of the server's.
        let place = guests.place(Profile::Ordinary, false);
        assert!(!listed(&place, &granted, Duration::from_millis(200)).await);
        drop(release);
        held.await.unwrap().unwrap_err();
        assert!(listed(&place, &granted, Duration::from_secs(20)).await);
    });
}

#[tokio::test]
async fn a_file_that_another_store_removed_counts_while_it_is_open() {
    let (place, root) = root();
    let path: &Path = &place.path().join("spool/file");
    fs::write(path, vec![1; 40 << 10]).unwrap();
    let (one, two) = (granted("one", &root), granted("two", &root));
    let ((mut reads, folder), (mut removes, other)) = (store(&one), store(&two));
    let open = open(&mut reads, folder).await.ok().unwrap();
    let removed = removes.unlink_file_at(lent(other), "file".to_owned()).await;
    assert!(removed.is_ok() && !path.exists());
    let quota = two.preopens[0].folder.quota.clone().unwrap();
    quota.look().await.unwrap();
    let is_full = |bytes_max: u64| {
        let mut quota = quota.clone();
        quota.bytes_max = bytes_max;
        quota.try_bytes(4096).is_err()
    };
    assert!(is_full(40 << 10) && !is_full(80 << 10));
    // Its store is dropped with the handle in it.
    drop((open, reads));
    quota.look().await.unwrap();
    assert!(!is_full(40 << 10));
}
