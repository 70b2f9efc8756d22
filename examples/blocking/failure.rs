//! Errors that end the program: the cause and a remedy.

use std::fmt;

#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    remedy: String,
}

impl Failure {
    pub(crate) fn new(what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { what: what.to_string(), remedy: remedy.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  remedy: {}", self.what, self.remedy)
    }
}
