//! Log lines about a port.

use std::thread;
use std::time::{Duration, Instant};

use kafka_batch_log_capture::{Line, Mark, lines, start};
use log::{Level, LevelFilter};

/// Captures the lines of the transports from the first call on.
pub(crate) fn capture() {
    start("kafka_batch", LevelFilter::Debug);
}

/// Returns the first line about this port that contains all these words, and waits for it.
pub(crate) fn line(port: u16, words: &[&str]) -> (Level, String) {
    let started = Instant::now();
    loop {
        if let Some(line) = find(port, words) {
            return line;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "no line about port {port} contains {words:?}");
        thread::yield_now();
    }
}

/// Returns the first line about this port that contains all these words, if there is one yet.
pub(crate) fn find(port: u16, words: &[&str]) -> Option<(Level, String)> {
    let found = about(port, |line| words.iter().all(|word| line.text.contains(word)));
    found.into_iter().next().map(|line| (line.level, line.text))
}

/// Returns all warnings and errors about this port so far.
pub(crate) fn warnings(port: u16) -> Vec<String> {
    about(port, |line| line.level <= Level::Warn).into_iter().map(|line| line.text).collect()
}

fn about(port: u16, predicate: impl Fn(&Line) -> bool) -> Vec<Line> {
    let address = format!(":{port}");
    lines(Mark::default(), |line| line.text.contains(&address) && predicate(line))
}
