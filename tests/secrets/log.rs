//! Every line that is logged, by whichever crate and at whichever level.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use log::{LevelFilter, Log, Metadata, Record};

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) text: String,
    thread: ThreadId,
}

impl Line {
    /// Whether this thread has logged it, or librdkafka, which has threads of its own.
    pub(crate) fn is_ours(&self) -> bool {
        self.thread == thread::current().id() || self.text.contains("rdkafka")
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text = format!("{} {}: {}", record.level(), record.target(), record.args());
        let line = Line { text, thread: thread::current().id() };
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn flush(&self) {}
}

/// A place in the log.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize);

/// The end of the log, which is kept from the first call on.
pub(crate) fn mark() -> Mark {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
    Mark(LINES.lock().unwrap_or_else(PoisonError::into_inner).len())
}

pub(crate) fn lines(since: Mark) -> Vec<Line> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)[since.0..].to_vec()
}
