//! Producer ids and epochs that brokers refuse: when the machine asks for another, and what goes out under it.

use super::*;

/// The codes with which brokers refuse an identity, or a sequence under it.
const CODES: [ErrorCode; 7] = [
    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode::INVALID_PRODUCER_EPOCH,
    ErrorCode::INVALID_TXN_STATE,
    ErrorCode::INVALID_PRODUCER_ID_MAPPING,
    ErrorCode::UNKNOWN_PRODUCER_ID,
    ErrorCode::PRODUCER_FENCED,
    ErrorCode::TRANSACTION_ABORTABLE,
];

/// Those that say something about the identity itself, at any sequence.
const OF_THE_IDENTITY: [ErrorCode; 5] = [
    ErrorCode::INVALID_PRODUCER_EPOCH,
    ErrorCode::INVALID_TXN_STATE,
    ErrorCode::INVALID_PRODUCER_ID_MAPPING,
    ErrorCode::PRODUCER_FENCED,
    ErrorCode::TRANSACTION_ABORTABLE,
];

fn with_timeouts() -> World {
    World::new(|config| {
        config.request_timeout = Duration::from_secs(6);
        config.delivery_timeout = Duration::from_secs(10);
    })
}

/// Answers this to every identity that was not handed out.
fn only_handed_out(code: ErrorCode) -> IdentityCheck {
    Box::new(move |_, identity, handed_out| if handed_out.contains(&identity) { ErrorCode::NONE } else { code })
}

/// Answers this to these producer ids.
fn refuses_ids(ids: &'static [i64], code: ErrorCode) -> IdentityCheck {
    Box::new(move |_, (id, _), _| if ids.contains(&id) { code } else { ErrorCode::NONE })
}

impl World {
    /// How many identities were asked for.
    fn inits(&self) -> usize {
        self.asked.iter().filter(|asked| asked.api == 22).count()
    }

    /// Sends a batch to partition 0, whose requests get no answer before the delivery timeout.
    fn lose_one(&mut self) {
        self.answers.extend([None, None]);
        let lost = self.send(&["lost"], 0);
        self.pass(self.now + Duration::from_millis(10_500));
        assert_eq!(*self.fates().last().unwrap(), (lost.0, UNKNOWN));
        self.pass(self.now + Duration::from_secs(6)); // the silent connection is given up
        self.answers.clear();
        self.mute.clear();
    }

    /// Sends a batch to this partition, which is delivered before 300 ms have passed.
    fn delivers_promptly(&mut self, partition: i32) {
        let sent = self.send(&["later"], partition);
        self.pass(self.now + Duration::from_millis(300));
        assert_eq!(*self.fates().last().unwrap(), (sent.0, DONE), "{:?}", self.stamps());
    }
}

/// A broker that answers one batch, is silent for the delivery timeout, and then takes no epoch but the one that it handed out.
fn recovers_from_a_refused_epoch_of_its_own(code: ErrorCode) {
    let mut world = with_timeouts();
    world.check_identity = only_handed_out(code);
    world.delivers_promptly(0);
    world.lose_one();
    for _ in 0..10 {
        world.delivers_promptly(0);
    }
    assert_eq!(world.inits(), 2, "{code:?}");
    let own: Vec<_> = world.stamps().into_iter().filter(|stamp| stamp.1 > 0).collect();
    assert_eq!(own, [(7, 1, 0)], "{code:?}: one epoch of its own, once");
    // From then on it asks, instead of taking the next epoch by itself.
    world.lose_one();
    world.delivers_promptly(0);
    world.delivers_promptly(3);
    assert_eq!(world.inits(), 3, "{code:?}");
    assert_eq!(world.stamps().iter().filter(|stamp| stamp.1 > 0).count(), 1, "{code:?}");
}

macro_rules! recoveries {
    ($($name:ident $code:ident;)*) => {
        mod a_refused_epoch_of_its_own {
            use super::*;
            $(#[test]
            fn $name() {
                recovers_from_a_refused_epoch_of_its_own(ErrorCode::$code);
            })*
        }
    };
}

recoveries! {
    out_of_order_sequence_number OUT_OF_ORDER_SEQUENCE_NUMBER;
    invalid_producer_epoch INVALID_PRODUCER_EPOCH;
    invalid_txn_state INVALID_TXN_STATE;
    invalid_producer_id_mapping INVALID_PRODUCER_ID_MAPPING;
    unknown_producer_id UNKNOWN_PRODUCER_ID;
    producer_fenced PRODUCER_FENCED;
    transaction_abortable TRANSACTION_ABORTABLE;
}

#[test]
fn an_id_that_the_broker_has_forgotten_is_replaced_at_once_on_all_partitions() {
    for code in OF_THE_IDENTITY {
        let mut world = World::new(|_| {});
        for partition in 0..3 {
            world.delivers_promptly(partition);
        }
        world.check_identity = refuses_ids(&[7], code);
        let flying = world.fly(&["a", "b", "c"]);
        for asked in &flying {
            world.reply(asked, ErrorCode::NONE); // which the check turns into a refusal
        }
        assert_eq!(world.fates()[3..], [(3, DONE), (4, DONE), (5, DONE)], "{code:?}: without a wait");
        assert_eq!(world.stamps()[6..], [(8, 0, 0), (8, 0, 1), (8, 0, 2)], "{code:?}");
        world.delivers_promptly(1);
        world.delivers_promptly(2);
        assert_eq!(world.stamps()[9..], [(8, 0, 0), (8, 0, 0)], "{code:?}: no other partition goes on under id 7");
        assert_eq!(world.inits(), 2, "{code:?}");
    }
}

#[test]
fn a_first_sequence_that_is_refused_costs_the_id() {
    for code in [ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode::UNKNOWN_PRODUCER_ID] {
        let mut world = World::new(|_| {});
        world.check_identity = refuses_ids(&[7], code);
        world.delivers_promptly(0);
        assert_eq!(world.stamps(), [(7, 0, 0), (8, 0, 0)], "{code:?}: the next epoch would be taken no better");
    }
}

#[test]
fn what_may_be_written_under_a_refused_id_is_never_sent_under_another() {
    for code in OF_THE_IDENTITY {
        let mut world = World::new(|_| {});
        world.delivers_promptly(0);
        let flying = world.fly(&["a", "b"]);
        world.send(&["c"], 0);
        world.check_identity = refuses_ids(&[7], code);
        world.lost(flying[0].connection);
        world.pass(at(5_000));
        assert_eq!(world.fates()[1..], [(1, UNKNOWN), (2, UNKNOWN), (3, DONE)], "{code:?}");
        let stamps = world.stamps();
        assert_eq!(stamps.last(), Some(&(8, 0, 0)), "{code:?}");
        assert_eq!(stamps.iter().filter(|stamp| stamp.0 == 8).count(), 1, "{code:?}: {stamps:?}");
        assert_eq!(world.error().reason.code(), Some(code));
    }
}

/// Another partition's batch may be in the log, and its leader takes the id still: the same bytes prove it.
#[test]
fn what_another_partition_may_have_written_is_repeated_as_it_was() {
    let mut world = World::new(|_| {});
    world.delivers_promptly(0);
    world.delivers_promptly(1);
    world.answers.push_back(Some(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND.0));
    world.send(&["a"], 1);
    world.run();
    world.send(&["b"], 1);
    world.check_identity = Box::new(|partition, (id, _), _| match (partition, id) {
        (0, 7) => ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        _ => ErrorCode::NONE,
    });
    world.send(&["x"], 0);
    world.pass(at(3_000));
    let of_1: Vec<_> = world.produced().iter().filter(|(to, _)| *to == 1).map(|(_, batch)| stamp_of(batch)).collect();
    assert_eq!(of_1, [(7, 0, 0), (7, 0, 1), (7, 0, 1), (8, 0, 0)], "a is repeated, b goes under the new id, behind it");
    assert!(world.fates().iter().all(|(_, end)| *end == DONE), "{:?}", world.fates());
}

#[test]
fn what_another_partition_has_certainly_not_written_goes_out_under_the_new_id() {
    let mut world = World::new(|_| {});
    world.delivers_promptly(0);
    world.delivers_promptly(1);
    world.answers.push_back(Some(ErrorCode::NOT_ENOUGH_REPLICAS.0));
    world.send(&["a"], 1);
    world.run();
    world.check_identity = refuses_ids(&[7], ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    world.send(&["x"], 0);
    world.pass(world.now + Duration::from_secs(1));
    let of_1: Vec<_> = world.produced().iter().filter(|(to, _)| *to == 1).map(|(_, batch)| stamp_of(batch)).collect();
    assert_eq!(of_1, [(7, 0, 0), (7, 0, 1), (8, 0, 0)], "the old id is not tried once more");
    assert_eq!(world.inits(), 2);
}

#[test]
fn an_identity_that_is_handed_out_again_after_it_was_refused_is_not_used() {
    let mut world = with_timeouts();
    world.ids = core::iter::repeat_n((7, 0), 1_000).collect();
    world.check_identity = refuses_ids(&[7], ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    world.send(&["x"], 0);
    world.send(&["y"], 1);
    world.pass(at(11_000));
    world.send(&["z"], 2);
    world.pass(at(22_000));
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 0)], "one request, with two partitions");
    assert_eq!(world.fates(), [(0, NOT_WRITTEN), (1, NOT_WRITTEN), (2, NOT_WRITTEN)]);
    // 10 s + 10 s, and one request a second at last (retry.backoff.max.ms).
    assert!((15..=32).contains(&world.inits()), "{}", world.inits());
    for event in &world.events {
        let Event::Failed { error, .. } = event else { panic!("{event:?}") };
        causes::is(
            &error.reason.to_string(),
            "waiting for a producer id (InitProducerId); last error # ms \
             before: broker 1 at broker:9001: the broker answered InitProducerId with producer id 7 and epoch 0 again, after \
             broker 1 answered Produce v3 with INVALID_PRODUCER_ID_MAPPING (49)",
        );
    }
}

/// Ids of old, too: a broker may have taken batches under them.
#[test]
fn an_earlier_id_that_is_handed_out_again_is_not_used() {
    let mut world = World::new(|_| {});
    world.ids = VecDeque::from([(7, 0), (8, 0), (7, 0), (8, 0), (9, 0)]);
    world.delivers_promptly(0);
    world.check_identity = refuses_ids(&[7, 8], ErrorCode::PRODUCER_FENCED);
    world.send(&["x"], 0);
    world.pass(at(3_000));
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 1), (8, 0, 0), (9, 0, 0)]);
    assert_eq!(world.inits(), 5);
}

#[test]
fn new_ids_that_are_all_refused_are_asked_for_ever_more_slowly() {
    for code in CODES {
        let mut world = with_timeouts();
        world.check_identity = Box::new(move |_, _, _| code);
        for partition in 0..20 {
            world.send(&["x"], partition);
        }
        world.pass(at(11_000));
        assert_eq!(world.fates(), (0..20).map(|batch| (batch, NOT_WRITTEN)).collect::<Vec<_>>(), "{code:?}");
        assert!((5..=20).contains(&world.inits()), "{code:?}: {}", world.inits());
        let said = world.error().reason.to_string();
        let cause = alloc::format!(" ms before: broker 1 answered Produce v3 with {code}");
        assert!(said.contains(&cause), "{said}");
    }
}

/// Every id is good for partition 1, which proves it, and none for partition 0.
#[test]
fn one_partition_that_refuses_every_id_does_not_make_it_ask_without_end() {
    for code in CODES {
        let mut world = with_timeouts();
        world.check_identity = Box::new(move |partition, _, _| if partition == 0 { code } else { ErrorCode::NONE });
        world.send(&["x"], 0);
        for _ in 0..100 {
            world.send(&["y"], 1);
            world.pass(world.now + Duration::from_millis(90));
        }
        world.pass(at(11_000));
        assert!(world.inits() <= 20, "{code:?}: {}", world.inits());
        let failed = world.fates().into_iter().filter(|(_, end)| end.is_err()).collect::<Vec<_>>();
        assert_eq!(failed, [(0, NOT_WRITTEN)], "{code:?}");
    }
}

/// The refusal is of what was in flight before a later epoch of the same id was handed out: it says nothing of that one.
#[test]
fn a_late_refusal_of_an_earlier_epoch_leaves_the_later_one_in_use() {
    let mut world = World::new(|_| {});
    world.ids = VecDeque::from([(7, 0), (7, 5), (8, 0)]);
    world.other_leader = Some((1, 2));
    world.delivers_promptly(0);
    world.delivers_promptly(1);
    let to_broker_2 = world.connects.last().unwrap().0;
    world.mute.push(to_broker_2);
    world.send(&["b"], 1);
    world.run();
    let of_b = world.asked.last().unwrap().clone();
    assert_eq!(of_b.connection, to_broker_2);
    world.mute.clear();
    world.answers.push_back(Some(ErrorCode::PRODUCER_FENCED.0));
    world.send(&["a"], 0);
    world.run();
    assert_eq!(world.stamps().last(), Some(&(7, 5, 0)), "a, again");
    world.reply(&of_b, ErrorCode::PRODUCER_FENCED);
    assert_eq!(world.stamps().last(), Some(&(7, 5, 0)), "b, again");
    world.delivers_promptly(2);
    assert_eq!(world.stamps().last(), Some(&(7, 5, 0)));
    assert_eq!(world.inits(), 2);
}

#[test]
fn behind_the_last_epoch_comes_another_id() {
    let mut world = with_timeouts();
    world.ids = VecDeque::from([(7, i16::MAX - 1), (7, i16::MAX), (7, 0), (8, 3)]);
    world.delivers_promptly(0);
    world.lose_one();
    world.delivers_promptly(0);
    assert_eq!(world.stamps().last(), Some(&(7, i16::MAX, 0)), "the last epoch is one like any other");
    assert_eq!(world.inits(), 1);
    world.lose_one();
    let sent = world.send(&["behind the last epoch"], 0);
    world.pass(world.now + Duration::from_secs(3));
    assert_eq!(world.fates().last(), Some(&(sent.0, DONE)));
    assert_eq!(world.stamps().last(), Some(&(8, 3, 0)));
    assert_eq!(world.inits(), 4, "epochs of id 7 that are handed out again are none that can be used");
}

/// From the first epoch to the last, by failures alone.
#[test]
fn every_epoch_is_used_once_and_then_the_id_is_replaced() {
    let mut world = World::new(|_| {});
    world.ids = VecDeque::from([(7, 0), (8, 0)]);
    for epoch in 0..=i16::MAX {
        world.answers.push_back(Some(ErrorCode::INVALID_RECORD.0)); // the sequence is given up
        world.send(&["x"], 0);
        world.run();
        assert_eq!(world.stamps(), [(7, epoch, 0)]);
        assert_eq!(world.fates().len(), 1);
        world.asked.clear();
        world.events.clear();
    }
    world.delivers_promptly(0);
    assert_eq!((world.inits(), world.stamps()), (1, vec![(8, 0, 0)]));
}

#[test]
fn while_no_identity_is_to_be_had_the_error_says_what_was_answered() {
    for (code, said) in [
        (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, "COORDINATOR_LOAD_IN_PROGRESS (14)"),
        (ErrorCode::PRODUCER_FENCED, "PRODUCER_FENCED (90)"),
        (ErrorCode::INVALID_PRODUCER_ID_MAPPING, "INVALID_PRODUCER_ID_MAPPING (49)"),
        (ErrorCode::UNKNOWN_SERVER_ERROR, "UNKNOWN_SERVER_ERROR (-1)"),
    ] {
        let mut world = with_timeouts();
        world.init_errors = core::iter::repeat_n(code, 1_000).collect();
        world.send(&["x"], 0);
        world.pass(at(11_000));
        assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
        let expected = "waiting for a producer id (InitProducerId); last error # ms before: broker 1 at broker:9001: the broker \
                        answered InitProducerId v0 with ";
        causes::is(&world.error().reason.to_string(), &alloc::format!("{expected}{said}"));
        assert!((9..=20).contains(&world.inits()), "{}", world.inits());
    }
}

#[test]
fn an_id_or_an_epoch_below_0_is_none() {
    for nonsense in [(-1, 0), (7, -1), (-1, -1), (i64::MIN, i16::MIN)] {
        let mut world = with_timeouts();
        world.ids = VecDeque::from([nonsense, (7, 0)]);
        let sent = world.send(&["x"], 0);
        world.pass(at(1_000));
        assert_eq!(world.stamps(), [(7, 0, 0)]);
        assert_eq!(world.fates(), [(sent.0, DONE)]);

        let mut world = with_timeouts();
        world.ids = core::iter::repeat_n(nonsense, 1_000).collect();
        world.send(&["x"], 0);
        world.pass(at(11_000));
        let said = alloc::format!("InitProducerId with producer id {} and epoch {}, which", nonsense.0, nonsense.1);
        assert!(world.error().reason.to_string().contains(&said), "{}", world.error().reason);
    }
}
