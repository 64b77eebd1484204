//! The Unix socket that the plugin listens on, and its removal.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use palisade_protocol::env::{PluginEnv, UNIX_SOCKET_GROUP};
use palisade_protocol::handshake::SOCKET_PATH_BYTES_MAX;
use tempfile::TempDir;
use tokio::net::UnixListener;

/// Where sockets go when the temporary directory's name is too long for one.
const SHORT_DIR: &str = "/tmp";

/// A bound socket. Its file goes with it.
pub(crate) struct Listener {
    pub(crate) socket: UnixListener,
    pub(crate) file: SocketFile,
}

/// Removes the file, and the directory if it was made for it, when dropped.
pub(crate) struct SocketFile {
    path: PathBuf,
    _own_dir: Option<TempDir>,
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Binds a socket in the host's directory, or else in a private one of our own.
pub(crate) fn bind(env: &PluginEnv) -> Result<Listener, ListenError> {
    let group = env.socket_group.as_deref().map(group_id).transpose()?;
    let own_dir = match env.socket_dir {
        Some(_) => None,
        None => Some(private_dir(group)?),
    };
    let dir = env
        .socket_dir
        .as_deref()
        .or(own_dir.as_ref().map(TempDir::path))
        .expect("one of the two directories is there");
    let path = dir.join(format!("plugin{}", random_digits()?));
    check_length(&path)?;
    let socket = UnixListener::bind(&path).map_err(|fault| ListenError::at(&path, fault))?;
    let file = SocketFile {
        path,
        _own_dir: own_dir,
    };
    restrict(&file.path, group, 0o600, 0o660)?;
    Ok(Listener { socket, file })
}

fn private_dir(group: Option<u32>) -> Result<TempDir, ListenError> {
    let parent = std::env::temp_dir();
    // The names to come: a directory and a socket in it.
    let fits = parent.as_os_str().len() + "/.palisade-XXXXXX/plugin0123456789012345".len()
        <= SOCKET_PATH_BYTES_MAX;
    let parent = if fits {
        parent
    } else {
        PathBuf::from(SHORT_DIR)
    };
    let dir = tempfile::Builder::new()
        .prefix(".palisade-")
        .tempdir_in(&parent)
        .map_err(|fault| ListenError::at(&parent, fault))?;
    restrict(dir.path(), group, 0o700, 0o710)?;
    Ok(dir)
}

/// For us alone, or for the group that the host named as well.
fn restrict(path: &Path, group: Option<u32>, alone: u32, shared: u32) -> Result<(), ListenError> {
    let at = |fault| ListenError::at(path, fault);
    if group.is_some() {
        chown(path, None, group).map_err(at)?;
    }
    let mode = if group.is_some() { shared } else { alone };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(at)
}

fn random_digits() -> Result<String, ListenError> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| ListenError::Random)?;
    Ok(u64::from_le_bytes(bytes).to_string()[..]
        .chars()
        .take(16)
        .collect())
}

fn check_length(path: &Path) -> Result<(), ListenError> {
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        return Err(ListenError::TooLong {
            path: path.to_owned(),
            bytes,
        });
    }
    Ok(())
}

/// A group's number, stated as such or by its name in `/etc/group`.
fn group_id(group: &str) -> Result<u32, ListenError> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    groups
        .lines()
        .find_map(|line| named(line, group))
        .ok_or_else(|| ListenError::Group(group.to_owned()))
}

fn named(line: &str, group: &str) -> Option<u32> {
    let mut fields = line.split(':');
    if fields.next() != Some(group) {
        return None;
    }
    fields.nth(1)?.parse().ok()
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("{}: {fault}", path.display())]
    At {
        path: PathBuf,
        #[source]
        fault: io::Error,
    },
    #[error(
        "the socket's path {} has {bytes} bytes, a socket's has at most {SOCKET_PATH_BYTES_MAX}: shorten the directory",
        path.display()
    )]
    TooLong { path: PathBuf, bytes: usize },
    #[error("{UNIX_SOCKET_GROUP} names the group {0:?}, which does not exist")]
    Group(String),
    #[error("no randomness to name the socket with")]
    Random,
}

impl ListenError {
    fn at(path: &Path, fault: io::Error) -> Self {
        Self::At {
            path: path.to_owned(),
            fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_number_and_by_name() {
        assert_eq!(group_id("1234").expect("a number"), 1234);
        assert_eq!(named("staff:x:50:", "staff"), Some(50));
        assert_eq!(named("staff:x:50:", "sta"), None);
        assert!(matches!(
            group_id("no such group"),
            Err(ListenError::Group(_))
        ));
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_with_its_length() {
        let path = PathBuf::from("/".to_owned() + &"x".repeat(120));
        let fault = check_length(&path).expect_err("too long");
        assert!(fault.to_string().contains("121 bytes"));
    }
}
