//! The rows of the table, by API. Rows are executed in their order: some depend on what earlier ones have written.

mod api_versions;
mod batches;
mod create_topics;
mod fetch;
mod frames;
mod idempotence;
mod init_producer_id;
mod limits;
mod list_offsets;
mod metadata;
mod produce;
mod sasl;
mod transactions;

use crate::table::Table;

/// Returns the whole table.
pub(crate) fn table() -> Table {
    let mut table = Table::default();
    api_versions::add(&mut table);
    frames::add(&mut table);
    sasl::add(&mut table);
    metadata::add(&mut table);
    create_topics::add(&mut table);
    init_producer_id::add(&mut table);
    produce::add(&mut table);
    batches::add(&mut table);
    limits::add(&mut table);
    idempotence::add(&mut table);
    transactions::add(&mut table);
    list_offsets::add(&mut table);
    fetch::add(&mut table);
    table
}
