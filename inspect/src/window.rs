//! A file that is read batch by batch: the part that is in memory.

use std::io::{self, Read};

/// How much is read at a time, in bytes: within the cache of a processor core.
const CHUNK: usize = 256 << 10;

/// The bytes of an input from some position on, of which as many are in memory as were asked for.
#[derive(Debug)]
pub(crate) struct Window<R> {
    input: R,
    bytes: Vec<u8>,
    /// How many of `bytes` are consumed.
    consumed: usize,
    /// The position of the first byte of `bytes` in the input.
    start: u64,
    /// How many bytes are to be skipped that have not been read yet.
    skip: u64,
}

impl<R: Read> Window<R> {
    pub(crate) const fn new(input: R) -> Self {
        Self { input, bytes: Vec::new(), consumed: 0, start: 0, skip: 0 }
    }

    /// Returns the bytes in memory that are not consumed.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    /// Returns the position of the first unread byte in the input.
    pub(crate) const fn position(&self) -> u64 {
        self.start + self.consumed as u64
    }

    /// Consumes bytes, which must be in memory.
    pub(crate) fn consume(&mut self, count: usize) {
        assert!(count <= self.unread().len(), "only what was read is consumed");
        self.consumed += count;
    }

    /// Reads until this many unread bytes are in memory. Returns `false` if the input ends before.
    ///
    /// Memory grows with what is read, not with `least`, which may come from a damaged length.
    pub(crate) fn fill(&mut self, least: usize) -> io::Result<bool> {
        self.bytes.drain(..self.consumed);
        self.start += self.consumed as u64;
        self.consumed = 0;
        if self.skip > 0 && !self.read_skipped()? {
            return Ok(false);
        }
        while self.bytes.len() < least {
            self.bytes.reserve(CHUNK);
            let read = self.input.by_ref().take(CHUNK as u64).read_to_end(&mut self.bytes)?;
            if read == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Consumes bytes that may not be in memory. Returns how many of them the input has.
    pub(crate) fn skip(&mut self, count: u64) -> io::Result<u64> {
        let in_memory = count.min(self.unread().len() as u64);
        self.consume(in_memory as usize);
        self.skip += count - in_memory;
        self.fill(0)?;
        Ok(count - self.skip)
    }

    /// Reads what is to be skipped. Returns `false` if the input ends before.
    fn read_skipped(&mut self) -> io::Result<bool> {
        let read = io::copy(&mut self.input.by_ref().take(self.skip), &mut io::sink())?;
        self.skip -= read;
        self.start += read;
        Ok(self.skip == 0)
    }

    /// Consumes everything up to the end of the input, and returns the position of the end.
    pub(crate) fn drain(&mut self) -> io::Result<u64> {
        self.consume(self.unread().len());
        self.fill(0)?;
        self.start += io::copy(&mut self.input, &mut io::sink())?;
        Ok(self.position())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_moves_over_its_input() {
        let bytes: Vec<u8> = (0..CHUNK * 3).map(|n| n as u8).collect();
        let mut window = Window::new(&bytes[..]);
        assert!(window.fill(10).unwrap());
        window.consume(7);
        assert_eq!((window.position(), window.unread()[0]), (7, 7));
        assert!(window.fill(CHUNK + 1).unwrap());
        assert_eq!((window.position(), window.unread()[0]), (7, 7));
        assert_eq!(window.skip(CHUNK as u64 * 2).unwrap(), CHUNK as u64 * 2);
        assert!(window.fill(1).unwrap());
        assert_eq!((window.position(), window.unread()[0]), (CHUNK as u64 * 2 + 7, 7));
        assert!(!window.fill(usize::MAX).unwrap(), "the input ends before");
        assert_eq!(window.skip(u64::MAX / 2).unwrap(), CHUNK as u64 - 7);
        assert_eq!(window.position(), bytes.len() as u64);
    }

    #[test]
    fn memory_does_not_follow_a_claimed_length() {
        let mut window = Window::new(&[0; 100][..]);
        assert!(!window.fill(usize::MAX).unwrap());
        assert!(window.bytes.capacity() <= CHUNK * 2, "{}", window.bytes.capacity());
        assert_eq!(window.drain().unwrap(), 100);
    }
}
