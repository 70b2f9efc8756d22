//! Fetch responses: the frames of a connection.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use super::{ReadError, Session, Sums};
use crate::check::Check;
use crate::fetch;
use crate::report;
use crate::window::Window;

/// The bytes of a frame's size.
const SIZE: usize = 4;

impl Session<'_> {
    /// Shows the batches in the Fetch responses of a connection. Other responses on it are reported and skipped.
    pub(super) fn capture(&mut self, path: &Path, heading: &str, version: i16) -> io::Result<()> {
        let input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            match File::open(path) {
                Ok(file) => Box::new(file),
                Err(error) => return self.cannot_read(path, &error),
            }
        };
        let name = path.display().to_string();
        let mut window = Window::new(input);
        loop {
            match self.response(&mut window, &name, heading, version)? {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(ReadError(error)) => return self.cannot_read(path, &error),
            }
        }
    }

    /// Shows one response. Returns `false` at the end of the input.
    fn response<R: Read>(
        &mut self,
        window: &mut Window<R>,
        name: &str,
        heading: &str,
        version: i16,
    ) -> io::Result<Result<bool, ReadError>> {
        let at = window.position();
        match window.fill(SIZE) {
            Ok(true) => {}
            Ok(false) if window.unread().is_empty() => return Ok(Ok(false)),
            Ok(false) => return self.damaged(name, at, "the size of a response is cut off"),
            Err(error) => return Ok(Err(ReadError(error))),
        }
        let size = i32::from_be_bytes(*window.unread().first_chunk().expect("four bytes"));
        let Ok(size) = usize::try_from(size) else {
            return self.damaged(name, at, &format!("the size of a response is {size}"));
        };
        if size > self.args.max_bytes {
            let limit = self.args.max_bytes;
            let error = format!("the size of a response is {size} bytes, more than {limit} (--max-bytes)");
            return self.damaged(name, at, &error);
        }
        match window.fill(SIZE + size) {
            Ok(true) => {}
            Ok(false) => {
                let error = format!("a response of {size} bytes is cut off after {}", window.unread().len() - SIZE);
                return self.damaged(name, at, &error);
            }
            Err(error) => return Ok(Err(ReadError(error))),
        }
        let bytes = window.unread()[SIZE..SIZE + size].to_vec();
        window.consume(SIZE + size);
        // Nothing is shown of a response that is valid only in its first part: it is one of another API.
        let correlation_id = match fetch::decode(&bytes, version, &mut |_| ()) {
            Ok(correlation_id) => correlation_id,
            Err(error) => {
                self.out.flush()?;
                report(&format!(
                    "{name}: the response at byte {at} is no Fetch response in version {version}: {error}"
                ));
                return Ok(Ok(true));
            }
        };
        let mut written = Ok(());
        let shown = fetch::decode(&bytes, version, &mut |partition| {
            if written.is_ok() {
                written = self.partition(&partition, correlation_id, name, heading);
            }
        });
        shown.expect("the response was decoded before");
        written.map(|()| Ok(true))
    }

    fn partition(
        &mut self,
        partition: &fetch::Partition<'_>,
        correlation_id: i32,
        name: &str,
        heading: &str,
    ) -> io::Result<()> {
        let fetch::Partition { topic, partition, error_code, records } = *partition;
        // A name from the network may have line ends, and sequences that terminals obey.
        let of_topic = format!("{}-{partition} in response {correlation_id}", topic.escape_debug());
        let separator = if heading.is_empty() { "" } else { ": " };
        let (name, heading) = (format!("{name}: {of_topic}"), format!("{heading}{separator}{of_topic}"));
        if error_code != 0 {
            self.out.flush()?;
            report(&format!("{name}: error code {error_code}"));
        }
        if records.is_empty() {
            return Ok(());
        }
        // A consumer may have fetched the same offsets before.
        self.check = Check::default();
        self.show.begin_file(&heading, &mut self.out)?;
        let mut sums = Sums::new(self.args);
        match self.read(&mut Window::new(records), &name, &heading, None, &mut sums)? {
            Ok(end) => self.end_file(None, &name, &heading, &sums, &end),
            Err(ReadError(error)) => unreachable!("bytes in memory can be read: {error}"),
        }
    }

    /// Reports a connection that cannot be read on, and ends it.
    fn damaged(&mut self, name: &str, at: u64, error: &str) -> io::Result<Result<bool, ReadError>> {
        self.worst = self.worst.max(1);
        self.out.flush()?;
        report(&format!("error: {name} is damaged at byte {at}: {error}"));
        Ok(Ok(false))
    }
}
