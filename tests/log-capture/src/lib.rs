//! Captures the lines that are logged through the crate `log`, for tests: those of the whole process, or of one thread.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use log::{Level, LevelFilter, Log, Metadata, Record};

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

type Hook = Box<dyn FnMut(&Line)>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// A logged line.
#[derive(Clone, Debug)]
pub struct Line {
    /// The level.
    pub level: Level,
    /// The target, by default the path of the module that logs.
    pub target: String,
    /// The message.
    pub text: String,
    thread: ThreadId,
}

impl Line {
    /// Returns true if the current thread has logged this line.
    #[must_use]
    pub fn is_of_this_thread(&self) -> bool {
        self.thread == thread::current().id()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.level, self.target, self.text)
    }
}

struct Logger {
    target: &'static str,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(self.target)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = Line {
            level: record.level(),
            target: record.target().to_owned(),
            text: record.args().to_string(),
            thread: thread::current().id(),
        };
        // A thread that is ending has no hook.
        if let Ok(Some(mut hook)) = HOOK.try_with(|hook| hook.borrow_mut().take()) {
            hook(&line);
            HOOK.set(Some(hook));
        }
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn flush(&self) {}
}

/// Captures lines up to this level whose target starts with `target` ("" for all). Later calls have no effect.
pub fn start(target: &'static str, level: LevelFilter) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        log::set_boxed_logger(Box::new(Logger { target })).expect("no other logger");
        log::set_max_level(level);
    });
}

/// A position in the captured lines. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(usize);

/// Returns the end of the lines captured so far.
#[must_use]
pub fn mark() -> Mark {
    Mark(LINES.lock().unwrap_or_else(PoisonError::into_inner).len())
}

/// Returns the lines after a mark that satisfy `predicate`.
#[must_use]
pub fn lines(since: Mark, predicate: impl Fn(&Line) -> bool) -> Vec<Line> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines[since.0..].iter().filter(|line| predicate(line)).cloned().collect()
}

/// Calls `hook` with each line that the current thread logs from now on. If `hook` panics, it is not called again.
pub fn on_this_thread(hook: impl FnMut(&Line) + 'static) {
    start("", LevelFilter::Trace);
    HOOK.set(Some(Box::new(hook)));
}

/// Returns the levels and messages that the current thread logs from now on.
#[must_use]
pub fn of_this_thread() -> Rc<RefCell<Vec<(Level, String)>>> {
    let lines = Rc::<RefCell<Vec<_>>>::default();
    let captured = Rc::clone(&lines);
    on_this_thread(move |line| captured.borrow_mut().push((line.level, line.text.clone())));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_a_mark_are_found_with_their_thread() {
        start("", LevelFilter::Trace);
        log::info!("before the mark");
        let mark = mark();
        log::warn!(target: "elsewhere", "on this thread");
        thread::spawn(|| log::debug!("on another thread")).join().unwrap();
        let text = |line: &Line| line.text.clone();
        let all = lines(mark, |line| line.text.contains("thread"));
        assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["on this thread", "on another thread"]);
        assert_eq!(all[0].to_string(), "WARN elsewhere: on this thread");
        let own = lines(mark, Line::is_of_this_thread);
        assert_eq!(own.iter().map(text).collect::<Vec<_>>(), ["on this thread"]);
    }

    #[test]
    fn a_hook_gets_the_lines_of_its_thread() {
        let captured = of_this_thread();
        thread::spawn(|| log::error!("on another thread")).join().unwrap();
        log::error!("on this thread");
        assert_eq!(*captured.borrow(), [(Level::Error, "on this thread".to_owned())]);
    }

    #[test]
    fn a_hook_that_panics_is_not_called_again() {
        on_this_thread(|line| panic!("{line}"));
        std::panic::catch_unwind(|| log::error!("first")).unwrap_err();
        log::error!("second");
    }
}
