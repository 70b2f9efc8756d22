//! Tests of Produce responses whose parts are not those of the request, one by one.

use super::*;

/// A response to Produce v3 with these partitions, each with its base offset.
fn response(topic: &str, partitions: &[(i32, i64)]) -> Vec<u8> {
    let mut body = 1_i32.to_be_bytes().to_vec();
    body.extend(string(topic));
    body.extend((partitions.len() as i32).to_be_bytes());
    for (partition, offset) in partitions {
        body.extend(partition.to_be_bytes());
        body.extend(0_i16.to_be_bytes());
        body.extend(offset.to_be_bytes());
        body.extend((-1_i64).to_be_bytes());
    }
    body.extend(0_i32.to_be_bytes());
    body
}

/// Sends a batch to each of the partitions 0 to 2 in one request, and receives this response to it. Returns the outcomes of
/// the batches; one without an outcome is sent again.
fn outcomes(topic: &str, partitions: &[(i32, i64)]) -> [Option<i64>; 3] {
    let mut world = World::new(|_| {});
    world.send(&["x"], 9);
    world.run();
    world.events.clear();
    let connection = world.connects[1].0;
    world.silent_connections.push(connection);
    let ids = [0, 1, 2].map(|partition| world.send(&["x"], partition));
    world.run();
    let request = world.requests.last().unwrap().clone();
    assert_eq!((request.version, request.produced().len()), (3, 3));
    let answer = frame(request.correlation, &response(topic, partitions));
    world.producer.handle_input(Input::Received(connection, &answer), world.now);
    world.run();
    let fates = world.fates();
    ids.map(|id| {
        let found = fates.iter().find(|(batch, _)| *batch == id.0);
        found.map(|(_, outcome)| outcome.unwrap().unwrap())
    })
}

#[test]
fn each_part_is_given_to_the_batch_of_its_partition() {
    let all = [Some(10), Some(11), Some(12)];
    assert_eq!(outcomes("t", &[(0, 10), (1, 11), (2, 12)]), all);
    assert_eq!(outcomes("t", &[(2, 12), (0, 10), (1, 11)]), all);
    assert_eq!(outcomes("t", &[(0, 10), (2, 12), (1, 11)]), all);
}

#[test]
fn a_batch_that_is_missing_in_the_response_has_no_outcome_yet() {
    assert_eq!(outcomes("t", &[(0, 10), (2, 12)]), [Some(10), None, Some(12)]);
    assert_eq!(outcomes("t", &[(0, 10), (1, 11)]), [Some(10), Some(11), None]);
    assert_eq!(outcomes("t", &[(0, 10), (1, 11), (7, 17)]), [Some(10), Some(11), None]);
    assert_eq!(outcomes("other", &[(0, 10), (1, 11), (2, 12)]), [None; 3]);
    assert_eq!(outcomes("t", &[]), [None; 3]);
}

#[test]
fn further_parts_of_a_response_are_ignored() {
    assert_eq!(outcomes("t", &[(0, 10), (1, 11), (2, 12), (7, 17)]), [Some(10), Some(11), Some(12)]);
    assert_eq!(outcomes("t", &[(0, 10), (1, 11), (2, 12), (2, 99)]), [Some(10), Some(11), Some(12)]);
}
