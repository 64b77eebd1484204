//! Control groups: caps for a process and all its descendants together, and a way to kill them all.
//!
//! Version 2 has one tree, version 1 one for each controller, and a machine may have both. Which controller is where is
//! read once. Everything of one spawner is in one group, named for it, so that what a dead one left can be told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, Signal, getpid, kill_process};

use super::{Layer, Sandbox, at};

/// What the group of a spawner is called, before its process and the moment it began.
const PREFIX: &str = "palisade-";

/// The group that this process moves to where version 2 wants no processes beside groups.
const HOST_LEAF: &str = "palisade-host";

/// How often the server's processes are looked for again: one may start another while they are moved.
const MOVES_MAX: usize = 10;

/// What a server can do that is not alone in its group.
const ALONE: &str =
    "run it alone in a unit with `Delegate=yes`, or as the only process of its container";

/// How long processes of a killed group may take to be gone. They are the spawner's to reap, so it looks again later.
const KILL_PATIENCE: Duration = Duration::from_millis(50);

/// One of the things a group can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Controller {
    Memory,
    Pids,
    Cpu,
    /// Membership alone, and with it the kill.
    Members,
}

impl Controller {
    const LIMITS: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Members => "cgroup.kill",
        }
    }

    fn layer(self) -> Layer {
        match self {
            Self::Memory => Layer::MemoryLimit,
            Self::Pids => Layer::ProcessLimit,
            Self::Cpu => Layer::CpuWeight,
            Self::Members => Layer::GroupKill,
        }
    }
}

/// Where a controller is, and in which version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    version: Version,
    /// The group of this spawner.
    group: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The control groups that this spawner may use.
#[derive(Default)]
pub(in crate::worker) struct Cgroups {
    places: BTreeMap<Controller, Place>,
    faults: BTreeMap<Controller, String>,
    next: u64,
}

impl Cgroups {
    /// Finds the controllers and makes a group in each. What is lacking is told when it is asked for.
    pub(in crate::worker) fn open() -> Self {
        let mut cgroups = Self::default();
        let (Ok(mounts), Ok(own)) = (
            fs::read_to_string("/proc/self/mountinfo"),
            fs::read_to_string("/proc/self/cgroup"),
        ) else {
            return cgroups;
        };
        let mounts = Mounts::parse(&mounts, &own);
        for controller in Controller::LIMITS {
            match mounts.place(controller) {
                Ok(place) => drop(cgroups.places.insert(controller, place)),
                Err(fault) => drop(cgroups.faults.insert(controller, fault)),
            }
        }
        match mounts.members() {
            Ok(place) => drop(cgroups.places.insert(Controller::Members, place)),
            Err(fault) => drop(cgroups.faults.insert(Controller::Members, fault)),
        }
        cgroups
    }

    /// A group for one process, with what its sandbox asks for.
    pub(in crate::worker) fn make(&mut self, sandbox: &Sandbox) -> Result<Option<Group>, String> {
        self.next += 1;
        let mut group = Group::default();
        for controller in Controller::LIMITS.into_iter().chain([Controller::Members]) {
            if sandbox.has(controller.layer()) {
                self.join(controller, sandbox, &mut group)
                    .map_err(at(controller.layer().as_str()))?;
            }
        }
        Ok((!group.folders.is_empty()).then_some(group))
    }

    fn join(
        &self,
        controller: Controller,
        sandbox: &Sandbox,
        group: &mut Group,
    ) -> Result<(), String> {
        let Some(place) = self.places.get(&controller) else {
            let fault = self.faults.get(&controller).cloned();
            return Err(
                fault.unwrap_or_else(|| "this machine has no such control group".to_owned())
            );
        };
        let folder = place.group.join(self.next.to_string());
        make_folder(&folder).map_err(|fault| format!("{}: {fault}", folder.display()))?;
        group.folders.insert(folder.clone());
        if place.version == Version::Two {
            group.home = Some(folder.clone());
        }
        for (file, value) in settings(controller, place.version, sandbox) {
            set(&folder, file, &value)?;
        }
        Ok(())
    }

    /// Removes the groups of this spawner. Nothing is left in them.
    pub(in crate::worker) fn close(&self) {
        for place in self.places.values() {
            let _ = fs::remove_dir(&place.group);
        }
    }
}

/// The files of a controller and what they are to say. A swapped page is memory as well.
fn settings(
    controller: Controller,
    version: Version,
    sandbox: &Sandbox,
) -> Vec<(&'static str, String)> {
    let memory = sandbox.memory_bytes.to_string();
    match (controller, version) {
        (Controller::Memory, Version::One) => vec![
            ("memory.limit_in_bytes", memory.clone()),
            ("?memory.memsw.limit_in_bytes", memory),
        ],
        (Controller::Memory, Version::Two) => vec![
            ("memory.max", memory),
            ("?memory.swap.max", "0".to_owned()),
            ("?memory.oom.group", "1".to_owned()),
        ],
        (Controller::Pids, _) => vec![("pids.max", sandbox.processes.to_string())],
        (Controller::Cpu, Version::One) => {
            // 1024 is everybody's share there.
            let shares = u64::from(sandbox.cpu_weight) * 1024 / 100;
            vec![("cpu.shares", shares.max(2).to_string())]
        }
        (Controller::Cpu, Version::Two) => vec![("cpu.weight", sandbox.cpu_weight.to_string())],
        (Controller::Members, _) => Vec::new(),
    }
}

/// Writes a setting; one with a question mark where there is such a file.
fn set(folder: &Path, file: &str, value: &str) -> Result<(), String> {
    let (file, optional) = match file.strip_prefix('?') {
        Some(file) => (file, true),
        None => (file, false),
    };
    let path = folder.join(file);
    if optional && !path.exists() {
        return Ok(());
    }
    fs::write(&path, value).map_err(|fault| format!("{file} = {value}: {fault}"))
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

/// The control groups of one process. They stay until nothing is left in them.
#[derive(Default)]
pub(in crate::worker) struct Group {
    folders: BTreeSet<PathBuf>,
    /// The one of version 2, into which a process can be born.
    home: Option<PathBuf>,
}

impl Group {
    /// The folder of version 2, opened to be born into.
    pub(in crate::worker) fn home(&self) -> Option<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, self.home.as_ref()?, flags, Mode::empty()).ok()
    }

    /// Moves the calling process in, which has one thread, and with it everything it will ever start; it may be at home
    /// already.
    pub(in crate::worker) fn enter(&self, is_at_home: bool) -> Result<(), String> {
        let done = self.home.as_ref().filter(|_| is_at_home);
        for folder in self.folders.iter().filter(|folder| Some(*folder) != done) {
            let file = way_in(folder);
            // Zero is whoever writes.
            fs::write(&file, "0").map_err(|fault| format!("{}: {fault}", file.display()))?;
        }
        Ok(())
    }

    /// Whether the kernel killed a process in here for want of memory.
    pub(in crate::worker) fn ran_out_of_memory(&self) -> bool {
        self.folders.iter().any(|folder| {
            ["memory.events", "memory.oom_control"]
                .iter()
                .filter_map(|file| fs::read_to_string(folder.join(file)).ok())
                .any(|text| counts_a_kill(&text))
        })
    }

    /// Kills everything in here.
    pub(in crate::worker) fn kill(&self) {
        let at_once = |folder: &PathBuf| fs::write(folder.join("cgroup.kill"), "1").is_ok();
        if !self.folders.iter().any(at_once) {
            self.kill_one_by_one();
        }
    }

    /// For kernels without a kill for groups: until nobody is left, since a process may start another meanwhile.
    fn kill_one_by_one(&self) {
        let until = Instant::now() + KILL_PATIENCE;
        let Some(folder) = self.folders.iter().next() else {
            return;
        };
        loop {
            let members = members(folder).unwrap_or_default();
            for pid in members.iter().flatten() {
                let _ = kill_process(*pid, Signal::KILL);
            }
            if members.is_empty() || Instant::now() > until {
                return;
            }
        }
    }

    /// Removes it; false when something is still in it, and it has to be tried again.
    pub(in crate::worker) fn remove(&self) -> bool {
        let gone = |folder: &PathBuf| match fs::remove_dir(folder) {
            Ok(()) => true,
            Err(fault) => fault.kind() == io::ErrorKind::NotFound,
        };
        // Every one is tried.
        self.folders.iter().filter(|folder| !gone(folder)).count() == 0
    }
}

/// The file of a group to which its new members are written. Version 1 moves single threads too: one that moves itself waits
/// for nobody, where a process waits for all processors (`cgroup_procs_write_start` in Linux), some ten milliseconds.
fn way_in(folder: &Path) -> PathBuf {
    let thread = folder.join("tasks");
    match thread.exists() {
        true => thread,
        false => folder.join("cgroup.procs"),
    }
}

/// The line `oom_kill N` of version 2's events and of version 1's control file.
fn counts_a_kill(text: &str) -> bool {
    text.lines()
        .filter_map(|line| line.strip_prefix("oom_kill "))
        .any(|count| count.trim() != "0")
}

/// The processes in a group; none for one that is outside of this process namespace, and has no number here.
fn members(folder: &Path) -> io::Result<Vec<Option<Pid>>> {
    let text = fs::read_to_string(folder.join("cgroup.procs"))?;
    let numbers = text.lines().map(|line| line.parse().unwrap_or_default());
    Ok(numbers.map(Pid::from_raw).collect())
}

/// The control group file systems of this machine, and where this process is in each.
struct Mounts {
    /// By controller; version 2 stands under the empty name.
    folders: BTreeMap<String, PathBuf>,
}

impl Mounts {
    /// From `/proc/self/mountinfo` and `/proc/self/cgroup`.
    fn parse(mounts: &str, own: &str) -> Self {
        let own: BTreeMap<&str, &str> = own
            .lines()
            .filter_map(|line| line.split_once(':')?.1.split_once(':'))
            .collect();
        let mut folders = BTreeMap::new();
        for mount in mounts.lines().filter_map(Mount::parse) {
            for (controllers, path) in &own {
                if mount.is_of(controllers) {
                    let folder = mount.folder(path);
                    for name in controllers.split(',') {
                        folders.entry(name.to_owned()).or_insert(folder.clone());
                    }
                }
            }
        }
        Self { folders }
    }

    /// The group of this spawner, where the controller is.
    fn place(&self, controller: Controller) -> Result<Place, String> {
        let name = controller.name();
        let (version, parent) = match (self.folders.get(name), self.folders.get("")) {
            (Some(folder), _) => (Version::One, folder.as_path()),
            (None, Some(folder)) => {
                let parent = beside_the_server(folder);
                delegate(parent, name)?;
                (Version::Two, parent)
            }
            (None, None) => return Err("no control groups are mounted".to_owned()),
        };
        Place::make(version, parent)
    }

    /// Version 2 without any controller still knows who belongs together.
    fn members(&self) -> Result<Place, String> {
        let group = self.folders.get("");
        let group = group.ok_or("no control groups of version 2 are mounted")?;
        let place = Place::make(Version::Two, beside_the_server(group))?;
        match place.group.join("cgroup.kill").exists() {
            true => Ok(place),
            false => Err("this kernel does not kill groups; Linux 5.14 does".to_owned()),
        }
    }
}

impl Place {
    fn make(version: Version, parent: &Path) -> Result<Self, String> {
        let group = parent.join(own_name());
        let fault = |fault: io::Error| format!("{} cannot be made: {fault}", group.display());
        if !group.exists() {
            sweep(parent);
        }
        make_folder(&group).map_err(fault)?;
        if version == Version::Two {
            refuse_invalid(&group)?;
            // Each where the parent has it; what is lacking is found when a file is missing.
            for controller in Controller::LIMITS {
                let _ = hand_down(&group, controller.name());
            }
        }
        Ok(Self { version, group })
    }
}

/// A group that takes no processes is of no use: somebody had controllers handed down among the processes of its parent.
fn refuse_invalid(group: &Path) -> Result<(), String> {
    let kind = fs::read_to_string(group.join("cgroup.type")).unwrap_or_default();
    if kind.trim() != "domain invalid" {
        return Ok(());
    }
    let _ = fs::remove_dir(group);
    Err(format!(
        "{} would take no processes: controllers were handed down to it among others; {ALONE}",
        group.display()
    ))
}

/// Where the groups of plugins are, if the server is in that group: beside its own, once it has made room.
fn beside_the_server(group: &Path) -> &Path {
    match (group.ends_with(HOST_LEAF), group.parent()) {
        (true, Some(parent)) => parent,
        _ => group,
    }
}

/// Has version 2 hand a controller down to the groups beneath `parent`.
fn delegate(parent: &Path, controller: &str) -> Result<(), String> {
    let has = |file: &str| {
        let text = fs::read_to_string(parent.join(file)).unwrap_or_default();
        text.split_whitespace().any(|word| word == controller)
    };
    if !has("cgroup.controllers") {
        return Err(format!(
            "{} has no {controller} controller; delegate it, in systemd with `Delegate=yes`",
            parent.display()
        ));
    }
    if has("cgroup.subtree_control") {
        return Ok(());
    }
    make_room(parent, is_ours)?;
    hand_down(parent, controller).map_err(|fault| format!("{}: {fault}", parent.display()))
}

fn hand_down(group: &Path, controller: &str) -> io::Result<()> {
    fs::write(
        group.join("cgroup.subtree_control"),
        format!("+{controller}"),
    )
}

/// Moves the server, and what it started, into a group beneath their own, since processes and groups with limits do not stand
/// side by side. Other processes are not touched. Among them nothing is handed down at all, not even what the kernel would
/// take there (`pids` and `cpu`): it would let no process into the new groups.
fn make_room(parent: &Path, is_ours: impl Fn(Pid) -> bool) -> Result<(), String> {
    if is_root(parent) {
        return Ok(());
    }
    let fault = |fault: io::Error| format!("{}: {fault}; {ALONE}", parent.display());
    for _ in 0..MOVES_MAX {
        let members = members(parent).map_err(fault)?;
        if members.is_empty() {
            return Ok(());
        }
        move_to_leaf(parent, &members, &is_ours)?;
    }
    Err(format!(
        "{}: processes are started in it faster than they can be moved",
        parent.display()
    ))
}

fn move_to_leaf(
    parent: &Path,
    members: &[Option<Pid>],
    is_ours: impl Fn(Pid) -> bool,
) -> Result<(), String> {
    if let Some(stranger) = members.iter().find(|pid| !pid.is_some_and(&is_ours)) {
        let stranger = stranger.map_or(0, Pid::as_raw_pid);
        return Err(format!(
            "{} has processes besides the server, such as {stranger}; {ALONE}",
            parent.display()
        ));
    }
    let leaf = parent.join(HOST_LEAF);
    let fault = |fault: io::Error| format!("{}: {fault}; {ALONE}", leaf.display());
    make_folder(&leaf).map_err(fault)?;
    for pid in members.iter().flatten() {
        let moved = fs::write(leaf.join("cgroup.procs"), pid.as_raw_pid().to_string());
        match moved {
            // It ended meanwhile.
            Err(gone) if gone.raw_os_error() == Some(libc::ESRCH) => {}
            moved => moved.map_err(fault)?,
        }
    }
    Ok(())
}

/// The root of version 2 may have processes beside its groups. It alone has no type.
fn is_root(group: &Path) -> bool {
    !group.join("cgroup.type").exists()
}

/// The server, this spawner, or something else that the server started.
fn is_ours(pid: Pid) -> bool {
    let server = rustix::process::getppid();
    Some(pid) == server || pid == getpid() || parent_of(pid).is_some_and(|it| Some(it) == server)
}

fn parent_of(pid: Pid) -> Option<Pid> {
    Pid::from_raw(stat(pid.as_raw_pid(), 4)?.parse().ok()?)
}

/// Ends what spawners that are dead have left beneath `parent`.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name != HOST_LEAF && !is_alive(&name) {
            remove_left(&entry.path());
        }
    }
}

fn remove_left(group: &Path) {
    let children = fs::read_dir(group).into_iter().flatten().flatten();
    for child in children.filter(|child| child.path().is_dir()) {
        let left = Group {
            folders: [child.path()].into(),
            home: None,
        };
        left.kill();
        let until = Instant::now() + KILL_PATIENCE;
        while !left.remove() && Instant::now() < until {
            std::thread::yield_now();
        }
    }
    let _ = fs::remove_dir(group);
}

/// `palisade-PID-START`, of which the second tells a process from a later one of the same number.
pub(super) fn own_name() -> String {
    let pid = getpid().as_raw_pid();
    format!("{PREFIX}{pid}-{}", start_of(pid).unwrap_or_default())
}

fn is_alive(name: &str) -> bool {
    let parts = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'));
    let Some((pid, start)) = parts else {
        return true; // not one of ours
    };
    let began = pid.parse().ok().and_then(start_of);
    began.is_some_and(|began| began.to_string() == start)
}

/// When a process began, in ticks since the machine did.
fn start_of(pid: i32) -> Option<u64> {
    stat(pid, 22)?.parse().ok()
}

/// A field of a process's `stat`, by its number in proc(5); those after its name only, which may have spaces.
fn stat(pid: i32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut after_name = stat.rsplit_once(')')?.1.split_whitespace();
    after_name.nth(number - 3).map(str::to_owned)
}

/// One line of `mountinfo`.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        kind.starts_with("cgroup").then_some(Self {
            root,
            point,
            kind,
            options,
        })
    }

    /// Whether it is the file system of these controllers, as a line of `/proc/self/cgroup` names them.
    fn is_of(&self, controllers: &str) -> bool {
        match controllers {
            "" => self.kind == "cgroup2",
            names => {
                let first = names.split(',').next();
                self.kind == "cgroup" && self.options.split(',').any(|option| Some(option) == first)
            }
        }
    }

    /// Where a group of that path is. Inside a container the path may start with what the mount hides.
    fn folder(&self, path: &str) -> PathBuf {
        let beneath = path.strip_prefix(self.root).unwrap_or(path);
        match beneath.trim_start_matches('/') {
            "" => PathBuf::from(self.point),
            beneath => Path::new(self.point).join(beneath),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
24 1 0:21 / /proc rw - proc proc rw
30 25 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
31 25 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 25 0:28 /docker/x /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
";
    const HYBRID_OWN: &str = "4:memory:/jobs/a\n3:cpu,cpuacct:/docker/x/y\n0::/\n";

    #[test]
    fn controllers_are_found_in_either_version() {
        let mounts = Mounts::parse(HYBRID, HYBRID_OWN);
        let folder = |name: &str| {
            mounts
                .folders
                .get(name)
                .map(|path| path.display().to_string())
        };
        assert_eq!(
            folder("memory").as_deref(),
            Some("/sys/fs/cgroup/memory/jobs/a")
        );
        assert_eq!(
            folder("cpu").as_deref(),
            Some("/sys/fs/cgroup/cpu,cpuacct/y")
        );
        assert_eq!(folder("").as_deref(), Some("/sys/fs/cgroup/unified"));
        assert_eq!(folder("pids"), None);
    }

    #[test]
    fn a_unified_tree_without_the_controller_says_what_to_do() {
        let tree = tempfile::tempdir().expect("a folder can be made");
        fs::write(tree.path().join("cgroup.controllers"), "cpu pids\n").expect("it is ours");
        fs::write(tree.path().join("cgroup.subtree_control"), "pids\n").expect("it is ours");
        let fault = delegate(tree.path(), "memory").expect_err("there is no such controller");
        assert!(fault.contains("Delegate=yes"), "{fault}");
        assert_eq!(delegate(tree.path(), "pids"), Ok(()));
        assert_eq!(delegate(tree.path(), "cpu"), Ok(()));
        let handed = fs::read_to_string(tree.path().join("cgroup.subtree_control"));
        assert_eq!(handed.expect("it is ours"), "+cpu");
    }

    #[test]
    fn nothing_is_handed_down_among_processes_of_others() {
        let tree = tempfile::tempdir().expect("a folder can be made");
        let put = |file: &str, text: &str| fs::write(tree.path().join(file), text);
        put("cgroup.controllers", "cpu memory pids\n").expect("it is ours");
        put("cgroup.subtree_control", "").expect("it is ours");
        put("cgroup.type", "domain\n").expect("it is ours");
        // The last has no number here.
        for strangers in ["1\n", "7\n1\n", "0\n"] {
            put("cgroup.procs", strangers).expect("it is ours");
            let fault = make_room(tree.path(), |pid| pid.as_raw_pid() == 7);
            let fault = fault.expect_err("7 alone is ours");
            assert!(fault.contains("besides the server"), "{fault}");
        }
        put("cgroup.procs", "0\n").expect("it is ours");
        for controller in Controller::LIMITS {
            delegate(tree.path(), controller.name()).expect_err("0 is a stranger");
        }
        let handed = fs::read_to_string(tree.path().join("cgroup.subtree_control"));
        assert_eq!(handed.expect("it is ours"), "");
        // The control: in the root, which has no type, processes are nobody's concern.
        fs::remove_file(tree.path().join("cgroup.type")).expect("it is ours");
        assert_eq!(delegate(tree.path(), "memory"), Ok(()));
    }

    #[test]
    fn a_server_that_made_room_finds_its_groups_beside_it() {
        let unit = Path::new("/sys/fs/cgroup/unit");
        assert_eq!(beside_the_server(unit), unit);
        assert_eq!(beside_the_server(&unit.join(HOST_LEAF)), unit);
    }

    #[test]
    fn only_the_groups_of_the_dead_are_swept() {
        assert!(is_alive(&own_name()));
        assert!(is_alive("palisade-host"));
        let pid = getpid().as_raw_pid();
        assert!(!is_alive(&format!("palisade-{pid}-1")));
    }

    #[test]
    fn a_kill_for_want_of_memory_is_counted_in_both_versions() {
        assert!(counts_a_kill("low 0\noom 1\noom_kill 1\n"));
        assert!(counts_a_kill(
            "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
        ));
        assert!(!counts_a_kill(
            "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"
        ));
    }
}
