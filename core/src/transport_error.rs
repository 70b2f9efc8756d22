//! [`TransportError`]: an error that is particular to one transport.

use alloc::boxed::Box;
use alloc::string::String;
use core::error::Error;
use core::fmt;

/// An error that is particular to one transport, such as one of librdkafka. What every transport has in common is a
/// variant of [`SendErrorReason`](crate::SendErrorReason) or [`FailureReason`](crate::FailureReason) instead.
///
/// It displays as the error that it holds, which [`get_ref`](Self::get_ref) returns.
pub struct TransportError(Box<dyn Error + Send + Sync>);

impl TransportError {
    /// Wraps an error of a transport.
    ///
    /// ```
    /// use kafka_batch_core::error::TransportError;
    ///
    /// #[derive(Debug, PartialEq, thiserror::Error)]
    /// #[error("the queue is full")]
    /// struct QueueFull;
    ///
    /// let error = TransportError::new(QueueFull);
    /// assert_eq!(error.to_string(), "the queue is full");
    /// assert_eq!(error.downcast_ref(), Some(&QueueFull));
    /// ```
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// Returns the transport's own error.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }

    /// Returns the transport's own error if it has this type.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }

    /// Returns the transport's own error.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

impl From<String> for TransportError {
    fn from(message: String) -> Self {
        Self(message.into())
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The source of the transport's own error: the text of that one is the text of this one.
impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
