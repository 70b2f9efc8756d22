//! Batches without key or partition: to leaders in the rack of the producer (KIP-1123).

use std::collections::BTreeSet;

use super::*;

/// Returns the partitions that batches without one are sent to, with brokers in the racks a, b and a.
fn chosen(rack: Option<&str>) -> Vec<i32> {
    let mut world = world();
    world.broker.partitions = 6;
    world.broker.racks = vec!["a", "b", "a"];
    world.driver = world.driver.map(|driver| driver.rack(rack.map(str::to_owned)));
    let producer = world.producer.clone();
    let mut looked_up = Box::pin(async move { producer.partition_count(TOPIC).await.unwrap() });
    assert!(poll(&mut looked_up).is_pending());
    world.turn();
    let Poll::Ready(partitions) = poll(&mut looked_up) else { panic!("not looked up") };
    let topics = &world.queue.topics;
    let chosen: BTreeSet<i32> = (0..100)
        .map(|_| {
            let partition = topics.pick(TOPIC, partitions);
            topics.on_batch_accepted(TOPIC, partition);
            partition
        })
        .collect();
    chosen.into_iter().collect()
}

#[test]
fn partitions_are_those_of_leaders_in_the_rack_if_there_are_any() {
    assert_eq!(chosen(Some("b")), [1, 4]);
    assert_eq!(chosen(Some("a")), [0, 2, 3, 5]);
    assert_eq!(chosen(Some("elsewhere")), [0, 1, 2, 3, 4, 5]);
    assert_eq!(chosen(None), [0, 1, 2, 3, 4, 5]);
}
