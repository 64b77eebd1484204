//! What the plugin prints, on its way to the host's stdio stream.
//!
//! A thread empties the pipe that stands in for standard output, because the plugin may print from the very thread that
//! serves the stream. For the same reason it does not wait for the host for long: when the backlog stays full, output is
//! dropped, and the log says how much.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use crate::log;

/// How much is kept while nobody reads.
const BACKLOG_BYTES_MAX: usize = 1024 * 1024;
/// How much goes into one message.
const CHUNK_BYTES: usize = 16 * 1024;
/// How long a full backlog may hold up the plugin's printing before output is dropped.
const STALL_MAX: Duration = Duration::from_millis(200);

/// Output that waits for a reader.
pub(crate) struct Backlog {
    state: Mutex<State>,
    /// Room appeared.
    room: Condvar,
    /// Output appeared.
    arrived: Notify,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: usize,
}

impl Backlog {
    /// Starts to empty `pipe`.
    pub(crate) fn of(pipe: File) -> io::Result<Arc<Self>> {
        let backlog = Arc::new(Self::new());
        let pumped = Arc::clone(&backlog);
        thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || pumped.pump(pipe))?;
        Ok(backlog)
    }

    fn new() -> Self {
        Self {
            state: Mutex::default(),
            room: Condvar::new(),
            arrived: Notify::new(),
        }
    }

    fn pump(&self, mut pipe: File) {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => self.push(&buffer[..count]),
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn push(&self, chunk: &[u8]) {
        let has_no_room = |state: &mut State| state.bytes + chunk.len() > BACKLOG_BYTES_MAX;
        let mut state = self.lock();
        // Once something was dropped nobody waits again before there is room: one stall, not one for each chunk.
        if state.dropped == 0 {
            let waited = self.room.wait_timeout_while(state, STALL_MAX, has_no_room);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if has_no_room(&mut state) {
            state.dropped += chunk.len();
            return;
        }
        let dropped = std::mem::take(&mut state.dropped);
        state.bytes += chunk.len();
        state.chunks.push_back(chunk.to_vec());
        drop(state);
        self.arrived.notify_one();
        if dropped > 0 {
            log::warn(&format!(
                "{dropped} bytes of standard output were dropped: the host did not read them in time"
            ));
        }
    }

    /// The next piece of output, once there is one.
    pub(crate) async fn next(&self) -> Vec<u8> {
        loop {
            let arrived = self.arrived.notified();
            if let Some(chunk) = self.pop() {
                return chunk;
            }
            arrived.await;
        }
    }

    fn pop(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        let chunk = state.chunks.pop_front()?;
        state.bytes -= chunk.len();
        self.room.notify_one();
        // Another reader may have been woken for what is still there.
        if !state.chunks.is_empty() {
            self.arrived.notify_one();
        }
        Some(chunk)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_reader_output_beyond_the_backlog_is_dropped_and_counted() {
        let backlog = Backlog::new();
        for _ in 0..BACKLOG_BYTES_MAX / CHUNK_BYTES + 3 {
            backlog.push(&[b'x'; CHUNK_BYTES]);
        }
        assert_eq!(backlog.lock().bytes, BACKLOG_BYTES_MAX);
        assert_eq!(backlog.lock().dropped, 3 * CHUNK_BYTES);
    }

    #[tokio::test]
    async fn a_reader_gets_everything_in_order_however_much_it_is() {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        let backlog = Backlog::of(reader.into()).expect("a thread");
        let sent: Vec<u8> = (0..4 * BACKLOG_BYTES_MAX)
            .map(|i| (i % 251) as u8)
            .collect();
        let expected = sent.clone();
        let printing = thread::spawn(move || {
            io::Write::write_all(&mut File::from(writer), &sent).expect("the pipe is open");
        });
        let mut got = Vec::new();
        while got.len() < expected.len() {
            got.extend(backlog.next().await);
        }
        printing.join().expect("no panic");
        assert!(got == expected);
    }
}
