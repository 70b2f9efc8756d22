//! Headers that a producer adds to messages.

use std::fmt;
use std::sync::Arc;

use kafka_batch_core::record::EncodedHeaders;

use crate::observers::caught;

type Inject = dyn Fn(&str, &mut EncodedHeaders) + Send + Sync;

/// The function that adds headers to messages, if there is one.
#[derive(Clone, Default)]
pub struct HeaderInjector(Option<Arc<Inject>>);

impl HeaderInjector {
    /// Returns an injector that calls this function.
    pub fn new(inject: impl Fn(&str, &mut EncodedHeaders) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(inject)))
    }

    pub(crate) const fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the headers of a message for this topic: none if there is no function, or if it has panicked, which the panic hook
    /// has reported.
    #[must_use]
    pub fn headers(&self, topic: &str) -> EncodedHeaders {
        let inject = |inject: &Arc<Inject>| {
            let mut headers = EncodedHeaders::default();
            caught(|| inject(topic, &mut headers)).map(|()| headers)
        };
        self.0.as_ref().and_then(inject).unwrap_or_default()
    }
}

impl fmt::Debug for HeaderInjector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "(set)" } else { "(none)" })
    }
}
