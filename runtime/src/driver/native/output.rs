//! What a process writes to its own standard output and error: read until its end, whatever it is, so that the process
//! never waits for a full pipe.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use palisade_contract::LogRecord;
use palisade_protocol::log_line::LogReader;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::lines::Lines;
use crate::services::PluginLog;

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 16 << 10;

/// How long is waited after reading little: a process that logs a line or two for each request would otherwise wake this
/// one for each of them, in the midst of the request.
const LULL: Duration = Duration::from_millis(10);

/// What is little, in bytes: less than the smallest pipe holds. Whoever has filled it waits to write more.
const LITTLE_BYTES: usize = 4 << 10;

/// What is still read once nobody follows: what the largest pipe holds that a user can make, and not for ever.
const LEFT_CHUNKS_MAX: usize = 64;

/// How much of the end of standard error is kept for errors, in bytes.
const LAST_WORDS_BYTES_MAX: usize = 2 << 10;

/// How long to wait for what it wrote once the process has ended.
const WORDS_TIMEOUT: Duration = Duration::from_millis(100);

/// A task that ends with this value.
pub(super) struct Task(AbortHandle);

impl Task {
    /// Runs a future until it is done or the value is dropped.
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The end of what a process wrote to standard error, for the error when it does not start.
#[derive(Clone, Default)]
pub(super) struct LastWords {
    words: Arc<Mutex<Vec<u8>>>,
    /// Cancelled when nothing more will come.
    ended: CancellationToken,
}

impl LastWords {
    fn take(&self, line: &[u8]) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(line);
        words.push(b'\n');
        let excess = words.len().saturating_sub(LAST_WORDS_BYTES_MAX);
        words.drain(..excess);
    }

    /// Waits until the last of them has been read, but not for long.
    pub(super) async fn spoken(&self) {
        wait_for(&self.ended).await;
    }

    /// Whether a text is among them.
    pub(super) fn contain(&self, text: &str) -> bool {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&words).contains(text)
    }

    /// The words as a clause of an error, escaped; empty when there are none.
    pub(super) fn clause(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        match String::from_utf8_lossy(&words).trim() {
            "" => String::new(),
            text => format!("; its last words: {text:?}"),
        }
    }
}

/// Follows what a process writes. When it is dropped, that ends with what has been written by then.
pub(super) struct Follower {
    ended: CancellationToken,
    _dropped: DropGuard,
}

impl Follower {
    /// Hands each line to `emit`, those of what was read before first, and cancels `ended` after the last.
    fn spawn(
        before: Vec<u8>,
        pipe: Receiver,
        emit: impl FnMut(&[u8]) + Send + 'static,
        ended: CancellationToken,
    ) -> Self {
        let dropped = CancellationToken::new();
        let following = follow(before, pipe, emit, dropped.clone());
        let end = ended.clone().drop_guard();
        tokio::spawn(async move {
            following.await;
            drop(end);
        });
        Self {
            ended,
            _dropped: dropped.drop_guard(),
        }
    }

    /// Waits until all that an ended process wrote has been taken, but not for long.
    pub(super) async fn ended(&self) {
        wait_for(&self.ended).await;
    }
}

/// Not for ever: a descendant may hold the pipe open.
async fn wait_for(ended: &CancellationToken) {
    let _ = timeout(WORDS_TIMEOUT, ended.cancelled()).await;
}

/// Logs standard error line by line, as hclog's JSON where it is that.
pub(super) fn follow_stderr(
    stderr: OwnedFd,
    log: &Arc<PluginLog>,
    words: &LastWords,
) -> io::Result<Follower> {
    let pipe = Receiver::from_owned_fd(stderr)?;
    let (log, words) = (Arc::clone(log), words.clone());
    let ended = words.ended.clone();
    let mut reader = LogReader::default();
    let emit = move |line: &[u8]| {
        words.take(line);
        take(&log, &mut reader, line);
    };
    Ok(Follower::spawn(Vec::new(), pipe, emit, ended))
}

/// Logs what comes on standard output after the handshake; go-plugin's processes have moved it elsewhere by then.
pub(super) fn follow_stdout(pipe: BufReader<Receiver>, log: &Arc<PluginLog>) -> Follower {
    let log = Arc::clone(log);
    let emit = move |line: &[u8]| log.output("stdout", line);
    let before = pipe.buffer().to_vec();
    Follower::spawn(before, pipe.into_inner(), emit, CancellationToken::new())
}

fn take(log: &PluginLog, reader: &mut LogReader, line: &[u8]) {
    let line = reader.read(line);
    let fields: Vec<_> = line
        .fields
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    log.log(LogRecord {
        level: line.level,
        message: &line.message,
        fields: &fields,
    });
}

async fn follow(
    before: Vec<u8>,
    mut pipe: Receiver,
    mut emit: impl FnMut(&[u8]),
    dropped: CancellationToken,
) {
    let (mut lines, mut chunk) = (Lines::default(), vec![0; CHUNK_BYTES]);
    lines.take(&before, &mut emit);
    drop(before);
    while let Some(Ok(count @ 1..)) = dropped.run_until_cancelled(pipe.read(&mut chunk)).await {
        lines.take(&chunk[..count], &mut emit);
        if count < LITTLE_BYTES {
            let _ = timeout(LULL, dropped.cancelled()).await;
        } else {
            // One that writes without end always has something ready, and would keep the thread for itself.
            tokio::task::consume_budget().await;
        }
    }
    // tokio itself would not yet know of what was written a moment ago.
    for _ in 0..LEFT_CHUNKS_MAX {
        let Ok(count @ 1..) = rustix::io::read(&pipe, &mut chunk) else {
            break;
        };
        lines.take(&chunk[..count], &mut emit);
    }
    lines.finish(emit);
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::unix::pipe;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_was_written_before_nobody_follows_is_taken() {
        let (mut process, pipe) = pipe::pipe().unwrap();
        let (lines, mut taken) = mpsc::channel(8);
        let emit = move |line: &[u8]| lines.try_send(line.to_vec()).unwrap();
        let follower = Follower::spawn(Vec::new(), pipe, emit, CancellationToken::new());
        process.write_all(b"one\n").await.unwrap();
        assert_eq!(taken.recv().await.unwrap(), b"one");
        // Now it waits, and the process lives on.
        process.write_all(b"two\nthree").await.unwrap();
        drop(follower);
        assert_eq!(taken.recv().await.unwrap(), b"two");
        assert_eq!(taken.recv().await.unwrap(), b"three");
        assert!(taken.recv().await.is_none());
    }

    #[tokio::test]
    async fn what_was_read_with_the_handshake_comes_first() {
        let (mut process, pipe) = pipe::pipe().unwrap();
        let (lines, mut taken) = mpsc::channel(8);
        let emit = move |line: &[u8]| lines.try_send(line.to_vec()).unwrap();
        let _follower = Follower::spawn(b"one\ntw".to_vec(), pipe, emit, CancellationToken::new());
        process.write_all(b"o\n").await.unwrap();
        assert_eq!(taken.recv().await.unwrap(), b"one");
        assert_eq!(taken.recv().await.unwrap(), b"two");
    }

    #[test]
    fn only_the_end_of_many_words_is_kept_and_nothing_disturbs_a_terminal() {
        let words = LastWords::default();
        for number in 0..1000 {
            words.take(format!("line {number} \x1b[31m").as_bytes());
        }
        let clause = words.clause();
        assert!(clause.contains("line 999"), "{clause}");
        assert!(!clause.contains("line 1 "), "{clause}");
        assert!(!clause.contains('\x1b'), "{clause}");
        assert!(clause.len() < 2 * LAST_WORDS_BYTES_MAX);
    }
}
