//! Secrets in the forms in which a text may contain them.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use kafka_batch_log_capture::Mark;

use crate::log;

/// The number of consecutive bytes of a secret that are searched for.
const WINDOW: usize = 8;

/// What to search for: every eight consecutive bytes of each secret, in each form in which bytes are written.
pub(crate) struct Needles {
    by_length: HashMap<usize, HashSet<Vec<u8>>>,
    /// The length of the shortest needle, at most [`WINDOW`].
    shortest: usize,
    /// The [beginnings](beginning) of all needles, as long as the shortest. Most positions of a text are excluded by them.
    beginnings: Vec<bool>,
}

/// Returns a hash, below 2²⁰ (tens of thousands of needles are common), of these bytes, which are at most [`WINDOW`].
fn beginning(bytes: &[u8]) -> usize {
    let first = bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    (first.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44) as usize
}

impl Needles {
    pub(crate) fn of<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut needles = Self { by_length: HashMap::new(), shortest: WINDOW, beginnings: Vec::new() };
        for secret in secrets {
            needles.insert(secret.as_ref());
        }
        needles.index();
        needles
    }

    pub(crate) fn add(&mut self, secret: &[u8]) {
        self.insert(secret);
        self.index();
    }

    fn insert(&mut self, secret: &[u8]) {
        for window in secret.windows(WINDOW.min(secret.len()).max(1)) {
            for form in forms(window) {
                self.by_length.entry(form.len()).or_default().insert(form);
            }
        }
    }

    fn index(&mut self) {
        self.shortest = self.by_length.keys().copied().min().unwrap_or(WINDOW).min(WINDOW);
        self.beginnings = vec![false; 1 << 20];
        for needle in self.by_length.values().flatten() {
            self.beginnings[beginning(&needle[..self.shortest])] = true;
        }
    }

    /// Panics if the text contains a needle, as it is or with each run of white space replaced by one space.
    #[track_caller]
    pub(crate) fn are_not_in(&self, text: &str, context: &str) {
        self.are_not_in_line(text, context);
        if text.contains("\n") {
            self.are_not_in_line(&text.split_whitespace().collect::<Vec<_>>().join(" "), context);
        }
    }

    #[track_caller]
    fn are_not_in_line(&self, text: &str, context: &str) {
        let bytes = text.as_bytes();
        let candidates =
            bytes.windows(self.shortest).enumerate().filter(|(_, window)| self.beginnings[beginning(window)]);
        for (at, _) in candidates {
            let has = |(length, needles): (&usize, &HashSet<Vec<u8>>)| {
                bytes.get(at..at + length).is_some_and(|window| needles.contains(window))
            };
            if self.by_length.iter().any(has) {
                panic!("{context}: {:?}… is in {text}", String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 20)]));
            }
        }
    }

    #[track_caller]
    pub(crate) fn are_not_in_debug_of(&self, value: &dyn Debug, context: &str) {
        self.are_not_in(&format!("{value:?}"), context);
        self.are_not_in(&format!("{value:#?}"), context);
    }

    /// Panics if an error or one of its sources contains a needle.
    #[track_caller]
    pub(crate) fn are_not_in_error(&self, error: &dyn Error, context: &str) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.are_not_in(&error.to_string(), context);
            self.are_not_in_debug_of(&error, context);
            next = error.source();
        }
    }

    /// Panics if a line that any thread has logged since contains a needle.
    #[track_caller]
    pub(crate) fn are_not_in_log(&self, since: Mark, context: &str) {
        for line in log::lines(since) {
            self.are_not_in(&line.to_string(), context);
        }
    }

    /// Panics if a line that this thread or librdkafka has logged since contains a needle. For tests that run in parallel and
    /// log much.
    #[track_caller]
    pub(crate) fn are_not_in_log_of_this_thread(&self, since: Mark, context: &str) {
        for line in log::lines_of_this_thread(since) {
            self.are_not_in(&line.to_string(), context);
        }
    }
}

/// Returns the forms in which bytes are written.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let join = |format: &dyn Fn(&u8) -> String, between: &str| {
        bytes.iter().map(format).collect::<Vec<_>>().join(between).into_bytes()
    };
    let decimal = |byte: &u8| byte.to_string();
    let mut forms = vec![bytes.to_vec(), bytes.escape_ascii().to_string().into_bytes()];
    if let Ok(text) = std::str::from_utf8(bytes) {
        forms.extend([text.escape_debug().to_string().into_bytes(), text.escape_default().to_string().into_bytes()]);
    }
    forms.extend([", ", ",", " "].map(|between| join(&decimal, between)));
    for between in ["", " ", ":", "-", ", "] {
        forms.push(join(&|byte| format!("{byte:02x}"), between));
        forms.push(join(&|byte| format!("{byte:02X}"), between));
    }
    for (before, between) in [("0x", ", "), ("0x", " "), ("\\x", ""), ("%", "")] {
        forms.push(join(&|byte| format!("{before}{byte:02x}"), between));
        forms.push(join(&|byte| format!("{before}{byte:02X}"), between));
    }
    for alignment in 0..3 {
        let padded = [&[0; 2][..alignment], bytes].concat();
        // Only the characters that depend on these bytes alone.
        let (first, last) = ((alignment * 8).div_ceil(6), padded.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            forms.push(engine.encode(&padded).as_bytes()[first..last].to_vec());
        }
    }
    forms
}

#[test]
fn needles_are_found_in_every_form() {
    let secret: Vec<u8> = (0..40_u8).map(|byte| byte.wrapping_mul(73).wrapping_add(150)).collect();
    let needles = Needles::of([&secret]);
    let part = &secret[7..20];
    let base64 = [0, 1, 2].map(|from| STANDARD_NO_PAD.encode(&secret[from..30]));
    let texts = [
        format!("{part:?}"),
        format!("{part:#?}"),
        format!("{part:02x?}"),
        part.iter().map(|byte| format!("{byte:02X}")).collect::<String>(),
        part.escape_ascii().to_string(),
    ];
    for text in texts.iter().chain(&base64) {
        let found = std::panic::catch_unwind(|| needles.are_not_in(&format!("before {text} after"), "test"));
        assert!(found.is_err(), "{text}");
    }
    needles.are_not_in(&format!("{:?}", &secret[..7]), "seven bytes are too few");
}
