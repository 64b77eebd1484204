//! What a plugin tries against the machine around it. The same deeds are done by the test itself, outside of every wall,
//! where they have to succeed: a deed that fails anywhere proves nothing.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open, test_kill_process,
};
use serde::{Deserialize, Serialize};

/// What there is to attack.
#[derive(Serialize, Deserialize)]
pub(crate) struct Victim {
    /// A process of the same user, with a descriptor that is worth having.
    pub(crate) process: i32,
    /// One of its descriptors.
    pub(crate) descriptor: i32,
    /// A file that only the server should read.
    pub(crate) file: PathBuf,
    /// A folder that only the server should write to.
    pub(crate) folder: PathBuf,
    /// Where a service listens on the machine.
    pub(crate) address: std::net::SocketAddr,
    /// The name of an abstract socket.
    pub(crate) abstract_name: String,
    /// A socket in the file system.
    pub(crate) socket: PathBuf,
}

/// Whether it can be done.
type Deed = fn(&Victim) -> bool;

/// The names of the deeds that can be done, in the order of trying.
pub(crate) fn successes(victim: &Victim) -> Vec<String> {
    let deeds: [(&str, Deed); 12] = [
        ("read a file", |victim| File::open(&victim.file).is_ok()),
        ("read the passwords of the machine", |_| {
            File::open("/etc/shadow").is_ok()
        }),
        ("write a file", writes_a_file),
        ("signal a process", |victim| {
            test_kill_process(pid(victim)).is_ok()
        }),
        ("read the memory of a process", |victim| {
            reads(victim, "mem")
        }),
        ("read the environment of a process", |victim| {
            reads(victim, "environ")
        }),
        ("list the descriptors of a process", |victim| {
            std::fs::read_dir(format!("/proc/{}/fd", victim.process)).is_ok()
        }),
        ("take a descriptor of a process", takes_a_descriptor),
        ("connect by TCP", |victim| {
            TcpStream::connect(victim.address).is_ok()
        }),
        ("send by UDP", sends_by_udp),
        ("connect to an abstract socket", connects_to_abstract),
        ("connect to a socket", |victim| {
            UnixStream::connect(&victim.socket).is_ok()
        }),
    ];
    let done = deeds.iter().filter(|(_, deed)| deed(victim));
    done.map(|(name, _)| (*name).to_owned()).collect()
}

/// How many of them there are.
pub(crate) const DEEDS: usize = 12;

fn pid(victim: &Victim) -> Pid {
    Pid::from_raw(victim.process).expect("it is the number of a process")
}

fn writes_a_file(victim: &Victim) -> bool {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(victim.folder.join("planted"));
    file.and_then(|mut file| file.write_all(b"x")).is_ok()
}

fn reads(victim: &Victim, what: &str) -> bool {
    let file = File::open(format!("/proc/{}/{what}", victim.process));
    match what {
        // Its first page is nobody's: that it could be opened is enough.
        "mem" => file.is_ok(),
        _ => file.is_ok_and(|mut file| file.read(&mut [0; 16]).is_ok()),
    }
}

fn takes_a_descriptor(victim: &Victim) -> bool {
    let process = pidfd_open(pid(victim), PidfdFlags::empty());
    process.is_ok_and(|process| {
        pidfd_getfd(process, victim.descriptor, PidfdGetfdFlags::empty()).is_ok()
    })
}

fn sends_by_udp(victim: &Victim) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0");
    socket.is_ok_and(|socket| socket.send_to(b"x", victim.address).is_ok())
}

fn connects_to_abstract(victim: &Victim) -> bool {
    let address = SocketAddr::from_abstract_name(&victim.abstract_name);
    address.is_ok_and(|address| UnixStream::connect_addr(&address).is_ok())
}

/// The lines of a thread's status that tell what it may do.
pub(crate) fn privileges() -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").expect("it is there");
    let names = [
        "CapEff:",
        "CapPrm:",
        "CapBnd:",
        "CapAmb:",
        "NoNewPrivs:",
        "Seccomp:",
        "Groups:",
    ];
    let mut lines: Vec<_> = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok())
        .flat_map(|status| status.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| names.iter().any(|name| line.starts_with(name)))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// Writes a file until no more is taken, at most 32 MiB; how many bytes it has then.
pub(crate) fn largest_file(path: &Path) -> u64 {
    let mut file = File::create(path).expect("the folder is its own");
    let mebibyte = vec![1; 1 << 20];
    for _ in 0..32 {
        if file.write_all(&mebibyte).is_err() {
            break;
        }
    }
    let bytes = file.metadata().expect("it is open").len();
    drop(file);
    std::fs::remove_file(path).expect("the folder is its own");
    bytes
}

/// Opens descriptors until no more can be had; how many there were.
pub(crate) fn descriptors(most: usize) -> usize {
    let opened = (0..most).map_while(|_| File::open("/dev/null").ok());
    opened.collect::<Vec<_>>().len()
}

/// The same for sockets, which come in pairs.
pub(crate) fn sockets(most: usize) -> usize {
    let opened = (0..most / 2).map_while(|_| UnixStream::pair().ok());
    2 * opened.collect::<Vec<_>>().len()
}

/// Starts threads until no more can be had; how many there were.
pub(crate) fn multiply(most: usize) -> usize {
    let threads = (0..most).map_while(|_| {
        std::thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(|| std::thread::sleep(std::time::Duration::from_millis(500)))
            .ok()
    });
    let threads: Vec<_> = threads.collect();
    let started = threads.len();
    for thread in threads {
        let _ = thread.join();
    }
    started
}
