//! Cuts a stream of any bytes into lines of bounded length.

/// The longest line; a longer one comes in pieces of this length.
pub(super) const LINE_BYTES_MAX: usize = palisade_protocol::log_line::LINE_BYTES_MAX;

/// Collects bytes until a line is whole.
#[derive(Default)]
pub(super) struct Lines {
    held: Vec<u8>,
}

impl Lines {
    /// Takes bytes and hands out every line that they complete, without its line break.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = LINE_BYTES_MAX - self.held.len();
            let window = &bytes[..bytes.len().min(room)];
            let end = window.iter().position(|byte| *byte == b'\n');
            self.held
                .extend_from_slice(&window[..end.unwrap_or(window.len())]);
            bytes = &bytes[end.map_or(window.len(), |end| end + 1)..];
            if end.is_some() || self.held.len() == LINE_BYTES_MAX {
                self.flush(&mut emit);
            }
        }
    }

    /// Hands out what has no line break yet, if it is anything.
    pub(super) fn finish(mut self, mut emit: impl FnMut(&[u8])) {
        self.flush(&mut emit);
    }

    fn flush(&mut self, emit: &mut impl FnMut(&[u8])) {
        let line = self.held.strip_suffix(b"\r").unwrap_or(&self.held);
        if !line.is_empty() {
            emit(line);
        }
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.take(chunk, |line| found.push(line.to_vec()));
        }
        lines.finish(|line| found.push(line.to_vec()));
        found
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let found = lines_of(&[b"on", b"e\r\ntw", b"o\n\nthr", b"ee"]);
        assert_eq!(found, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    }

    #[test]
    fn an_endless_line_comes_in_pieces() {
        let long = vec![b'x'; LINE_BYTES_MAX * 2 + 1];
        let lengths: Vec<_> = lines_of(&[&long]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, LINE_BYTES_MAX, 1]);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_but_line_breaks(chunks: Vec<Vec<u8>>) {
            let chunks: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
            let breaks = |byte: &&u8| **byte != b'\n' && **byte != b'\r';
            let before: Vec<u8> = chunks.concat().iter().filter(breaks).copied().collect();
            let after: Vec<u8> = lines_of(&chunks).concat().iter().filter(breaks).copied().collect();
            prop_assert_eq!(before, after);
        }
    }
}
