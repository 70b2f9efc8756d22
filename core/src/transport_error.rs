//! [`TransportError`]: an error that is particular to one transport.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::error::Error;
use core::fmt;

/// An error that is particular to one transport, such as one of librdkafka, of a socket or of the TLS library. What every
/// transport has in common is a variant of [`SendErrorReason`](crate::SendErrorReason) or
/// [`FailureReason`](crate::FailureReason) instead.
///
/// It displays as the error that it holds, which [`get_ref`](Self::get_ref) returns. A clone shares that error. Two are equal
/// if their texts are.
#[derive(Clone)]
pub struct TransportError(Arc<dyn Error + Send + Sync>);

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
        Self(Arc::from(error.into()))
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

    /// Returns the kind of the transport's own error if it is a [`std::io::Error`]: the error of a socket or, over TLS, one
    /// that the TLS library reported.
    ///
    /// ```
    /// use std::io;
    ///
    /// use kafka_batch_core::error::TransportError;
    ///
    /// let error = TransportError::new(io::Error::from(io::ErrorKind::ConnectionRefused));
    /// assert_eq!(error.io_error_kind(), Some(io::ErrorKind::ConnectionRefused));
    /// ```
    #[cfg(feature = "std")]
    #[must_use]
    pub fn io_error_kind(&self) -> Option<std::io::ErrorKind> {
        self.downcast_ref().map(std::io::Error::kind)
    }
}

impl From<String> for TransportError {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

/// By text, since errors of other crates cannot be compared.
impl PartialEq for TransportError {
    fn eq(&self, other: &Self) -> bool {
        use alloc::string::ToString;
        Arc::ptr_eq(&self.0, &other.0) || self.to_string() == other.to_string()
    }
}

impl Eq for TransportError {}

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
