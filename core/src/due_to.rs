//! The cause at the end of an error message.

use core::fmt;

/// Displays `: ` and the cause, or nothing if there is none.
pub(crate) struct DueTo<T>(pub(crate) Option<T>);

impl<T: fmt::Display> fmt::Display for DueTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}
