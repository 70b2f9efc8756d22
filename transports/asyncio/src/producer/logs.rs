//! What the transport logs, for Python's `logging`. It is collected while the machine runs, under its lock, and passed on after.

use std::cell::RefCell;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// A warning or an error.
pub(super) struct Line {
    pub(super) is_error: bool,
    pub(super) text: String,
}

thread_local! {
    /// `None` while nothing is collected on this thread.
    static LINES: RefCell<Option<Vec<Line>>> = const { RefCell::new(None) };
}

struct Collector;

impl Log for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = Line { is_error: record.level() == Level::Error, text: record.args().to_string() };
            // The thread may be ending.
            let _ = LINES.try_with(|lines| lines.borrow_mut().as_mut().map(|lines| lines.push(line)));
        }
    }

    fn flush(&self) {}
}

/// Collects what is logged in this process, once.
pub(crate) fn install() {
    // It fails if it was done before, for another interpreter of this process.
    if log::set_logger(&Collector).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// Collects on this thread until it is ended or dropped.
pub(super) struct LogCollection(());

impl LogCollection {
    pub(super) fn begin() -> Self {
        LINES.with(|lines| *lines.borrow_mut() = Some(Vec::new()));
        Self(())
    }

    pub(super) fn end(self) -> Vec<Line> {
        LINES.with(|lines| lines.borrow_mut().take()).unwrap_or_default()
    }
}

impl Drop for LogCollection {
    fn drop(&mut self) {
        LINES.with(|lines| *lines.borrow_mut() = None);
    }
}
