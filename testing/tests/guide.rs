//! The guide's test of its `Outbox`, compiled and run.

// The guide's code names the facade, of which it needs nothing that core does not have.
extern crate kafka_batch_core as kafka_batch;

const GUIDE: &str = include_str!("../../docs/guide.md");

mod left {
    include!("../../tests/conformance/shown/left_to_send.rs");

    pub(super) fn left(error: &DeliveryError) -> Result<Option<KafkaBatch>, BatchLost> {
        left_to_send(error)
    }
}

mod outbox {
    use super::left::left as left_to_send;

    include!("../../tests/conformance/shown/outbox.rs");

    mod test {
        use super::{JoinSet, Outbox};

        include!("shown/outbox_test.rs");
    }
}

#[test]
fn the_guide_contains_the_test_that_runs_here() {
    assert!(GUIDE.contains(&format!("```rust,ignore\n{}```\n", include_str!("shown/outbox_test.rs"))));
}
