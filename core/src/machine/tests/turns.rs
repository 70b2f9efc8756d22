//! Tests of which partitions have their turn, and of how much is done for each.

use super::*;

/// Batches of about 2,100 bytes, of which a request of 10,000 bytes has room for four.
fn large() -> SealedBatch {
    batch(&[&"v".repeat(2_000)])
}

impl World {
    fn send_large(&mut self, partition: i32) {
        self.producer.send(large(), to(partition), self.now).unwrap();
    }

    /// Returns the partitions of each Produce request, and forgets all requests.
    fn members(&mut self) -> Vec<Vec<i32>> {
        let requests = core::mem::take(&mut self.requests);
        let produced = requests.iter().filter(|request| request.api == 0).map(Request::produced);
        produced.map(|sets| sets.iter().map(|(partition, _)| *partition).collect()).collect()
    }
}

#[test]
fn no_partition_starves_and_each_has_one_batch_in_a_request() {
    let mut world = World::new(|config| config.max_request_size = 10_000);
    for _ in 0..3 {
        for partition in 0..6 {
            world.send_large(partition);
        }
    }
    world.run();
    assert_eq!(world.members(), [&[0, 1, 2, 3][..], &[0, 1, 4, 5], &[2, 3, 4, 5], &[0, 1, 2, 3], &[4, 5]]);
    assert_eq!(world.fates().len(), 18);
}

#[test]
fn a_partition_that_gets_more_batches_while_it_waits_keeps_its_place() {
    let mut world = World::new(|config| {
        config.max_request_size = 5_000; // two batches
        config.max_in_flight_requests_per_connection = 1;
    });
    world.send(&["x"], 0);
    world.run();
    let first = world.pipeline(&["y"]).remove(0);
    for partition in [1, 2, 3] {
        world.send_large(partition);
        world.run();
    }
    world.send_large(1);
    world.send_large(2);
    world.run();
    world.requests.clear();
    world.reply(&first, ErrorCode::NONE);
    assert_eq!(world.members(), [vec![1, 2], vec![1, 3], vec![2]]);
}

#[test]
fn a_batch_is_sent_to_its_new_leader_although_the_old_one_cannot_be_reached() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.send(&["x"], 1);
    world.run();
    world.ignores_connects = true;
    let leader = world.connects[1].0;
    world.disconnect(leader);
    world.send(&["y"], 0);
    world.send(&["y"], 1);
    world.run();
    assert_eq!(world.fates().len(), 2, "they wait for a connection to broker 1");
    world.other_leader = Some((1, 2));
    world.pass(at(1_000));
    let &(new, _) = world.connects.iter().find(|(_, port)| *port == 9002).expect("it connects to broker 2");
    world.producer.handle_input(Input::Connected(new), world.now);
    world.run();
    assert_eq!(world.fates()[2..], [(3, DONE)], "the batch of partition 1 is delivered by broker 2");
}

#[test]
fn what_is_done_for_a_batch_does_not_grow_with_the_partitions_that_wait() {
    let changes_per_batch = |partitions: i32| {
        let mut world = World::new(|config| {
            config.max_request_size = 10_000;
            config.max_in_flight_requests_per_connection = 1;
        });
        world.partitions = partitions;
        for partition in 0..partitions {
            world.send(&["x"], partition);
        }
        world.run();
        for partition in 0..partitions {
            world.send_large(partition);
        }
        let before = world.producer.schedule_changes();
        world.run();
        assert_eq!(world.fates().len(), 2 * partitions as usize);
        (world.producer.schedule_changes() - before) as f64 / f64::from(partitions)
    };
    let (few, many) = (changes_per_batch(20), changes_per_batch(400));
    assert!(many <= few && few < 5.0, "{few} changes with 20 partitions, {many} with 400");
}

#[test]
fn what_is_done_for_a_batch_does_not_grow_with_those_that_wait_in_its_partition() {
    let mut world = World::new(|_| {});
    for _ in 0..2_000 {
        world.send(&["x"], 0);
    }
    let before = world.producer.schedule_changes();
    world.run();
    assert_eq!(world.fates().len(), 2_000);
    let changes = world.producer.schedule_changes() - before;
    assert!(changes < 4 * 2_000, "{changes}");
}

#[test]
fn a_batch_that_is_accepted_while_others_are_in_flight_is_pipelined() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    world.responses.extend([None; 3]);
    for value in ["a", "b", "c"] {
        world.requests.clear();
        world.send(&[value], 0);
        world.run();
        assert_eq!(world.produced().len(), 1, "{value}");
    }
}

#[test]
fn a_partition_whose_old_leader_leads_again_sends_without_waiting_for_a_response() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    let leader = world.pipeline(&["in flight"])[0].connection;
    world.silent_connections.push(leader);
    for (moment, leads) in [(200, 2), (400, 1)] {
        world.requests.clear();
        world.leader = leads;
        world.producer.lookup_topic("t", world.now);
        world.pass(at(moment));
        if leads == 2 {
            world.send(&["y"], 0);
            world.run();
            assert!(world.produced().is_empty(), "nothing is sent to the new leader before the old one has responded");
        }
    }
    assert_eq!(world.stamps(), [(7, 0, 2)]);
}

#[test]
fn the_next_deadline_is_that_of_the_oldest_batch_without_an_outcome() {
    let mut world = World::new(|config| {
        config.delivery_timeout = Duration::from_secs(10);
        config.request_timeout = Duration::from_secs(60);
    });
    world.send(&["x"], 0);
    world.run();
    let oldest = world.pipeline(&["in flight"]).remove(0);
    world.pass(at(5_000));
    world.silent_connections.push(oldest.connection);
    world.send(&["later"], 1);
    world.run();
    world.silent_connections.clear();
    assert_eq!(world.wait, Some(at(10_000)));
    world.reply(&oldest, ErrorCode::NONE);
    assert_eq!(world.wait, Some(at(15_000)));
}

#[test]
fn a_request_has_its_own_time_though_the_timer_was_set_for_an_earlier_one() {
    let mut world = World::new(|config| config.request_timeout = Duration::from_secs(30));
    world.send(&["x"], 0);
    world.run();
    let connection = world.connects[1].0;
    world.pass(at(20_000));
    world.silent_connections.push(connection);
    world.send(&["y"], 0);
    world.pass(at(49_999));
    assert_eq!(world.closed, [], "the timer of the first request was due after 30 s");
    world.pass(at(50_001));
    assert_eq!(world.closed, [connection], "the second one has waited for 30 s");
    world.silent_connections.clear();
    world.pass(at(60_000));
    assert_eq!(world.fates(), [(0, DONE), (1, DONE)]);
}
