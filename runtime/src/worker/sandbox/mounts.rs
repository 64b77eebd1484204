//! A file system of its own: libraries and a few devices to read, its folder and a small `/tmp` to write, its own
//! processes in `/proc`, and nothing else of the machine.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags, openat, statvfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::paths::{DEVICES, ITSELF, LIBRARIES, readable};
use super::{Layer, Sandbox};

/// What the plugin can write besides its folder, and what the root holds, in bytes.
const TEMPORARY_BYTES: u64 = 16 << 20;
const ROOT_BYTES: u64 = 1 << 20;

/// Nothing in it is a device, and nothing in it gives privileges.
const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Makes it and moves into it. The process was born into a mount namespace, so nobody else sees any of this.
pub(super) fn enter(
    sandbox: &Sandbox,
    folder: Option<&str>,
    image: Option<&OwnedFd>,
) -> io::Result<()> {
    // Something has to be covered by the new root: what stands there is out of reach afterwards anyway.
    let place = folder.unwrap_or("/tmp");
    let own = folder.map(open_folder).transpose()?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    let root = Root::make(place, image.filter(|_| sandbox.as_file))?;
    root.add_machine_files(sandbox)?;
    if sandbox.has(Layer::ProcessNamespace) {
        root.add_processes();
    }
    root.add_temporary()?;
    if let (Some(folder), Some(own)) = (folder, own) {
        root.add_folder(folder, &own)?;
    }
    root.move_in()
}

fn open_folder(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// The new root, under construction.
struct Root(PathBuf);

impl Root {
    fn make(place: &str, image: Option<&OwnedFd>) -> io::Result<Self> {
        let image_bytes = match image {
            Some(image) => u64::try_from(rustix::fs::fstat(image)?.st_size).unwrap_or(0),
            None => 0,
        };
        mount_memory(place, PLAIN, ROOT_BYTES + image_bytes, 0o755)?;
        let root = Self(PathBuf::from(place));
        if let Some(image) = image {
            root.add_image(image)?;
        }
        Ok(root)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// The very bytes that are to run, as a file that nobody can write: the root is read-only once it is the root.
    fn add_image(&self, image: &OwnedFd) -> io::Result<()> {
        let mut source = File::open(format!("/proc/self/fd/{}", image.as_raw_fd()))?;
        let mut copy = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o555)
            .open(self.at(&ITSELF.to_string_lossy()))?;
        io::copy(&mut source, &mut copy)?;
        Ok(())
    }

    fn add_machine_files(&self, sandbox: &Sandbox) -> io::Result<()> {
        for path in LIBRARIES.iter().copied().chain(readable(sandbox.network)) {
            self.add_read_only(path)?;
        }
        for path in DEVICES {
            let target = self.at(path);
            make_file(&target)?;
            mount_bind_recursive(*path, &target)?;
        }
        Ok(())
    }

    /// As the machine has it: a link stays a link where it leads to what is here, and is followed otherwise.
    fn add_read_only(&self, path: &str) -> io::Result<()> {
        let target = self.at(path);
        if let Ok(link) = fs::read_link(path)
            && LIBRARIES.contains(&path)
        {
            return symlink(link, target);
        }
        let Ok(source) = fs::canonicalize(path) else {
            return Ok(()); // this machine does not have it
        };
        match source.is_dir() {
            true => fs::create_dir_all(&target)?,
            false => make_file(&target)?,
        }
        mount_bind_recursive(&source, &target)?;
        restrict(&target, PLAIN | MountFlags::RDONLY)
    }

    /// Where the kernel does not permit it, as in some containers, there is no `/proc` at all.
    fn add_processes(&self) {
        let target = self.at("/proc");
        if fs::create_dir(&target).is_ok() {
            let _ = mount("proc", &target, "proc", PLAIN | MountFlags::NOEXEC, None);
        }
    }

    fn add_temporary(&self) -> io::Result<()> {
        let target = self.at("/tmp");
        fs::create_dir_all(&target)?;
        mount_memory(&target, PLAIN | MountFlags::NOEXEC, TEMPORARY_BYTES, 0o1777)
    }

    /// Under the same name as outside, because both ends name the sockets in it.
    fn add_folder(&self, path: &str, own: &OwnedFd) -> io::Result<()> {
        let target = self.at(path);
        fs::create_dir_all(&target)?;
        // Not with what is mounted in it: that is the new root, where the folder covers the old one.
        mount_bind(format!("/proc/self/fd/{}", own.as_raw_fd()), &target)?;
        restrict(&target, PLAIN | MountFlags::NOEXEC)
    }

    fn move_in(&self) -> io::Result<()> {
        chdir(&self.0)?;
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        chdir("/")?;
        restrict(Path::new("/"), PLAIN | MountFlags::RDONLY)
    }
}

/// A file system in memory, which counts as the process's own.
fn mount_memory(
    target: impl AsRef<Path>,
    flags: MountFlags,
    bytes: u64,
    mode: u32,
) -> io::Result<()> {
    let options = std::ffi::CString::new(format!("mode={mode:o},size={bytes},nr_inodes=4096"))?;
    mount("tmpfs", target.as_ref(), "tmpfs", flags, options.as_c_str())?;
    // The mode is what the mask left of it.
    fs::set_permissions(target, Permissions::from_mode(mode))
}

fn make_file(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create(path).map(drop)
}

/// Adds restrictions to a mount. Those that it has already have to be repeated: in a user namespace they are locked.
fn restrict(target: &Path, flags: MountFlags) -> io::Result<()> {
    let had = statvfs(target)?.f_flag;
    let locked = [
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let kept = locked
        .iter()
        .filter(|(flag, _)| had.contains(*flag))
        .fold(MountFlags::BIND, |kept, (_, flag)| kept | *flag);
    Ok(mount_remount(target, kept | flags, "")?)
}
