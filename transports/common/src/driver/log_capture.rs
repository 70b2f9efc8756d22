//! Captures what the thread of one test logs.

use std::cell::RefCell;
use std::sync::OnceLock;

use log::{Level, LevelFilter, Log, Metadata, Record};

type Sink = Box<dyn FnMut(Level, String)>;

thread_local! {
    static SINK: RefCell<Option<Sink>> = const { RefCell::new(None) };
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let sink = SINK.with_borrow_mut(Option::take);
        if let Some(mut sink) = sink {
            sink(record.level(), record.args().to_string());
            SINK.set(Some(sink));
        }
    }

    fn flush(&self) {}
}

/// Passes each line that this thread logs to `sink`. If that panics, later lines are discarded.
pub(crate) fn to(sink: impl FnMut(Level, String) + 'static) {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
    SINK.set(Some(Box::new(sink)));
}

/// Returns the lines that this thread logs from now on.
pub(crate) fn lines() -> std::rc::Rc<RefCell<Vec<(Level, String)>>> {
    let lines = std::rc::Rc::<RefCell<Vec<_>>>::default();
    let kept = std::rc::Rc::clone(&lines);
    to(move |level, line| kept.borrow_mut().push((level, line)));
    lines
}
