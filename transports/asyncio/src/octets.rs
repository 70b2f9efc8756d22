//! Keys, values and header values: bytes that come from Python.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

/// The bytes of a Python object. `bytes` and `str` are read in place; `bytearray` and `memoryview` are copied, because they
/// can change, and because the stable ABI of Python 3.10 has no buffers.
pub(crate) enum Octets<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
}

impl<'a> Octets<'a> {
    /// Returns the bytes of a bytes-like object, or `None` for other objects.
    pub(crate) fn bytes_like(object: &'a Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Some(Self::Borrowed(bytes.as_bytes())));
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            return Ok(Some(Self::Owned(bytes.to_vec())));
        }
        if object.is_instance_of::<PyMemoryView>() {
            return Ok(Some(Self::Owned(object.call_method0("tobytes")?.extract()?)));
        }
        Ok(None)
    }

    /// Returns the bytes of a bytes-like object or the UTF-8 of a text.
    pub(crate) fn bytes_or_text(object: &'a Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self::Borrowed(text.to_str()?.as_bytes()));
        }
        Self::bytes_like(object)?.ok_or_else(|| wrong_type(object, what, "bytes-like, str or None"))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Returns the `TypeError` of an argument.
pub(crate) fn wrong_type(object: &Bound<'_, PyAny>, what: &str, expected: &str) -> PyErr {
    match object.get_type().name() {
        Ok(name) => PyTypeError::new_err(format!("{what} must be {expected}, not {name}")),
        Err(error) => error,
    }
}
