//! Tests of batches that are too large, splitting, and older formats.

use super::*;

#[test]
fn a_batch_that_is_too_large_fails_and_is_returned() {
    let mut world = World::new(|_| {});
    world.responses.push_back(Some(ErrorCode::MESSAGE_TOO_LARGE.0));
    world.send(&["x", "y"], 0);
    world.pass(at(1_000));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
    assert_eq!(world.error().batch.as_ref().unwrap().record_count(), 2);
}

#[test]
fn a_batch_that_is_too_large_is_split_if_configured_and_has_one_event() {
    let mut world = World::new(|config| config.split_too_large = true);
    world.responses.extend([Some(ErrorCode::MESSAGE_TOO_LARGE.0), Some(0), Some(ErrorCode::MESSAGE_TOO_LARGE.0)]);
    world.send(&["a", "b", "c", "d"], 0);
    world.send(&["later"], 0);
    world.pass(at(5_000));
    let fates = world.fates();
    assert_eq!(fates.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 1], "{fates:?}");
    match &world.events[0] {
        Event::Delivered { delivery, .. } => {
            assert_eq!(delivery.record_count(), 4);
            let offsets: Vec<Option<i64>> = (0..4).map(|position| delivery.offset(position)).collect();
            assert_eq!(
                offsets,
                [Some(100), Some(100), Some(100), Some(101)],
                "two parts of one record, and one of two"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_records_of_a_split_batch_have_the_append_time_of_the_broker() {
    let mut world = World::new(|config| config.split_too_large = true);
    world.responses.push_back(Some(ErrorCode::MESSAGE_TOO_LARGE.0));
    world.append_time = 7_000;
    world.send(&["a", "b"], 0);
    world.pass(at(5_000));
    let [.., Event::Delivered { delivery, .. }] = &world.events[..] else { panic!("{:?}", world.events) };
    assert_eq!(delivery.log_append_time(), Some(Timestamp::from_millis(7_000)));
    assert!(delivery.records().all(|record| record.timestamp == Timestamp::from_millis(7_000)));
}

/// zstd needs magic 2, so a batch that is converted for an older broker loses its compression, and can become too large.
#[cfg(feature = "zstd")]
#[test]
fn a_record_that_fits_no_batch_has_an_error_with_the_size_of_a_batch_with_it_alone() {
    let mut world = World::new(|config| {
        config.split_too_large = true;
        config.down_conversion = crate::batch::convert::DownConversion::DropAll;
    });
    world.produce = 2;
    let options = crate::BatchOptions::default().max_message_bytes(300).compression("zstd".parse().unwrap());
    let mut batch = options.build(0).unwrap();
    batch.extend([Record::new("small"), Record::new(&"x".repeat(400))]).unwrap();
    world.producer.send(batch.seal().unwrap(), to(0), world.now).unwrap();
    world.pass(at(5_000));
    let [error] = &world.error().record_errors[..] else { panic!("{}", world.error()) };
    assert_eq!(error.position, 1);
    assert_eq!(error.message.as_deref(), Some("the record alone makes a batch of 434 bytes, and the limit is 300"));
}

/// Real brokers do not return the position of a record that is too large.
#[test]
fn a_record_that_is_too_large_by_itself_has_a_record_error() {
    let mut world = World::new(|config| config.split_too_large = true);
    let too_large = Some(ErrorCode::MESSAGE_TOO_LARGE.0);
    world.responses.extend([too_large, Some(0), too_large]); // both, the first, the second
    world.send(&["small", "huge"], 0);
    world.pass(at(5_000));
    let error = world.error();
    assert_eq!(error.record_errors.iter().map(|error| error.position).collect::<Vec<_>>(), [1], "{error}");
    assert_eq!((error.fate_of(0), error.fate_of(1)), (Some(Fate::Written), Some(Fate::NotWritten)));
    assert_eq!(error.remainder().unwrap().record_count(), 0, "one is written, and the other is rejected");
}

#[test]
fn a_part_that_was_a_duplicate_has_no_offset() {
    let mut world = World::new(|config| config.split_too_large = true);
    let duplicate = ErrorCode::DUPLICATE_SEQUENCE_NUMBER.0;
    world.responses.extend([Some(ErrorCode::MESSAGE_TOO_LARGE.0), Some(duplicate), Some(0)]);
    world.send(&["a", "b"], 0);
    world.pass(at(5_000));
    match &world.events[..] {
        [.., Event::Delivered { delivery, .. }] => assert_eq!([0, 1].map(|at| delivery.offset(at)), [None, Some(100)]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn batches_are_converted_for_an_older_broker_or_fail_with_the_losses() {
    let mut world = World::new(|_| {});
    world.produce = 2;
    world.send(&["x"], 0);
    let mut with_headers = KafkaBatch::new(Timestamp::from_millis(0));
    let headers = [Header::new("h", "v")];
    with_headers.extend([Record::new("x").headers(&headers)]).unwrap();
    world.producer.send(with_headers.seal().unwrap(), to(1), world.now).unwrap();
    world.run();
    assert_eq!(world.fates().len(), 2);
    assert!(world.fates().contains(&(0, DONE)) && world.fates().contains(&(1, NOT_WRITTEN)));
    let produced = world.produced();
    assert_eq!(RecordBatches::new(&produced[0].1).next().unwrap().unwrap().magic(), Magic::V1);
    assert!(world.error().to_string().contains("magic 1 cannot carry the header of record 0;"), "{}", world.error());
}

#[test]
fn the_bytes_of_a_batch_are_never_copied() {
    let mut world = World::new(|_| {});
    let mut places = Vec::new();
    world.send(&["x"], 0);
    for _ in 0..200 {
        match world.producer.poll_output(world.now) {
            Output::Connect { connection, .. } => {
                world.producer.handle_input(Input::Connected(connection), world.now);
            }
            Output::Transmit { connection, bytes } => {
                let request = Request::parse(connection, &bytes);
                if request.api == 0 {
                    places.push(bytes[1].as_ptr());
                    world.responses.push_back(Some(ErrorCode::NOT_ENOUGH_REPLICAS.0));
                }
                let answer = world.answer(&request).unwrap();
                world.producer.handle_input(Input::Received(connection, &answer), world.now);
            }
            Output::Wait(Some(next)) if places.len() < 3 => world.now = next,
            _ => {}
        }
    }
    assert!(places.len() == 3 && places.iter().all(|place| *place == places[0]), "{places:?}");
}

#[test]
fn the_offsets_of_a_part_are_those_of_its_records_or_unknown() {
    for (offset, code, expected) in [
        (0, ErrorCode::NONE, [Some(0), Some(1), Some(0), Some(1)]),
        (100, ErrorCode::DUPLICATE_SEQUENCE_NUMBER, [None, None, Some(100), Some(101)]),
    ] {
        let mut world = World::new(|config| config.split_too_large = true);
        world.offset = offset;
        world.responses.extend([Some(ErrorCode::MESSAGE_TOO_LARGE.0), Some(code.0), Some(0)]);
        let value = "v".repeat(100); // so that the parts have two records each
        world.send(&[&value, &value, &value, &value], 0);
        world.pass(at(5_000));
        let [.., Event::Delivered { delivery, .. }] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!([0, 1, 2, 3].map(|position| delivery.offset(position)), expected);
    }
}

#[test]
fn the_start_of_the_log_is_known_of_a_split_batch_if_the_brokers_report_it() {
    for (version, expected) in [(3, None), (5, Some(0))] {
        let mut world = World::new(|config| config.split_too_large = true);
        world.produce = version;
        world.responses.push_back(Some(ErrorCode::MESSAGE_TOO_LARGE.0));
        world.send(&["a", "b"], 0);
        world.pass(at(5_000));
        let [.., Event::Delivered { delivery, .. }] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!(delivery.log_start_offset(), expected);
    }
}

/// zstd needs magic 2, so a batch that is converted for an older broker loses its compression, and can become too large.
#[cfg(feature = "zstd")]
#[test]
fn a_batch_that_becomes_too_large_for_an_older_broker_fails_whole_unless_it_may_be_split() {
    for split in [false, true] {
        let mut world = World::new(|config| {
            config.split_too_large = split;
            config.down_conversion = crate::batch::convert::DownConversion::DropAll;
        });
        world.produce = 2;
        let options = crate::BatchOptions::default().max_message_bytes(600).compression("zstd".parse().unwrap());
        let mut batch = options.build(0).unwrap();
        batch.extend([Record::new(&"x".repeat(400)), Record::new(&"x".repeat(400))]).unwrap();
        world.producer.send(batch.seal().unwrap(), to(0), world.now).unwrap();
        world.pass(at(5_000));
        assert_eq!(world.produced().len(), if split { 2 } else { 0 });
        if split {
            assert!(
                matches!(&world.events[..], [.., Event::Delivered { delivery, .. }] if delivery.record_count() == 2)
            );
        } else {
            assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
            assert!(matches!(world.error().reason, FailureReason::Seal(_)), "{}", world.error());
        }
    }
}
