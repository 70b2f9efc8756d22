//! Messages that come from Python, as FastStream encodes them.

use std::sync::LazyLock;

use kafka_batch_core::message::{EncodeError, KeyOverride, Message, Overrides, Payload};
use kafka_batch_core::record::EncodedHeaders;
use kafka_batch_core::{Header, HeaderList, Timestamp};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::errors::lookup;
use crate::headers::{Headers, views};
use crate::octets::Octets;

/// A message: its value, and for some kinds what it sets itself.
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
    /// `None` with a key: a tombstone, as FastStream's `publish` has it.
    Null,
    /// Encoded by Python code, or copied.
    Owned(Box<Owned>),
}

/// Which messages have the same headers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Text,
    /// Nothing is known about the headers.
    Own,
}

impl Kind {
    /// Returns the headers of such a message in a call that adds none, if they are known.
    pub(crate) fn headers(self) -> Option<HeaderList<'static>> {
        static TEXT: LazyLock<Option<EncodedHeaders>> =
            LazyLock::new(|| EncodedHeaders::new(&[Header::new("content-type", TEXT_PLAIN)]).ok());
        match self {
            Self::Plain => Some(HeaderList::EMPTY),
            Self::Text => TEXT.as_ref().map(HeaderList::from),
            Self::Own => None,
        }
    }
}

const TEXT_PLAIN: &str = "text/plain";

/// A message that is not read in place.
#[derive(Default)]
pub(crate) struct Owned {
    value: Option<Vec<u8>>,
    content_type: Option<String>,
    key: Option<Vec<u8>>,
    headers: Option<EncodedHeaders>,
    timestamp: Option<Timestamp>,
    correlation_id: Option<String>,
    reply_to: Option<String>,
}

impl<'a> Body<'a> {
    /// Reads a message. This may run Python code. `has_key` says whether the call sets a key.
    pub(crate) fn read(object: Borrowed<'a, '_, PyAny>, has_key: bool) -> PyResult<Self> {
        // The usual types first, by comparing pointers: to ask for subclasses takes a call of the interpreter.
        if object.is_exact_instance_of::<PyBytes>() || object.is_instance_of::<PyBytes>() {
            return Ok(Self::Bytes(object.extract::<&'a [u8]>()?));
        }
        if object.is_instance_of::<PyString>() {
            return Ok(Self::Text(object.extract::<&'a str>()?));
        }
        if object.is_none() {
            return Ok(if has_key { Self::Null } else { Self::Bytes(b"") });
        }
        if let Some(octets) = Octets::bytes_like(&object)? {
            let value = Some(octets.as_slice().to_vec());
            return Ok(Self::Owned(Box::new(Owned { value, ..Owned::default() })));
        }
        Owned::encode(&object, has_key).map(|owned| Self::Owned(Box::new(owned)))
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Bytes(_) | Self::Null => Kind::Plain,
            Self::Text(_) => Kind::Text,
            Self::Owned(_) => Kind::Own,
        }
    }

    pub(crate) fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Text(text) => Some(text.as_bytes()),
            Self::Null => None,
            Self::Owned(owned) => owned.value.as_deref(),
        }
    }
}

/// What `kafka_batch._encode.encode` returns: value, content type, key, headers, timestamp, correlation id, reply topic.
type Parts<'py> = (
    Option<Vec<u8>>,
    Option<String>,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
    Option<i64>,
    Option<String>,
    Option<String>,
);

impl Owned {
    /// Encodes an object by `kafka_batch._encode.encode`.
    fn encode(object: &Bound<'_, PyAny>, has_key: bool) -> PyResult<Self> {
        let parts = lookup(object.py(), "kafka_batch._encode", "encode")?.call1((object, has_key))?;
        let (value, content_type, key, headers, timestamp_ms, correlation_id, reply_to) =
            parts.extract::<Parts<'_>>()?;
        let key = key.as_ref().map(|key| Octets::bytes_or_text(key, "key")).transpose()?;
        Ok(Self {
            value,
            content_type,
            key: key.map(|key| key.as_slice().to_vec()),
            headers: headers.as_ref().map(encode_headers).transpose()?,
            timestamp: timestamp_ms.map(Timestamp::from_millis),
            correlation_id,
            reply_to,
        })
    }
}

fn encode_headers(object: &Bound<'_, PyAny>) -> PyResult<EncodedHeaders> {
    let headers = Headers::read(Some(object))?;
    let octets = headers.octets()?;
    EncodedHeaders::new(views(&octets).as_slice()).map_err(|error| crate::options::value_error(&error))
}

impl Message for Body<'_> {
    fn payload<'s>(&'s self, _: &'s mut Vec<u8>) -> Result<Payload<'s>, EncodeError> {
        let payload = self.value().map_or(Payload::null(), Payload::new);
        Ok(match self {
            Self::Text(_) => payload.content_type(TEXT_PLAIN),
            Self::Owned(owned) => match &owned.content_type {
                Some(content_type) => payload.content_type(content_type),
                None => payload,
            },
            Self::Bytes(_) | Self::Null => payload,
        })
    }

    fn overrides(&self) -> Overrides<'_> {
        let Self::Owned(owned) = self else { return Overrides::default() };
        let Owned { key, headers, timestamp, correlation_id, reply_to, .. } = &**owned;
        let mut overrides = Overrides::default()
            .key(key.as_deref().map_or(KeyOverride::Inherit, KeyOverride::Key))
            .headers(headers.as_ref().map_or(HeaderList::EMPTY, HeaderList::from));
        if let Some(timestamp) = timestamp {
            overrides = overrides.timestamp(*timestamp);
        }
        if let Some(id) = correlation_id {
            overrides = overrides.correlation_id(id);
        }
        if let Some(topic) = reply_to {
            overrides = overrides.reply_to(topic);
        }
        overrides
    }
}
