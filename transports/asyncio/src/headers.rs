//! Headers that come from Python: a mapping, as in FastStream, or pairs, as in aiokafka.

use kafka_batch_core::Header;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use smallvec::SmallVec;

use crate::octets::{Octets, wrong_type};

type Pair<'py> = (Bound<'py, PyString>, Option<Bound<'py, PyAny>>);

/// Most calls have few headers, for which no memory is allocated.
type Few<T> = SmallVec<[T; 4]>;

/// The headers of a call, in order. Names may repeat if they are given as pairs.
pub(crate) struct Headers<'py>(Few<Pair<'py>>);

impl<'py> Headers<'py> {
    /// Reads the headers of an argument. This may run Python code.
    pub(crate) fn read(object: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let Some(object) = object.filter(|object| !object.is_none()) else { return Ok(Self(Few::new())) };
        let mut pairs = Few::new();
        if let Ok(dict) = object.cast::<PyDict>() {
            for (name, value) in dict {
                pairs.push(pair(name, value)?);
            }
        } else if let Ok(list) = object.cast::<PyList>() {
            for item in list {
                pairs.push(unpack(&item)?);
            }
        } else if object.is_instance_of::<PyString>() {
            return Err(wrong_type(object, "headers", "a mapping or pairs of name and value"));
        } else {
            let items = match object.hasattr("items")? {
                true => object.call_method0("items")?,
                false => object.clone(),
            };
            for item in items.try_iter()? {
                pairs.push(unpack(&item?)?);
            }
        }
        Ok(Self(pairs))
    }

    /// Returns the bytes of the values.
    pub(crate) fn octets(&self) -> PyResult<Few<(&str, Option<Octets<'_>>)>> {
        let octets = |value| Octets::bytes_or_text(value, "the value of a header");
        self.0.iter().map(|(name, value)| Ok((name.to_str()?, value.as_ref().map(octets).transpose()?))).collect()
    }
}

fn unpack<'py>(item: &Bound<'py, PyAny>) -> PyResult<Pair<'py>> {
    match item.cast::<PyTuple>() {
        Ok(item) if item.len() == 2 => pair(item.get_item(0)?, item.get_item(1)?),
        _ => {
            let (name, value) = item.extract()?;
            pair(name, value)
        }
    }
}

fn pair<'py>(name: Bound<'py, PyAny>, value: Bound<'py, PyAny>) -> PyResult<Pair<'py>> {
    match name.cast_into::<PyString>() {
        Ok(name) => Ok((name, (!value.is_none()).then_some(value))),
        Err(error) => Err(wrong_type(&error.into_inner(), "the name of a header", "str")),
    }
}

/// Returns the headers as the core takes them.
pub(crate) fn views<'a>(octets: &'a [(&'a str, Option<Octets<'a>>)]) -> Few<Header<'a>> {
    octets.iter().map(|(name, value)| Header { name, value: value.as_ref().map(Octets::as_slice) }).collect()
}
