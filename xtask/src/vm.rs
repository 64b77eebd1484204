//! Runs the suites of the native mode in a virtual machine with a distribution's kernel: there control groups are of version 2
//! with all their controllers, and Landlock is older, which the machine at hand may not have. Not a part of what CI runs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::shell::{cargo, program_at_root, root, say, step, succeeds, target};
use crate::{bench, guests};

/// What Debian calls all that is needed.
const PACKAGES: &str = "qemu-system-x86 linux-image-cloud-amd64 busybox-static e2fsprogs";

/// Not in the path of an ordinary user.
const MKE2FS: &str = "/sbin/mke2fs";

/// A suite of tests.
struct Suite {
    name: &'static str,
    /// The package that it is run in.
    package: &'static str,
    /// Words for it, which leave out what takes too long where processors are slow.
    words: &'static str,
}

const SUITES: [Suite; 3] = [
    Suite {
        name: "native",
        package: "runtime",
        words: "",
    },
    Suite {
        name: "workers",
        package: "runtime",
        words: "--skip attacker --skip who_trusts",
    },
    Suite {
        name: "interop",
        package: "tests",
        words: "family::",
    },
];

/// What the machine's first process runs.
const INIT: &str = include_str!("vm/init.sh");

/// Where the system mounts and keeps things.
const FOLDERS: [&str; 9] = [
    "proc", "sys", "dev", "tmp", "run", "root", "etc", "bin", "usr/bin",
];

/// The superuser, and an ordinary one.
const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nplain:x:1000:1000:plain:/tmp:/bin/sh\n";

/// The peers in Go are built already, outside.
const GO: &str = "#!/bin/sh\necho \"go as it was outside\"\n";

/// How a processor is had where there is no other virtualisation; words of the command line take its place.
const PROCESSOR: [&str; 4] = ["-accel", "tcg,thread=multi", "-cpu", "max"];

/// Builds the suites, makes the machine, and runs them in it.
///
/// # Errors
///
/// When something is not installed, or a suite fails.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    check_tools()?;
    let kernel = Kernel::newest()?;
    let suites = build()?;
    let image = make_image(&suites)?;
    boot(&kernel, &image, words)
}

fn check_tools() -> Result<()> {
    for (program, word) in [
        ("qemu-system-x86_64", "--version"),
        (MKE2FS, "-V"),
        ("busybox", "true"),
    ] {
        let found = succeeds(program_at_root(program, &[word]));
        ensure!(found, "{program} is not installed; {}", remedy());
    }
    ensure!(
        succeeds(program_at_root("go", &["version"])),
        "Go is not installed, and the peers are built with it"
    );
    Ok(())
}

fn remedy() -> String {
    format!("`apt-get install --no-install-recommends {PACKAGES}` has it")
}

/// A kernel, and what it starts with.
struct Kernel {
    kernel: PathBuf,
    initrd: PathBuf,
}

impl Kernel {
    fn newest() -> Result<Self> {
        let entries = fs::read_dir("/boot")?.flatten();
        let kernels = entries.filter_map(|entry| Self::of(&entry.path()));
        let newest = kernels.max_by_key(Self::version);
        newest.with_context(|| format!("there is no kernel in /boot; {}", remedy()))
    }

    /// One that has what it starts with.
    fn of(kernel: &Path) -> Option<Self> {
        let version = kernel.file_name()?.to_str()?.strip_prefix("vmlinuz-")?;
        let initrd = kernel.with_file_name(format!("initrd.img-{version}"));
        let kernel = kernel.to_owned();
        initrd.exists().then_some(Self { kernel, initrd })
    }

    /// The numbers in its name.
    fn version(&self) -> Vec<u32> {
        let name = self.kernel.to_string_lossy();
        let parts = name.split(|digit: char| !digit.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).collect()
    }
}

/// Builds the guests, all tests, so that nothing is compiled with other features, and the peers in Go; where the suites are.
fn build() -> Result<Vec<Built>> {
    guests::build()?;
    let built = list_tests()?;
    let mut peers = cargo(&["test", "--locked", "--workspace", "--test", "interop"]);
    peers.args(["--", "no-test-has-this-name"]);
    step("build the peers in Go", peers)?;
    let executables = built.lines().filter_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        Some(PathBuf::from(rest.split_once('"')?.0))
    });
    let executables: Vec<_> = executables.collect();
    SUITES
        .iter()
        .map(|suite| suite.among(&executables))
        .collect()
}

/// Builds all tests; what cargo says of them in JSON.
fn list_tests() -> Result<String> {
    say("build the tests");
    let mut build = cargo(&["test", "--locked", "--workspace", "--no-run"]);
    build.args(["--message-format", "json-render-diagnostics"]);
    let said = build.stderr(Stdio::inherit()).output()?;
    ensure!(said.status.success(), "the tests do not build");
    Ok(String::from_utf8(said.stdout)?)
}

/// A suite that was built.
struct Built {
    executable: PathBuf,
    suite: &'static Suite,
}

impl Suite {
    fn among(&'static self, executables: &[PathBuf]) -> Result<Built> {
        let is_it = |path: &&PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.and_then(|name| name.rsplit_once('-'))
                .is_some_and(|(name, _)| name == self.name)
        };
        let executable = executables.iter().find(is_it);
        let executable = executable.with_context(|| format!("{} was not built", self.name))?;
        Ok(Built {
            executable: executable.clone(),
            suite: self,
        })
    }
}

impl Built {
    /// What the script reads of it.
    fn line(&self) -> String {
        let name = self.executable.file_name().unwrap_or_default();
        let Suite { package, words, .. } = self.suite;
        format!("{} {package} {words}\n", name.display())
    }
}

/// A file system with the suites, what they start, and what all of them are linked with, each where it is here.
fn make_image(suites: &[Built]) -> Result<PathBuf> {
    let home = target().join("vm");
    let tree = Tree::empty(home.join("root"))?;
    take_system(&tree)?;
    take_suites(&tree, suites)?;
    let image = home.join("image");
    let mut make = program_at_root(MKE2FS, &["-q", "-F", "-t", "ext4"]);
    make.args(["-E", "root_owner=0:0", "-d"]);
    make.arg(&tree.0).arg(&image).arg("3G");
    step("make the machine's file system", make)?;
    Ok(image)
}

/// What any system has.
fn take_system(tree: &Tree) -> Result<()> {
    for folder in FOLDERS {
        fs::create_dir_all(tree.0.join(folder))?;
    }
    tree.take(&which("busybox")?, Path::new("/bin/busybox"))?;
    let shell = fs::canonicalize("/bin/sh")?;
    tree.take_linked(&shell)?;
    symlink(&shell, tree.at("/bin/sh"))?;
    for (path, text, mode) in [
        ("/usr/bin/go", GO, 0o755),
        ("/etc/shadow", "root:*:1::::::\nplain:*:1::::::\n", 0o600),
        ("/etc/passwd", USERS, 0o644),
        ("/etc/group", "root:x:0:\nplain:x:1000:\n", 0o644),
        ("/init", &init()?, 0o755),
    ] {
        tree.write(Path::new(path), text, mode)?;
    }
    Ok(())
}

/// The suites, and what they start and read.
fn take_suites(tree: &Tree, suites: &[Built]) -> Result<()> {
    let debug = target().join("debug");
    for program in ["palisade", "kv", "mock", "hostile", "passcode"] {
        tree.take_linked(&debug.join(program))?;
    }
    for suite in suites {
        tree.take_linked(&suite.executable)?;
    }
    for folder in [
        bench::peers(),
        target().join("wasm32-wasip2/component"),
        root().join("tests"),
        root().join("runtime"),
    ] {
        tree.take_folder(&folder)?;
    }
    let lines: String = suites.iter().map(Built::line).collect();
    tree.write(Path::new("/suites"), &lines, 0o644)
}

/// The script, with where everything is.
fn init() -> Result<String> {
    let (first, rest) = INIT.split_once('\n').context("it has lines")?;
    Ok(format!(
        "{first}\nDEBUG='{}' PACKAGES='{}'\n{rest}",
        target().join("debug").display(),
        root().display(),
    ))
}

fn boot(kernel: &Kernel, image: &Path, words: &[&str]) -> Result<()> {
    say("run the suites in the machine (some five minutes without hardware for it)");
    let mut qemu = Command::new("qemu-system-x86_64");
    match words.is_empty() {
        true => qemu.args(PROCESSOR),
        false => qemu.args(words),
    };
    qemu.args(["-smp", "2", "-m", "6G", "-nographic", "-no-reboot"])
        .arg("-kernel")
        .arg(&kernel.kernel)
        .arg("-initrd")
        .arg(&kernel.initrd)
        .args([
            "-append",
            "console=ttyS0 root=/dev/vda rw init=/init quiet panic=1",
        ])
        .arg("-drive")
        .arg(format!(
            "file={},if=virtio,format=raw,cache=unsafe",
            image.display()
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut machine = Machine(qemu.spawn()?);
    let console = machine.0.stdout.take().context("its console is a pipe")?;
    let said = listen(BufReader::new(console))?;
    machine.0.wait()?;
    ensure!(said.is_done, "the machine ended before the suites did");
    ensure!(said.failures.is_empty(), "{}", said.failures.join(", "));
    say("the suites passed in the machine");
    Ok(())
}

/// A machine that runs. Dropping it turns it off.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the script says of itself, besides what it shows.
#[derive(Default)]
struct Said {
    is_done: bool,
    failures: Vec<String>,
}

/// Shows what the console shows from the script's first line on.
fn listen(console: impl BufRead) -> Result<Said> {
    let mut said = Said::default();
    let mut has_begun = false;
    for line in console.split(b'\n') {
        let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
        let own = line.strip_prefix("machine: ");
        has_begun |= own.is_some();
        match own {
            Some("done") => said.is_done = true,
            Some(own) if own.ends_with(" failed") => said.failures.push(own.to_owned()),
            _ => {}
        }
        if has_begun {
            println!("    {line}");
        }
    }
    Ok(said)
}

fn which(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
        .with_context(|| format!("{program} is not in PATH"))
}

/// What becomes the machine's file system.
struct Tree(PathBuf);

impl Tree {
    fn empty(folder: PathBuf) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file, which is found at `to` in there.
    fn take(&self, from: &Path, to: &Path) -> Result<()> {
        let to = self.at(to);
        fs::create_dir_all(to.parent().context("it lies in a folder")?)?;
        fs::copy(from, &to).with_context(|| format!("{} is missing", from.display()))?;
        Ok(())
    }

    /// An executable, and the libraries that it is linked with.
    fn take_linked(&self, executable: &Path) -> Result<()> {
        self.take(executable, executable)?;
        let listed = Command::new("ldd").arg(executable).output()?;
        let listed = String::from_utf8(listed.stdout)?;
        let libraries = listed
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for library in libraries {
            self.take(Path::new(library), Path::new(library))?;
        }
        Ok(())
    }

    fn take_folder(&self, folder: &Path) -> Result<()> {
        let to = self.at(folder);
        fs::create_dir_all(to.parent().context("it lies in a folder")?)?;
        let mut copy = program_at_root("cp", &["-r"]);
        copy.arg(folder).arg(to);
        ensure!(succeeds(copy), "{} could not be copied", folder.display());
        Ok(())
    }

    fn write(&self, path: &Path, text: &str, mode: u32) -> Result<()> {
        let to = self.at(path);
        fs::write(&to, text)?;
        fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_cut_off_is_not_done_and_failures_are_kept() -> Result<()> {
        let said = listen(&b"boot\nmachine: native\nok\nmachine: native failed\n"[..])?;
        assert!(!said.is_done);
        assert_eq!(said.failures, ["native failed"]);
        assert!(listen(&b"machine: done\r\n"[..])?.is_done);
        Ok(())
    }

    #[test]
    fn the_newest_kernel_is_the_one_with_the_highest_numbers() {
        let of = |version: &str| Kernel {
            kernel: format!("/boot/vmlinuz-{version}").into(),
            initrd: PathBuf::new(),
        };
        assert!(of("6.12.1-1").version() > of("6.9.30-2").version());
    }
}
