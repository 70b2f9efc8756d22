//! All captured log lines, of every crate and level.

use kafka_batch_log_capture::{self as log_capture, Line, Mark};
use log::LevelFilter;

/// Returns the end of the log, which is captured from the first call on.
pub(crate) fn mark() -> Mark {
    log_capture::start("", LevelFilter::Trace);
    log_capture::mark()
}

/// Returns all lines after a mark.
pub(crate) fn lines(since: Mark) -> Vec<Line> {
    log_capture::lines(since, |_| true)
}

/// Returns the lines after a mark of this thread and of librdkafka, which has its own threads.
pub(crate) fn lines_of_this_thread(since: Mark) -> Vec<Line> {
    log_capture::lines(since, |line| line.is_of_this_thread() || line.to_string().contains("rdkafka"))
}
