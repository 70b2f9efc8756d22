//! Tests of the limit of the rate of Produce requests.

use core::num::NonZeroU32;

use super::*;

fn with_rate(per_second: u32) -> World {
    World::new(|config| config.max_produce_requests_per_second = NonZeroU32::new(per_second))
}

fn produce_requests(world: &World) -> usize {
    world.apis().iter().filter(|api| **api == 0).count()
}

#[test]
fn without_a_rate_each_batch_is_sent_at_once() {
    let mut world = World::new(|_| {});
    for _ in 0..100 {
        world.send(&["x"], 0);
        world.run();
    }
    assert_eq!(produce_requests(&world), 100);
}

#[test]
fn above_the_rate_batches_wait_and_share_requests() {
    let mut world = with_rate(10);
    let start = 1_000;
    world.pass(at(start));
    // Four batches for as many partitions, every 10 ms for 2 s.
    for tick in 0..200 {
        for partition in 0..4 {
            world.send(&["x"], partition);
        }
        world.pass(at(start + tick * 10));
    }
    let sent = produce_requests(&world);
    assert!((19..=21).contains(&sent), "{sent} requests in 2 s");
    let batches = world.produced().len();
    assert!((70..=84).contains(&batches), "{batches} batches: each request has one of each partition");
    world.pass(at(60_000));
    assert_eq!(world.fates().len(), 800);
    assert!(world.fates().iter().all(|(_, outcome)| *outcome == DONE));
}

#[test]
fn each_broker_has_a_rate_of_its_own_and_metadata_is_not_limited() {
    let mut world = with_rate(1);
    world.other_leader = Some((1, 2));
    world.send(&["x"], 0);
    world.send(&["y"], 1);
    world.run();
    assert_eq!(world.fates().len(), 2);
    world.send(&["x"], 0);
    world.producer.lookup_topic("other", world.now);
    world.pass(at(500));
    assert_eq!(world.fates().len(), 2, "the second has passed neither");
    assert!(world.events.iter().any(|event| matches!(event, Event::Topic { topic, .. } if topic == "other")));
    world.pass(at(1_000));
    assert_eq!(world.fates().len(), 3);
}

#[test]
fn a_batch_that_waits_for_the_rate_until_its_timeout_says_so() {
    let mut world = World::new(|config| {
        config.max_produce_requests_per_second = NonZeroU32::new(1);
        config.request_timeout = Duration::from_millis(300);
        config.delivery_timeout = Duration::from_millis(300);
    });
    world.send(&["x"], 0);
    world.run();
    world.send(&["y"], 0);
    world.pass(at(300));
    let text = world.error().to_string();
    assert!(text.contains("waiting to send another request to broker 1") && text.contains("not written"), "{text}");
}
