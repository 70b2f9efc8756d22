//! The output: a progress bar while a batch fills, if standard error is a terminal, and a line for each batch.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Screen {
    /// Hidden if standard error is not a terminal.
    bar: ProgressBar,
}

impl Screen {
    pub(crate) fn new(batch_size: usize) -> Self {
        let bar = ProgressBar::new(batch_size as u64);
        let template = "{prefix} [{wide_bar}] {percent:>3} % of {len} bytes, {msg:12}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    pub(crate) fn begin_batch(&self, number: usize) {
        self.bar.set_prefix(format!("batch {number:>3}"));
    }

    pub(crate) fn filled(&self, records: usize, bytes: usize) {
        self.bar.set_position(bytes as u64);
        self.bar.set_message(format!("{records} records"));
    }

    pub(crate) fn line(&self, text: &str) {
        // Errors of writing are ignored: publishing continues even if the output is a closed pipe.
        self.bar.suspend(|| {
            let _ = writeln!(io::stdout(), "{text}");
        });
    }

    pub(crate) fn error(&self, text: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
