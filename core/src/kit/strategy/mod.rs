//! Strategies: records, options, batches, operations, and what else a test of a batch wants to be surprised by.

mod options;
mod records;

pub use options::{
    BrokerVersionText, Landing, NearLimit, batches, broker_versions, compressions, limited_batches, magics, marking,
    near_limit, operations, options, roomy_options, stamps,
};
pub use records::{bytes, header_lists, headers, record, records, timestamps};
