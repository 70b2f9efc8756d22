//! Tests of recovering the batches of a machine that has panicked.

use super::*;

/// A batch: its id, its base offset or the fate of each record, and its number of records.
type Taken = (u64, Result<Option<i64>, Vec<Option<Fate>>>, usize);

fn taken(world: &mut World) -> Vec<Taken> {
    let mut taken = Vec::new();
    while let Some(event) = world.producer.take_unfinished() {
        taken.push(match event {
            Event::Delivered { id, delivery } => {
                (id.0, Ok(delivery.base_offset()), delivery.into_batch().record_count())
            }
            Event::Failed { id, error } => {
                assert!(matches!(error.reason, FailureReason::Closed));
                let fates = (0..error.record_count()).map(|position| error.fate_of(position)).collect();
                (id.0, Err(fates), error.batch.unwrap().record_count())
            }
            event => panic!("{event:?}"),
        });
    }
    taken
}

const NOT_WRITTEN: Option<Fate> = Some(Fate::NotWritten);
const UNKNOWN: Option<Fate> = Some(Fate::Unknown);

#[test]
fn every_batch_is_returned_once_with_its_fate() {
    let mut world = World::new(|_| {});
    world.send(&["delivered"], 0);
    world.run();
    let sent = world.pipeline(&["in", "flight"]);
    world.send(&["never", "sent"], 1);
    // One response has arrived, but its event was not polled yet.
    let answer = world.answer(&sent[0]).unwrap();
    world.producer.handle_input(Input::Received(sent[0].connection, &answer), world.now);
    let expected = [(1, Ok(Some(100)), 1), (2, Err(vec![UNKNOWN]), 1), (3, Err(vec![NOT_WRITTEN; 2]), 2)];
    assert_eq!(taken(&mut world), expected);
    assert_eq!(taken(&mut world), []);
    assert!(matches!(world.producer.poll_output(world.now), Output::Wait(_)), "the machine is closed");
    let refused = world.producer.send(batch(&["late"]), to(0), world.now).unwrap_err();
    assert_eq!(refused.kind, MachineSendErrorKind::Closed);
}

#[test]
fn each_record_of_a_split_batch_has_its_own_fate() {
    let mut world = World::new(|config| {
        config.split_too_large = true;
        config.enable_idempotence = false; // one part at a time
    });
    let too_large = Some(ErrorCode::MESSAGE_TOO_LARGE.0);
    world.responses.extend([too_large, Some(0), too_large, None]);
    world.send(&["a", "b", "c", "d"], 0);
    world.run();
    let [(0, Err(fates), 4)] = &taken(&mut world)[..] else { panic!("exactly one batch must be returned") };
    assert_eq!(fates[..], [Some(Fate::Written), UNKNOWN, NOT_WRITTEN, NOT_WRITTEN]);
}

#[test]
fn what_was_refused_before_is_unknown_since_it_was_sent() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    world.responses.push_back(Some(ErrorCode::NOT_ENOUGH_REPLICAS.0));
    world.send(&["refused"], 0);
    world.run();
    world.events.clear();
    assert_eq!(taken(&mut world), [(1, Err(vec![UNKNOWN]), 1)]);
}

#[test]
fn parts_of_several_records_that_were_never_sent_are_not_written() {
    let mut world = World::new(|config| {
        config.split_too_large = true;
        config.enable_idempotence = false; // one part at a time
    });
    world.responses.extend([Some(ErrorCode::MESSAGE_TOO_LARGE.0), None]);
    world.send(&["a", "b", "c", "d", "e", "f"], 0);
    world.run();
    let [(0, Err(fates), 6)] = &taken(&mut world)[..] else { panic!("exactly one batch must be returned") };
    let sent = fates.iter().take_while(|&&fate| fate == UNKNOWN).count();
    assert!((1..6).contains(&sent), "{fates:?}");
    assert!(fates[sent..].iter().all(|&fate| fate == NOT_WRITTEN), "{fates:?}");
}
