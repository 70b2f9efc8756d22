use super::TransactionState::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};
use super::*;

const ALL: [TransactionState; 6] = [Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort];
const TIMEOUT: Moment = Moment::from_secs(60);
const NOW: Moment = Moment::from_secs(5);

fn partitions(indexes: &[i32]) -> BTreeSet<Participant> {
    indexes.iter().map(|index| Participant::Partition("t".into(), *index)).collect()
}

/// Producer 7 with epoch 3; a transaction with partition 0 if it is open or ends.
fn known(state: TransactionState) -> Metadata {
    let participants = if matches!(state, Ongoing | PrepareCommit | PrepareAbort) { &[0][..] } else { &[] };
    Metadata {
        state,
        epoch: 3,
        previous_producer: 7,
        participants: partitions(participants),
        ..Metadata::new(7, TIMEOUT)
    }
}

fn no_producer() -> i64 {
    panic!("no producer id is assigned")
}

fn initialised(current: &Metadata, expected: Option<(i64, i16)>) -> Result<(i64, i16, i16), i16> {
    match init(current, expected, TIMEOUT, || 8)? {
        Init::Become(next) => {
            assert_eq!((next.state, next.participants.len(), next.next_producer), (Empty, 0, None));
            Ok((next.producer, next.epoch, next.last_epoch))
        }
        Init::AbortFirst => Err(CONCURRENT_TRANSACTIONS),
    }
}

#[test]
fn the_first_initialisation_has_epoch_0_whatever_the_client_expects() {
    let new = Metadata::new(7, TIMEOUT);
    assert_eq!(initialised(&new, None), Ok((7, 0, -1)));
    assert_eq!(initialised(&new, Some((99, 12))), Ok((7, 0, -1)), "the coordinator has forgotten the id");
}

#[test]
fn initialisation_without_identity_increments_the_epoch_and_fences() {
    for state in [Empty, CompleteCommit, CompleteAbort] {
        assert_eq!(initialised(&known(state), None), Ok((7, 4, -1)), "{state:?}");
    }
    for state in [Ongoing, PrepareCommit, PrepareAbort] {
        assert_eq!(initialised(&known(state), None), Err(51), "{state:?}");
    }
    assert_eq!(init(&known(Ongoing), None, TIMEOUT, no_producer), Ok(Init::AbortFirst));
}

#[test]
fn initialisation_with_identity_continues_repeats_or_is_fenced() {
    let current = known(Empty);
    assert_eq!(initialised(&current, Some((7, 3))), Ok((7, 4, 3)));
    assert_eq!(initialised(&current, Some((7, 2))), Err(90));
    assert_eq!(initialised(&current, Some((6, 3))), Err(90), "another producer id");
    let bumped = Metadata { epoch: 4, last_epoch: 3, ..current };
    assert_eq!(initialised(&bumped, Some((7, 3))), Ok((7, 4, 3)), "repeated: the same answer");
    assert_eq!(initialised(&bumped, Some((7, 4))), Ok((7, 5, 4)));
    assert_eq!(initialised(&Metadata { last_epoch: NO_EPOCH, ..bumped }, Some((7, 3))), Err(90), "another instance");
}

#[test]
fn exhausted_epochs_give_a_new_id_also_when_repeated() {
    let exhausted = Metadata { epoch: LAST_EPOCH, ..known(CompleteCommit) };
    assert_eq!(initialised(&exhausted, None), Ok((8, 0, -1)));
    assert_eq!(initialised(&exhausted, Some((7, LAST_EPOCH))), Ok((8, 0, LAST_EPOCH)));
    let Ok(Init::Become(rotated)) = init(&exhausted, Some((7, LAST_EPOCH)), TIMEOUT, || 8) else { panic!() };
    assert_eq!(initialised(&rotated, Some((7, LAST_EPOCH))), Ok((8, 0, LAST_EPOCH)), "repeated: the same answer");
    assert_eq!(initialised(&rotated, Some((7, 5))), Err(90));
}

#[test]
fn fencing_aborts_and_increments_the_epoch_once() {
    for (protocol, last_epoch) in [(Protocol::Classic, NO_EPOCH), (Protocol::EpochBump, 3)] {
        let fenced = fence(&known(Ongoing), protocol);
        assert_eq!((fenced.state, fenced.epoch, fenced.last_epoch), (PrepareAbort, 4, last_epoch));
        let done = complete(&fenced);
        assert_eq!((done.state, done.epoch, done.participants.len()), (CompleteAbort, 4, 0));
        assert_eq!(initialised(&done, None), Ok((7, 5, -1)), "a second instance is two epochs later");
        // InitProducerId(id, epoch) in the middle of a transaction fences itself below level 2 only.
        let itself = if protocol == Protocol::Classic { Err(90) } else { Ok((7, 4, 3)) };
        assert_eq!(initialised(&done, Some((7, 3))), itself);
    }
}

#[test]
fn partitions_are_added_in_each_state() {
    for state in ALL {
        let current = Metadata { started: Moment::from_secs(1), ..known(state) };
        let added = add(&current, 7, 3, &partitions(&[0, 1]), NOW);
        if current.is_ending() {
            assert_eq!(added, Err(51), "{state:?}");
            continue;
        }
        let added = added.unwrap().unwrap();
        let started = if state == Ongoing { Moment::from_secs(1) } else { NOW };
        assert_eq!((added.state, added.started), (Ongoing, started), "{state:?}");
        assert_eq!(added.participants, partitions(&[0, 1]), "{state:?}");
        assert_eq!(add(&added, 7, 3, &partitions(&[1]), NOW), Ok(None), "already in it");
        assert_eq!(add(&current, 6, 3, &partitions(&[1]), NOW), Err(49));
        assert_eq!(add(&current, 7, 2, &partitions(&[1]), NOW), Err(90));
        assert_eq!(add(&current, 7, 4, &partitions(&[1]), NOW), Err(90));
    }
}

#[test]
fn verification_finds_what_was_added() {
    let of = |partition| Participant::Partition("t".into(), partition);
    for state in ALL {
        let expected = match state {
            Ongoing => [Ok(()), Err(120)],
            PrepareCommit | PrepareAbort => [Err(51); 2],
            _ => [Err(120); 2],
        };
        assert_eq!([0, 1].map(|partition| verify(&known(state), 7, 3, &of(partition))), expected, "{state:?}");
    }
    assert_eq!(verify(&known(Ongoing), 7, 2, &of(0)), Err(90));
    assert_eq!(verify(&known(Ongoing), 6, 3, &of(0)), Err(49));
}

/// Returns the state and epoch after an EndTxn; `None` if it is a repetition.
fn ended(
    current: &Metadata,
    epoch: i16,
    commit: bool,
    protocol: Protocol,
) -> Result<Option<(TransactionState, i16)>, i16> {
    match end(current, (7, epoch), commit, protocol, no_producer)? {
        End::Become(next) => Ok(Some((next.state, next.epoch))),
        End::Repeated => Ok(None),
    }
}

#[test]
fn transactions_end_below_level_2_with_the_same_epoch() {
    let end = |state, commit| ended(&known(state), 3, commit, Protocol::Classic);
    assert_eq!(end(Ongoing, true), Ok(Some((PrepareCommit, 3))));
    assert_eq!(end(Ongoing, false), Ok(Some((PrepareAbort, 3))));
    assert_eq!([end(PrepareCommit, true), end(PrepareAbort, false)], [Err(51); 2]);
    assert_eq!([end(PrepareCommit, false), end(PrepareAbort, true)], [Err(48); 2]);
    assert_eq!([end(CompleteCommit, true), end(CompleteAbort, false)], [Ok(None); 2]);
    assert_eq!([end(CompleteCommit, false), end(CompleteAbort, true)], [Err(48); 2]);
    assert_eq!([end(Empty, true), end(Empty, false)], [Err(48); 2]);
    for state in ALL {
        for epoch in [2, 4] {
            assert_eq!(ended(&known(state), epoch, true, Protocol::Classic), Err(90), "{state:?}");
        }
    }
}

#[test]
fn transactions_end_at_level_2_with_the_next_epoch() {
    let end = |state, epoch, commit| ended(&known(state), epoch, commit, Protocol::EpochBump);
    assert_eq!(end(Ongoing, 3, true), Ok(Some((PrepareCommit, 4))));
    assert_eq!(end(Ongoing, 3, false), Ok(Some((PrepareAbort, 4))));
    assert_eq!(end(Ongoing, 2, true), Err(90), "a late EndTxn ends no other transaction");
    // The id has the next epoch meanwhile, so a repetition has the one before.
    assert_eq!([end(PrepareCommit, 2, true), end(PrepareAbort, 2, false)], [Err(51); 2]);
    assert_eq!([end(PrepareCommit, 2, false), end(PrepareAbort, 2, true)], [Err(48); 2]);
    assert_eq!([end(PrepareCommit, 3, true), end(PrepareAbort, 3, false)], [Err(90); 2]);
    assert_eq!([end(CompleteCommit, 2, true), end(CompleteAbort, 2, false)], [Ok(None); 2]);
    assert_eq!([end(CompleteCommit, 2, false), end(CompleteAbort, 2, true)], [Err(48); 2]);
    // The next transaction, to which nothing was added: only an abort has something to exclude.
    for state in [Empty, CompleteCommit, CompleteAbort] {
        assert_eq!(end(state, 3, true), Err(48), "{state:?}");
        assert_eq!(end(state, 3, false), Ok(Some((PrepareAbort, 4))), "{state:?}");
        assert_eq!(end(state, 1, false), Err(90), "{state:?}: two epochs old");
    }
    assert_eq!(super::end(&known(Ongoing), (6, 3), true, Protocol::EpochBump, no_producer), Err(49));
}

#[test]
fn the_last_epoch_ends_with_a_new_id() {
    let current = Metadata { epoch: LAST_EPOCH, ..known(Ongoing) };
    let Ok(End::Become(ending)) = end(&current, (7, LAST_EPOCH), true, Protocol::EpochBump, || 8) else { panic!() };
    assert_eq!((ending.producer, ending.epoch), (7, i16::MAX), "markers are those of the old id");
    assert_eq!(end(&ending, (7, LAST_EPOCH), true, Protocol::EpochBump, no_producer), Err(51));
    let done = complete(&ending);
    assert_eq!((done.state, done.producer, done.epoch), (CompleteCommit, 8, 0));
    assert_eq!(end(&done, (7, LAST_EPOCH), true, Protocol::EpochBump, no_producer), Ok(End::Repeated));
    assert_eq!(end(&done, (7, LAST_EPOCH), false, Protocol::EpochBump, no_producer), Err(48));
    assert_eq!(end(&done, (7, 5), true, Protocol::EpochBump, no_producer), Err(49), "an old id");
}
