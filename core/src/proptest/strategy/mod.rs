//! Strategies for records, options, batches, operations, outcomes of sending a batch, and broker versions.

mod options;
mod outcomes;
mod records;

pub use options::{
    BrokerVersionText, LimitCase, NearLimit, batches, broker_versions, compressions, limited_batches, magics, marking,
    near_limit, operations, options, roomy_options, stamps,
};
pub use outcomes::{deliveries, delivery_errors, error_codes, failure_reasons, outcomes};
pub use records::{bytes, header_lists, headers, record, records, timestamps};
