//! The arguments that the calls which fill a batch have in common.

use std::convert::Infallible;

use kafka_batch_core::message::{Defaults, RecordComposer};
use kafka_batch_core::{Header, Record, Timestamp};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::Refusal;
use crate::headers::{Headers, views};
use crate::message::Body;
use crate::octets::{Octets, wrong_type};
use crate::options::value_error;

/// An argument that can be `None` and can be missing.
pub(crate) enum Arg<'a, 'py> {
    Missing,
    Given(Borrowed<'a, 'py, PyAny>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Arg<'a, 'py> {
    type Error = Infallible;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Given(object))
    }
}

/// Refuses keywords that a method does not have. Those that take any number of messages have `**others`, because PyO3 then uses
/// the tuple of arguments that Python passes, and otherwise copies it.
pub(crate) fn no_others(method: &str, others: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    match others.and_then(|others| others.keys().into_iter().next()) {
        None => Ok(()),
        Some(name) => Err(PyTypeError::new_err(format!("{method}() got an unexpected keyword argument '{name}'"))),
    }
}

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
        let mut defaults = Defaults::default().headers(views.as_slice()).reply_to(self.reply_to);
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

    /// Calls a function with the record that the arguments of `append`, `cost`, `fits` or `send` make.
    #[inline]
    pub(crate) fn with_record<R>(
        &self,
        message: &Arg<'_, '_>,
        value: &Arg<'_, '_>,
        method: &str,
        function: impl FnOnce(Record<'_>) -> PyResult<R>,
    ) -> PyResult<R> {
        match (message, value) {
            (Arg::Given(message), Arg::Missing) => {
                let body = Body::read(*message, self.has_key())
                    .map_err(|error| Refusal::Encoding(error).into_exception(message.py(), None))?;
                if let Some(headers) = body.kind().headers().filter(|_| self.has_no_headers()) {
                    return self
                        .raw(|key, _, timestamp| function(Record { key, value: body.value(), headers, timestamp }));
                }
                self.with(|defaults| {
                    let mut composer = RecordComposer::new(*defaults);
                    let record = composer.compose(&body).map_err(|error| value_error(&error))?;
                    function(record)
                })
            }
            (Arg::Missing, Arg::Given(value)) => self.raw(|key, headers, timestamp| {
                let value = match value.is_none() {
                    true => None,
                    false => Some(
                        Octets::bytes_like(value)?
                            .ok_or_else(|| wrong_type(value, "value", "bytes-like or None (text is a message)"))?,
                    ),
                };
                let value = value.as_ref().map(Octets::as_slice);
                function(Record { key, value, headers: headers.into(), timestamp })
            }),
            _ => Err(PyTypeError::new_err(format!("{method}() takes a message or a value"))),
        }
    }

    /// As [`with`](Self::with), for a record that is not encoded: key, headers and timestamp alone.
    #[inline]
    fn raw<R>(
        &self,
        function: impl FnOnce(Option<&[u8]>, &[Header<'_>], Option<Timestamp>) -> PyResult<R>,
    ) -> PyResult<R> {
        let timestamp = self.timestamp_ms.map(Timestamp::from_millis);
        if self.headers.is_none() {
            let key = self.key.map(|key| Octets::bytes_or_text(key, "key")).transpose()?;
            return function(key.as_ref().map(Octets::as_slice), &[], timestamp);
        }
        self.raw_with_headers(timestamp, function)
    }

    #[inline(never)] // so that the memory of headers is no part of the other path
    fn raw_with_headers<R>(
        &self,
        timestamp: Option<Timestamp>,
        function: impl FnOnce(Option<&[u8]>, &[Header<'_>], Option<Timestamp>) -> PyResult<R>,
    ) -> PyResult<R> {
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
