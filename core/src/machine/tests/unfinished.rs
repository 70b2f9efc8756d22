//! What a driver can still get out of a machine that has panicked.

use super::*;

/// A batch: its offset, or what is known of each record; and how many records it has.
type Taken = (u64, Result<Option<i64>, Vec<Option<Fate>>>, usize);

fn taken(world: &mut World) -> Vec<Taken> {
    let mut taken = Vec::new();
    while let Some(event) = world.producer.take_unfinished() {
        taken.push(match event {
            Event::Delivered { batch, delivery } => {
                (batch.0, Ok(delivery.base_offset()), delivery.into_batch().record_count())
            }
            Event::Failed { batch, error } => {
                assert!(matches!(error.reason, FailureReason::Closed));
                let fates = (0..error.record_count()).map(|position| error.fate_of(position)).collect();
                (batch.0, Err(fates), error.batch.unwrap().record_count())
            }
            event => panic!("{event:?}"),
        });
    }
    taken
}

const NOT_WRITTEN: Option<Fate> = Some(Fate::NotWritten);
const UNKNOWN: Option<Fate> = Some(Fate::Unknown);

#[test]
fn every_batch_is_taken_out_once_with_what_is_certain_of_it() {
    let mut world = World::new(|_| {});
    world.send(&["delivered"], 0);
    world.run();
    let sent = world.fly(&["in", "flight"]);
    world.send(&["never", "sent"], 1);
    // The answer to one is there, and the event was not taken yet.
    let answer = world.answer(&sent[0]).unwrap();
    world.producer.handle_input(Input::Received(sent[0].connection, &answer), world.now);
    let expected = [(1, Ok(Some(100)), 1), (2, Err(vec![UNKNOWN]), 1), (3, Err(vec![NOT_WRITTEN; 2]), 2)];
    assert_eq!(taken(&mut world), expected);
    assert_eq!(taken(&mut world), []);
    assert!(matches!(world.producer.poll_output(world.now), Output::Wait(_)), "it is closed");
    let refused = world.producer.send(batch(&["late"]), to(0), world.now).unwrap_err();
    assert_eq!(refused.reason, SendErrorKind::Closed);
}

#[test]
fn of_a_batch_that_was_split_each_record_has_what_is_certain_of_it() {
    let mut world = World::new(|config| {
        config.split_too_large = true;
        config.enable_idempotence = false; // one part after the other
    });
    let too_large = Some(ErrorCode::MESSAGE_TOO_LARGE.0);
    world.answers.extend([too_large, Some(0), too_large, None]);
    world.send(&["a", "b", "c", "d"], 0);
    world.run();
    let [(0, Err(fates), 4)] = &taken(&mut world)[..] else { panic!("one batch is taken") };
    assert_eq!(fates[..], [Some(Fate::Written), UNKNOWN, NOT_WRITTEN, NOT_WRITTEN]);
}
