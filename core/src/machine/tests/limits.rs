//! Tests of the limits of the machine, each at its border: memory, requests, lengths of names.

use super::*;

/// The size of a batch with one record of one byte.
fn size() -> usize {
    batch(&["x"]).size()
}

#[test]
fn batches_are_accepted_up_to_exactly_buffer_memory() {
    let mut world = World::new(|config| config.buffer_memory = 2 * size());
    assert!(world.producer.has_room());
    for buffered in [1, 2] {
        world.send(&["x"], 0);
        assert_eq!(world.producer.bytes_buffered(), buffered * size());
        assert_eq!(world.producer.has_room(), buffered < 2);
    }
    let refused = world.producer.send(batch(&["x"]), to(0), world.now).unwrap_err();
    let full = MachineSendErrorKind::Full { buffered: 2 * size(), needed: size(), limit: 2 * size() };
    assert_eq!(refused.kind, full);
    world.run();
    assert_eq!((world.producer.bytes_buffered(), world.producer.has_room()), (0, true));
    world.producer.close(CloseMode::Graceful, world.now);
    assert!(!world.producer.has_room());
}

#[test]
fn a_batch_as_large_as_buffer_memory_is_accepted_and_a_larger_one_never() {
    let mut world = World::new(|config| config.buffer_memory = size());
    world.send(&["x"], 0);
    let mut world = World::new(|config| config.buffer_memory = size() - 1);
    let refused = world.producer.send(batch(&["x"]), to(0), world.now).unwrap_err();
    assert_eq!(refused.kind, MachineSendErrorKind::ExceedsBufferMemory { needed: size(), limit: size() - 1 });
}

#[test]
fn a_request_takes_batches_up_to_max_request_size() {
    // What a request has besides its batches is counted with an upper bound: 128 bytes and the name of the client, and for
    // each batch 64 bytes and the name of its topic.
    let counted = 128 + "client".len() + 2 * (size() + 64 + "t".len());
    for (limit, expected) in [(counted, &[2][..]), (counted - 1, &[1, 1])] {
        let mut world = World::new(|config| {
            config.client_id = "client".into();
            config.max_request_size = limit;
        });
        world.send(&["x"], 0);
        world.send(&["x"], 1);
        world.run();
        let produced = world.requests.iter().filter(|request| request.api == 0).map(|request| request.produced().len());
        assert_eq!(produced.collect::<Vec<_>>(), expected, "{limit}");
    }
}

#[test]
fn names_of_topics_have_1_to_249_bytes() {
    for (len, valid) in [(0, false), (1, true), (249, true), (250, false)] {
        let topic = "n".repeat(len);
        let mut world = World::new(|_| {});
        let sent = world.producer.send(batch(&["x"]), TopicPartition::new(&*topic, 0), world.now);
        assert_eq!(sent.map_err(|error| error.kind).err(), (!valid).then_some(MachineSendErrorKind::InvalidTopic));
        let mut world = World::new(|_| {});
        world.producer.lookup_topic(&topic, world.now);
        world.run();
        let [Event::Topic { partitions, .. }] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!(matches!(partitions, Err(TopicLookupError::InvalidTopic)), !valid, "{len}: {partitions:?}");
        assert_eq!(world.producer.partition_count(&topic), valid.then_some(20));
    }
}

#[test]
fn a_flush_waits_for_the_batches_before_it_only() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    let before = world.pipeline(&["before"]).remove(0);
    let flush = world.producer.flush(world.now);
    world.pipeline(&["after"]);
    let flushed = |world: &World| world.events.iter().any(|event| matches!(event, Event::Flushed(id) if *id == flush));
    assert!(!flushed(&world));
    world.reply(&before, ErrorCode::NONE);
    assert!(flushed(&world));
    assert_eq!(world.fates().len(), 2, "the batch after it has no outcome");
}
