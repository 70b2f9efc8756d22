//! What the transports log.

use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};

static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kafka_batch")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = (record.level(), record.args().to_string());
            LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    fn flush(&self) {}
}

/// From now on it is kept.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(LevelFilter::Debug);
    });
}

/// The first line about this port with all these words; waits for it.
pub(crate) fn line(port: u16, words: &[&str]) -> (Level, String) {
    let begun = Instant::now();
    loop {
        if let Some(line) = find(port, words) {
            return line;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing with {words:?} was logged of port {port}");
        thread::yield_now();
    }
}

/// The first line about this port with all these words, if there is one yet.
pub(crate) fn find(port: u16, words: &[&str]) -> Option<(Level, String)> {
    let address = format!(":{port}");
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().find(|line| line.1.contains(&address) && words.iter().all(|word| line.1.contains(word))).cloned()
}

/// All lines about this port so far that are warnings.
pub(crate) fn warnings(port: u16) -> Vec<String> {
    let address = format!(":{port}");
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().filter(|line| line.0 <= Level::Warn && line.1.contains(&address)).map(|line| line.1.clone()).collect()
}
