//! The settings of a batch, from the constructor's keywords.

use kafka_batch_core::batch::Boundary;
use kafka_batch_core::compression::ParseCompressionError;
use kafka_batch_core::{BatchOptions, BrokerVersion, Compression, DEFAULT_BATCH_SIZE};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The keywords of the constructor that are settings.
pub(crate) struct Settings<'a> {
    pub(crate) batch_size: Option<usize>,
    pub(crate) compression_type: Option<&'a str>,
    pub(crate) api_version: Option<&'a str>,
    pub(crate) max_message_bytes: usize,
    pub(crate) max_records: Option<u32>,
    pub(crate) boundary: &'a str,
}

impl Settings<'_> {
    pub(crate) fn options(&self) -> PyResult<BatchOptions> {
        let compression = match self.compression_type {
            None => Compression::None,
            Some(name) => name.parse().map_err(|error: ParseCompressionError| value_error(&error))?,
        };
        let boundary = match self.boundary {
            "inclusive" => Boundary::Inclusive,
            "aiokafka" => Boundary::Aiokafka,
            other => {
                return Err(PyValueError::new_err(format!("boundary must be inclusive or aiokafka, not {other:?}")));
            }
        };
        let mut options = BatchOptions::default()
            .batch_size(self.batch_size.unwrap_or(DEFAULT_BATCH_SIZE))
            .max_message_bytes(self.max_message_bytes)
            .boundary(boundary)
            .compression(compression);
        if let Some(records) = self.max_records {
            options = options.max_records(records);
        }
        match self.api_version {
            None | Some("auto") => Ok(options),
            Some(version) => Ok(options.magic(version.parse::<BrokerVersion>().map_err(|error| value_error(&error))?)),
        }
    }
}

/// Returns the `ValueError` with the text of an error.
pub(crate) fn value_error(error: &dyn std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
