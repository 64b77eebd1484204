//! The worker's side of a job: read standard input, do it, leave one verdict on standard output.

use std::any::Any;
use std::io;
use std::os::fd::AsFd;
use std::panic::catch_unwind;

use super::role::JobRole;
use super::{canary, memory_file, walls};
use crate::Profile;
use crate::driver::wasm;

/// A job: bytes in, bytes or a text for people out.
type Work = fn(&[u8]) -> Result<Vec<u8>, String>;

/// Which function does which job.
fn work(role: JobRole) -> Work {
    match role {
        JobRole::Inspect(Profile::Ordinary) => |bytes| wasm::inspect(bytes, Profile::Ordinary),
        JobRole::Inspect(Profile::Large) => |bytes| wasm::inspect(bytes, Profile::Large),
        JobRole::Compile(Profile::Ordinary) => |bytes| wasm::compile(bytes, Profile::Ordinary),
        JobRole::Compile(Profile::Large) => |bytes| wasm::compile(bytes, Profile::Large),
        JobRole::Canary => canary::run,
    }
}

/// What a job comes to. On the wire: one byte that says which, then the bytes or the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is done, and this is the result.
    Done(Vec<u8>),
    /// The input is refused, and this is why.
    Refused(String),
    /// The job has a fault of its own.
    Panicked(String),
}

impl Verdict {
    const DONE: u8 = b'D';
    const REFUSED: u8 = b'R';
    const PANICKED: u8 = b'P';

    /// Reads a verdict; `None` for what is none, such as the nothing that a killed worker leaves.
    pub(super) fn parse(mut bytes: Vec<u8>) -> Option<Self> {
        let tag = *bytes.first()?;
        bytes.remove(0);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match tag {
            Self::DONE => Some(Self::Done(bytes)),
            Self::REFUSED => Some(Self::Refused(text(bytes))),
            Self::PANICKED => Some(Self::Panicked(text(bytes))),
            _ => None,
        }
    }

    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Done(bytes) => (Self::DONE, bytes),
            Self::Refused(text) => (Self::REFUSED, text.as_bytes()),
            Self::Panicked(text) => (Self::PANICKED, text.as_bytes()),
        }
    }
}

/// Does the job of this process, behind its walls. Returns its exit code.
pub(super) fn run(role: JobRole) -> u8 {
    if role == JobRole::Canary {
        canary::look_around();
    }
    let outcome = match walls::enter() {
        Ok(()) => read_input().map(|input| verdict(role, &input)),
        Err(fault) => Ok(Verdict::Panicked(format!("it has no walls: {fault}"))),
    };
    match outcome.and_then(|verdict| write(&verdict)) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn read_input() -> io::Result<Vec<u8>> {
    let stdin = io::stdin();
    let size = memory_file::size(stdin.as_fd())?;
    memory_file::read(stdin.as_fd(), size)
}

fn verdict(role: JobRole, input: &[u8]) -> Verdict {
    match catch_unwind(|| work(role)(input)) {
        Ok(Ok(bytes)) => Verdict::Done(bytes),
        Ok(Err(text)) => Verdict::Refused(text),
        Err(panic) => Verdict::Panicked(panic_text(panic.as_ref())),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a text"))
}

/// The byte that makes it a verdict is written last, so that one that was cut off is none.
fn write(verdict: &Verdict) -> io::Result<()> {
    let (tag, bytes) = verdict.parts();
    let stdout = io::stdout();
    memory_file::write_at(stdout.as_fd(), bytes, 1)?;
    memory_file::write_all(stdout.as_fd(), &[tag])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_that_was_cut_off_is_none() {
        assert_eq!(Verdict::parse(Vec::new()), None);
        assert_eq!(Verdict::parse(vec![0, 1, 2]), None);
    }

    #[test]
    fn a_job_that_panics_leaves_a_verdict() {
        let verdict = verdict(JobRole::Canary, b"no such deed");
        assert!(matches!(verdict, Verdict::Refused(text) if text.contains("deed")));
    }
}
