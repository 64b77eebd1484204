//! How much of messages that have not come whole yet the host keeps for one instance.
//!
//! A plugin may begin as many large messages as it may have calls, and finish none of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::Status;

/// The most that is kept, in bytes: three of the largest messages, or many that are ordinary.
const UNFINISHED_BYTES_MAX: usize = 256 << 20;

/// What is kept at this moment, in bytes, as the messages' prefixes say.
#[derive(Default)]
pub(super) struct Uploads(AtomicUsize);

/// A message's part of it, until this is dropped.
pub(super) struct Room<'a> {
    uploads: &'a Uploads,
    bytes: usize,
}

impl Uploads {
    /// Makes room for a message, or refuses it.
    pub(super) fn make_room(&self, bytes: usize) -> Result<Room<'_>, Status> {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        let room = Room {
            uploads: self,
            bytes,
        };
        match before + bytes > UNFINISHED_BYTES_MAX {
            true => Err(Status::resource_exhausted(format!(
                "{before} bytes of other messages are under way, so one of {bytes} has no room within \
                 {UNFINISHED_BYTES_MAX}; send fewer at once"
            ))),
            false => Ok(room),
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.uploads.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_again_for_what_came_whole_and_none_is_lost_to_what_was_refused() {
        let uploads = Uploads::default();
        let first = uploads.make_room(UNFINISHED_BYTES_MAX).ok();
        assert!(first.is_some());
        let refused = uploads.make_room(1).map(drop).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        drop(first);
        assert!(uploads.make_room(UNFINISHED_BYTES_MAX).is_ok());
    }
}
