//! Tests of producer ids and epochs that brokers refuse: when the machine requests another, and what it sends under it.

use super::*;

/// The error codes with which brokers refuse an identity, or a sequence under it.
const CODES: [ErrorCode; 7] = [
    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode::INVALID_PRODUCER_EPOCH,
    ErrorCode::INVALID_TXN_STATE,
    ErrorCode::INVALID_PRODUCER_ID_MAPPING,
    ErrorCode::UNKNOWN_PRODUCER_ID,
    ErrorCode::PRODUCER_FENCED,
    ErrorCode::TRANSACTION_ABORTABLE,
];

/// Those that refuse the identity itself, at any sequence.
const IDENTITY_CODES: [ErrorCode; 5] = [
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

/// Returns this code for every identity that was not issued.
fn only_issued(code: ErrorCode) -> IdentityCheck {
    Box::new(move |_, identity, handed_out| if handed_out.contains(&identity) { ErrorCode::NONE } else { code })
}

/// Returns this code for these producer ids.
fn refuses_ids(ids: &'static [i64], code: ErrorCode) -> IdentityCheck {
    Box::new(move |_, (id, _), _| if ids.contains(&id) { code } else { ErrorCode::NONE })
}

impl World {
    /// Returns the number of InitProducerId requests.
    fn init_producer_id_requests(&self) -> usize {
        self.requests.iter().filter(|request| request.api == 22).count()
    }

    /// Sends a batch to partition 0 whose requests get no response before the delivery timeout.
    fn time_out_one_batch(&mut self) {
        self.responses.extend([None, None]);
        let lost = self.send(&["lost"], 0);
        self.pass(self.now + Duration::from_millis(10_500));
        assert_eq!(*self.fates().last().unwrap(), (lost.0, UNKNOWN));
        self.pass(self.now + Duration::from_secs(6)); // the silent connection is closed
        self.responses.clear();
        self.silent_connections.clear();
    }

    /// Sends a batch to this partition, which is delivered within 300 ms.
    fn deliver_promptly(&mut self, partition: i32) {
        let sent = self.send(&["later"], partition);
        self.pass(self.now + Duration::from_millis(300));
        assert_eq!(*self.fates().last().unwrap(), (sent.0, DONE), "{:?}", self.stamps());
    }
}

/// A broker that responds to one batch, then to nothing for the delivery timeout, and then accepts only the epoch that
/// it issued.
fn recovers_from_a_refused_epoch_bump(code: ErrorCode) {
    let mut world = with_timeouts();
    world.check_identity = only_issued(code);
    world.deliver_promptly(0);
    world.time_out_one_batch();
    for _ in 0..10 {
        world.deliver_promptly(0);
    }
    assert_eq!(world.init_producer_id_requests(), 2, "{code:?}");
    let bumped: Vec<_> = world.stamps().into_iter().filter(|stamp| stamp.1 > 0).collect();
    assert_eq!(bumped, [(7, 1, 0)], "{code:?}: the machine bumps the epoch by itself once");
    // From then on it requests an identity, instead of bumping the epoch by itself.
    world.time_out_one_batch();
    world.deliver_promptly(0);
    world.deliver_promptly(3);
    assert_eq!(world.init_producer_id_requests(), 3, "{code:?}");
    assert_eq!(world.stamps().iter().filter(|stamp| stamp.1 > 0).count(), 1, "{code:?}");
}

macro_rules! recoveries {
    ($($name:ident $code:ident;)*) => {
        mod a_refused_epoch_bump {
            use super::*;
            $(#[test]
            fn $name() {
                recovers_from_a_refused_epoch_bump(ErrorCode::$code);
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
fn a_refused_id_is_replaced_immediately_on_all_partitions() {
    for code in IDENTITY_CODES {
        let mut world = World::new(|_| {});
        for partition in 0..3 {
            world.deliver_promptly(partition);
        }
        world.check_identity = refuses_ids(&[7], code);
        let in_flight = world.pipeline(&["a", "b", "c"]);
        for request in &in_flight {
            world.reply(request, ErrorCode::NONE); // which check_identity turns into a refusal
        }
        assert_eq!(world.fates()[3..], [(3, DONE), (4, DONE), (5, DONE)], "{code:?}: without a back-off");
        assert_eq!(world.stamps()[6..], [(8, 0, 0), (8, 0, 1), (8, 0, 2)], "{code:?}");
        world.deliver_promptly(1);
        world.deliver_promptly(2);
        assert_eq!(world.stamps()[9..], [(8, 0, 0), (8, 0, 0)], "{code:?}: no partition continues under id 7");
        assert_eq!(world.init_producer_id_requests(), 2, "{code:?}");
    }
}

#[test]
fn a_refused_first_sequence_replaces_the_id() {
    for code in [ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode::UNKNOWN_PRODUCER_ID] {
        let mut world = World::new(|_| {});
        world.check_identity = refuses_ids(&[7], code);
        world.deliver_promptly(0);
        assert_eq!(world.stamps(), [(7, 0, 0), (8, 0, 0)], "{code:?}: the next epoch would be refused too");
    }
}

#[test]
fn a_batch_that_may_be_written_under_a_refused_id_is_never_sent_under_another() {
    for code in IDENTITY_CODES {
        let mut world = World::new(|_| {});
        world.deliver_promptly(0);
        let in_flight = world.pipeline(&["a", "b"]);
        world.send(&["c"], 0);
        world.check_identity = refuses_ids(&[7], code);
        world.disconnect(in_flight[0].connection);
        world.pass(at(5_000));
        assert_eq!(world.fates()[1..], [(1, UNKNOWN), (2, UNKNOWN), (3, DONE)], "{code:?}");
        let stamps = world.stamps();
        assert_eq!(stamps.last(), Some(&(8, 0, 0)), "{code:?}");
        assert_eq!(stamps.iter().filter(|stamp| stamp.0 == 8).count(), 1, "{code:?}: {stamps:?}");
        assert_eq!(world.error().reason.code(), Some(code));
    }
}

/// The batch of another partition may be in the log, and its leader still accepts the id: sending the same bytes proves
/// it.
#[test]
fn a_batch_that_another_partition_may_have_written_is_retried_unchanged() {
    let mut world = World::new(|_| {});
    world.deliver_promptly(0);
    world.deliver_promptly(1);
    world.responses.push_back(Some(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND.0));
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
    assert_eq!(
        of_1,
        [(7, 0, 0), (7, 0, 1), (7, 0, 1), (8, 0, 0)],
        "a is retried unchanged; b follows under the new id"
    );
    assert!(world.fates().iter().all(|(_, end)| *end == DONE), "{:?}", world.fates());
}

#[test]
fn a_batch_that_another_partition_has_not_written_is_sent_under_the_new_id() {
    let mut world = World::new(|_| {});
    world.deliver_promptly(0);
    world.deliver_promptly(1);
    world.responses.push_back(Some(ErrorCode::NOT_ENOUGH_REPLICAS.0));
    world.send(&["a"], 1);
    world.run();
    world.check_identity = refuses_ids(&[7], ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    world.send(&["x"], 0);
    world.pass(world.now + Duration::from_secs(1));
    let of_1: Vec<_> = world.produced().iter().filter(|(to, _)| *to == 1).map(|(_, batch)| stamp_of(batch)).collect();
    assert_eq!(of_1, [(7, 0, 0), (7, 0, 1), (8, 0, 0)], "the old id is not tried again");
    assert_eq!(world.init_producer_id_requests(), 2);
}

#[test]
fn a_refused_identity_is_not_used_when_it_is_issued_again() {
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
    // 10 s + 10 s, in which the back-off grows to one request per second (retry.backoff.max.ms).
    assert!((15..=32).contains(&world.init_producer_id_requests()), "{}", world.init_producer_id_requests());
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

/// Nor an earlier id: a broker may have accepted batches under it.
#[test]
fn an_earlier_id_is_not_used_when_it_is_issued_again() {
    let mut world = World::new(|_| {});
    world.ids = VecDeque::from([(7, 0), (8, 0), (7, 0), (8, 0), (9, 0)]);
    world.deliver_promptly(0);
    world.check_identity = refuses_ids(&[7, 8], ErrorCode::PRODUCER_FENCED);
    world.send(&["x"], 0);
    world.pass(at(3_000));
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 1), (8, 0, 0), (9, 0, 0)]);
    assert_eq!(world.init_producer_id_requests(), 5);
}

#[test]
fn requests_for_ids_that_are_all_refused_back_off() {
    for code in CODES {
        let mut world = with_timeouts();
        world.check_identity = Box::new(move |_, _, _| code);
        for partition in 0..20 {
            world.send(&["x"], partition);
        }
        world.pass(at(11_000));
        assert_eq!(world.fates(), (0..20).map(|batch| (batch, NOT_WRITTEN)).collect::<Vec<_>>(), "{code:?}");
        assert!(
            (5..=20).contains(&world.init_producer_id_requests()),
            "{code:?}: {}",
            world.init_producer_id_requests()
        );
        let found = world.error().reason.to_string();
        let cause = alloc::format!(" ms before: broker 1 answered Produce v3 with {code}");
        assert!(found.contains(&cause), "{found}");
    }
}

/// Partition 1 accepts every id, and partition 0 none.
#[test]
fn one_partition_that_refuses_every_id_does_not_cause_endless_requests() {
    for code in CODES {
        let mut world = with_timeouts();
        world.check_identity = Box::new(move |partition, _, _| if partition == 0 { code } else { ErrorCode::NONE });
        world.send(&["x"], 0);
        for _ in 0..100 {
            world.send(&["y"], 1);
            world.pass(world.now + Duration::from_millis(90));
        }
        world.pass(at(11_000));
        assert!(world.init_producer_id_requests() <= 20, "{code:?}: {}", world.init_producer_id_requests());
        let failed = world.fates().into_iter().filter(|(_, end)| end.is_err()).collect::<Vec<_>>();
        assert_eq!(failed, [(0, NOT_WRITTEN)], "{code:?}");
    }
}

/// The refused batch was in flight before a later epoch of the same id was issued: the refusal does not apply to that
/// one.
#[test]
fn a_late_refusal_of_an_earlier_epoch_leaves_the_later_one_in_use() {
    let mut world = World::new(|_| {});
    world.ids = VecDeque::from([(7, 0), (7, 5), (8, 0)]);
    world.other_leader = Some((1, 2));
    world.deliver_promptly(0);
    world.deliver_promptly(1);
    let to_broker_2 = world.connects.last().unwrap().0;
    world.silent_connections.push(to_broker_2);
    world.send(&["b"], 1);
    world.run();
    let of_b = world.requests.last().unwrap().clone();
    assert_eq!(of_b.connection, to_broker_2);
    world.silent_connections.clear();
    world.responses.push_back(Some(ErrorCode::PRODUCER_FENCED.0));
    world.send(&["a"], 0);
    world.run();
    assert_eq!(world.stamps().last(), Some(&(7, 5, 0)), "a is retried");
    world.reply(&of_b, ErrorCode::PRODUCER_FENCED);
    assert_eq!(world.stamps().last(), Some(&(7, 5, 0)), "b is retried");
    world.deliver_promptly(2);
    assert_eq!(world.stamps().last(), Some(&(7, 5, 0)));
    assert_eq!(world.init_producer_id_requests(), 2);
}

#[test]
fn after_the_last_epoch_another_id_is_requested() {
    let mut world = with_timeouts();
    world.ids = VecDeque::from([(7, i16::MAX - 1), (7, i16::MAX), (7, 0), (8, 3)]);
    world.deliver_promptly(0);
    world.time_out_one_batch();
    world.deliver_promptly(0);
    assert_eq!(world.stamps().last(), Some(&(7, i16::MAX, 0)), "the last epoch is used like any other");
    assert_eq!(world.init_producer_id_requests(), 1);
    world.time_out_one_batch();
    let sent = world.send(&["after the last epoch"], 0);
    world.pass(world.now + Duration::from_secs(3));
    assert_eq!(world.fates().last(), Some(&(sent.0, DONE)));
    assert_eq!(world.stamps().last(), Some(&(8, 3, 0)));
    assert_eq!(world.init_producer_id_requests(), 4, "epochs of id 7 are not used when they are issued again");
}

/// From the first epoch to the last, by failures alone.
#[test]
fn every_epoch_is_used_once_and_then_the_id_is_replaced() {
    let mut world = World::new(|_| {});
    world.ids = VecDeque::from([(7, 0), (8, 0)]);
    for epoch in 0..=i16::MAX {
        world.responses.push_back(Some(ErrorCode::INVALID_RECORD.0)); // its sequence is not used again
        world.send(&["x"], 0);
        world.run();
        assert_eq!(world.stamps(), [(7, epoch, 0)]);
        assert_eq!(world.fates().len(), 1);
        world.requests.clear();
        world.events.clear();
    }
    world.deliver_promptly(0);
    assert_eq!((world.init_producer_id_requests(), world.stamps()), (1, vec![(8, 0, 0)]));
}

#[test]
fn the_error_of_a_batch_without_an_identity_has_the_response() {
    for (code, name) in [
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
        causes::is(&world.error().reason.to_string(), &alloc::format!("{expected}{name}"));
        assert!((9..=20).contains(&world.init_producer_id_requests()), "{}", world.init_producer_id_requests());
    }
}

#[test]
fn a_negative_id_or_epoch_is_not_used() {
    for invalid in [(-1, 0), (7, -1), (-1, -1), (i64::MIN, i16::MIN)] {
        let mut world = with_timeouts();
        world.ids = VecDeque::from([invalid, (7, 0)]);
        let sent = world.send(&["x"], 0);
        world.pass(at(1_000));
        assert_eq!(world.stamps(), [(7, 0, 0)]);
        assert_eq!(world.fates(), [(sent.0, DONE)]);

        let mut world = with_timeouts();
        world.ids = core::iter::repeat_n(invalid, 1_000).collect();
        world.send(&["x"], 0);
        world.pass(at(11_000));
        let expected = alloc::format!("InitProducerId with producer id {} and epoch {}, which", invalid.0, invalid.1);
        assert!(world.error().reason.to_string().contains(&expected), "{}", world.error().reason);
    }
}

/// Partition 1 needs another identity, while requests of partition 0, which does not, take the room in the connection again and
/// again. Returns the requests of three turns.
fn beside_a_busy_partition(ids: impl IntoIterator<Item = (i64, i16)>) -> Vec<Request> {
    let mut world = World::new(|config| config.max_in_flight_requests_per_connection = 1);
    world.ids = ids.into_iter().collect();
    world.send(&["x"], 0);
    world.send(&["x"], 1);
    world.run();
    world.responses.push_back(Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED.0));
    world.send(&["refused"], 1);
    world.run();
    assert_eq!(world.fates(), [(0, DONE), (1, DONE), (2, NOT_WRITTEN)]);
    world.requests.clear();
    let mut in_flight = world.pipeline(&["busy"]).remove(0);
    world.silent_connections.push(in_flight.connection);
    for _ in 0..9 {
        world.send(&["busy"], 0);
    }
    world.send(&["waits"], 1);
    world.run();
    for _ in 0..3 {
        let before = world.requests.len();
        world.reply(&in_flight, ErrorCode::NONE);
        match world.requests[before..].iter().find(|request| request.api == 0) {
            Some(next) => in_flight = next.clone(),
            None => break, // another request has taken the room
        }
    }
    world.requests
}

#[test]
fn a_partition_that_needs_another_epoch_does_not_starve_beside_a_busy_one() {
    let requests = beside_a_busy_partition([(7, 0)]);
    let sets = requests.iter().filter(|request| request.api == 0).flat_map(Request::produced);
    let of_partition_1: Vec<_> = sets.filter(|(partition, _)| *partition == 1).collect();
    assert_eq!(of_partition_1.iter().map(|(_, batch)| stamp_of(batch)).collect::<Vec<_>>(), [(7, 1, 0)]);
}

#[test]
fn a_partition_that_needs_another_producer_id_does_not_starve_beside_a_busy_one() {
    let requests = beside_a_busy_partition([(7, i16::MAX), (8, 0)]);
    assert_eq!(requests.iter().filter(|request| request.api == 22).count(), 1, "{requests:?}");
}
