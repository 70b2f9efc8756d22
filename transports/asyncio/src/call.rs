//! The arguments that the calls which fill a batch have in common.

use kafka_batch_core::message::Defaults;
use kafka_batch_core::{Header, Timestamp};
use pyo3::prelude::*;

use crate::headers::{Headers, views};
use crate::octets::Octets;

/// What a call sets for all its messages.
pub(crate) struct Args<'a, 'py> {
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) headers: Option<&'a Bound<'py, PyAny>>,
    pub(crate) reply_to: &'a str,
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) key: Option<&'a Bound<'py, PyAny>>,
}

impl Args<'_, '_> {
    /// Calls a function with the arguments as the core takes them.
    #[inline]
    pub(crate) fn with<R>(&self, function: impl FnOnce(&Defaults<'_>) -> PyResult<R>) -> PyResult<R> {
        let headers = Headers::read(self.headers)?;
        let octets = headers.octets()?;
        let views = views(&octets);
        let key = self.key.map(|key| Octets::bytes_or_text(key, "key")).transpose()?;
        let mut defaults = Defaults::default().headers(&views).reply_to(self.reply_to);
        if let Some(id) = self.correlation_id {
            defaults = defaults.correlation_id(id);
        }
        if let Some(key) = &key {
            defaults = defaults.key(key.as_slice());
        }
        if let Some(millis) = self.timestamp_ms {
            defaults = defaults.timestamp(Timestamp::from_millis(millis));
        }
        function(&defaults)
    }

    /// As [`with`](Self::with), for a record that is not encoded: key, headers and timestamp alone.
    #[inline]
    pub(crate) fn raw<R>(
        &self,
        function: impl FnOnce(Option<&[u8]>, &[Header<'_>], Option<Timestamp>) -> PyResult<R>,
    ) -> PyResult<R> {
        let timestamp = self.timestamp_ms.map(Timestamp::from_millis);
        if self.headers.is_none() {
            let key = self.key.map(|key| Octets::bytes_or_text(key, "key")).transpose()?;
            return function(key.as_ref().map(Octets::as_slice), &[], timestamp);
        }
        let headers = Headers::read(self.headers)?;
        let octets = headers.octets()?;
        let views = views(&octets);
        let key = self.key.map(|key| Octets::bytes_or_text(key, "key")).transpose()?;
        function(key.as_ref().map(Octets::as_slice), &views, timestamp)
    }

    /// Whether the call adds no header to its messages.
    pub(crate) fn has_no_headers(&self) -> bool {
        self.headers.is_none() && self.correlation_id.is_none() && self.reply_to.is_empty()
    }

    pub(crate) const fn has_key(&self) -> bool {
        self.key.is_some()
    }
}
