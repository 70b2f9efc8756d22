//! What the clusters of this suite have in common.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kafka_batch::BatchOptions;
use kafka_batch::protocol::ErrorCode;

use crate::subject::Wanted;

/// How a broker answers a Produce request that it does not execute.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Error(ErrorCode),
    /// It closes the connection.
    Close,
}

/// Returns a topic name that no other case uses, also with a cluster that is its own: a case may leave a producer with an
/// undelivered batch, and the next cluster may get the port to which that producer connects.
pub(crate) fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("conformance-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Creates a producer for these brokers, with the settings of most cases.
pub(crate) fn wanted(servers: String) -> Wanted {
    let options = BatchOptions::default();
    Wanted {
        servers,
        options,
        buffer: 32 << 20,
        patience: Duration::from_secs(30),
        acks: "all",
        linger: "0",
        seed: 7,
        hooks: None,
    }
}
