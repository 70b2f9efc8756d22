//! Faults of the cluster for tests, by name.

use kafka_batch_testing::{ApiKey, Fault, FaultKind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What some kinds of faults need.
pub(crate) struct Details {
    pub(crate) code: Option<i16>,
    pub(crate) positions: Option<Vec<i32>>,
}

/// Returns the fault of this name.
pub(crate) fn kind(name: &str, details: Details) -> PyResult<FaultKind> {
    let Details { code, positions } = details;
    let code = || code.ok_or_else(|| PyValueError::new_err(format!("the fault {name:?} needs the code of an error")));
    Ok(match name {
        "error" => FaultKind::Refuse { code: code()?, all: true },
        "error_after_write" => FaultKind::ExecuteAndRefuse { code: code()? },
        "reject_records" => match positions {
            Some(positions) => FaultKind::RejectRecords { positions },
            None => return Err(PyValueError::new_err("the fault \"reject_records\" needs positions")),
        },
        "drop_request" => FaultKind::DropRequest,
        "drop_response" => FaultKind::DropResponse,
        "close_before" => FaultKind::CloseConnection { executed: false },
        "close_after" => FaultKind::CloseConnection { executed: true },
        other => {
            return Err(PyValueError::new_err(format!(
                "there is no fault {other:?}, but error, error_after_write, reject_records, drop_request, drop_response, \
                 close_before and close_after"
            )));
        }
    })
}

/// Restricts a fault to requests of the API with this name, such as `Produce`.
pub(crate) fn of_api(fault: Fault, name: &str) -> PyResult<Fault> {
    let api = (0..i16::from(u8::MAX)).filter_map(ApiKey::from_code).find(|api| format!("{api:?}") == name);
    api.map(|api| fault.api(api)).ok_or_else(|| PyValueError::new_err(format!("the cluster has no API {name:?}")))
}
