//! The native part of the Python package `kafka_batch`: the batch of `kafka-batch-core` as Python objects.
//!
//! No method runs Python code while it holds a lock (see `shared`), and no Python object is kept in a static, so the module
//! can be used from several threads, with and without the global interpreter lock.

mod aiokafka;
mod batch;
mod call;
mod errors;
mod faults;
mod fill;
mod headers;
mod message;
mod octets;
mod options;
mod producer;
mod record;
mod shared;
mod testing;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<batch::KafkaBatch>()?;
    module.add_class::<batch::Mark>()?;
    module.add_class::<record::Record>()?;
    module.add_class::<record::RecordMetadata>()?;
    module.add_class::<aiokafka::Builder>()?;
    module.add_class::<producer::Machine>()?;
    module.add_class::<producer::Delivery>()?;
    module.add_class::<producer::RecordDelivery>()?;
    module.add_function(wrap_pyfunction!(producer::setting_names, module)?)?;
    producer::collect_logs();
    module.add_class::<testing::Cluster>()
}
