//! Standard output, written in large parts.

use std::io::{self, StdoutLock, Write};

/// The size in bytes from which on the buffer is written.
const FULL: usize = 256 << 10;

/// Standard output with a buffer, to which text is appended without a copy in between.
#[derive(Debug)]
pub(crate) struct Out {
    buffer: Vec<u8>,
    stdout: StdoutLock<'static>,
}

impl Out {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout().lock();
        widen(&stdout);
        Self { buffer: Vec::with_capacity(FULL + FULL / 4), stdout }
    }

    /// Returns the buffer, to append to. Then call [`write_if_full`](Self::write_if_full).
    #[inline(always)]
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes the buffer if it is large.
    #[inline(always)]
    pub(super) fn write_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= FULL { self.write_buffer() } else { Ok(()) }
    }

    #[cold]
    fn write_buffer(&mut self) -> io::Result<()> {
        let written = self.stdout.write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.write_if_full()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_buffer()?;
        self.stdout.flush()
    }
}

/// Lets a pipe hold 1 MiB instead of 64 KiB, as much as Linux permits by default: writer and reader then wait for each other less often.
#[cfg(target_os = "linux")]
fn widen(stdout: &StdoutLock<'_>) {
    // Fails for what is not a pipe, which needs nothing.
    let _ = rustix::pipe::fcntl_setpipe_size(stdout, 1 << 20);
}

#[cfg(not(target_os = "linux"))]
fn widen(_: &StdoutLock<'_>) {}
