use super::*;
use crate::failure::FailureReason;
use crate::machine::entry::Origin;
use crate::machine::stats::SentCounter;
use crate::machine::unfinished::Unfinished;
use crate::protocol::{ErrorCode, PartitionProduceResponse};
use crate::record::TopicPartition;
use crate::time::Timestamp;
use crate::{KafkaBatch, Record};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

const BROKER: i32 = 1;
const LEADER: Option<i32> = Some(BROKER);

fn whole() -> Origin {
    Origin::Whole(TopicPartition::new("t", 3))
}

/// A partition, and what its transitions need.
struct World {
    partition: Partition,
    identities: IdentityManager,
    config: MachineConfig,
    random: SplitMix64,
    ids: EntryIds,
    unfinished: Unfinished,
    effects: VecDeque<Effect>,
}

impl World {
    fn new() -> Self {
        let mut identities = IdentityManager::default();
        identities.obtain(Identity { id: 7, epoch: 0 }).unwrap();
        Self {
            partition: Partition::new("t".into(), 0, 3),
            identities,
            config: MachineConfig::new([("boot", 9092)]),
            random: SplitMix64::new(1),
            ids: EntryIds::default(),
            unfinished: Unfinished::default(),
            effects: VecDeque::new(),
        }
    }

    fn accept(&mut self, count: usize) {
        for _ in 0..count {
            let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
            batch.extend([Record::new("x")]).unwrap();
            let batch = batch.seal().unwrap();
            let (id, place) = self.unfinished.accept(batch.size(), Instant::START, 0);
            self.partition.accept(Entry::new(
                self.ids.next(),
                id,
                place,
                whole(),
                batch,
                Instant::START,
                Instant::START,
            ));
        }
    }

    fn path_to(broker: i32) -> SendPath {
        let versions = Versions {
            produce: 3,
            metadata: 1,
            init_producer_id: Some(0),
            transactions: Default::default(),
            telemetry: None,
        };
        SendPath {
            connection: ConnectionId::from_u64(0),
            broker,
            versions,
            is_idempotent: true,
            is_transactional: false,
            must_be_added_to: None,
            begins_at_zero: false,
            awaits_markers: false,
        }
    }

    /// Sends the next batch. Returns its id.
    fn send(&mut self) -> Result<EntryId, BlockedOn> {
        self.send_to(BROKER)
    }

    fn send_to(&mut self, broker: i32) -> Result<EntryId, BlockedOn> {
        let path = Self::path_to(broker);
        let at = self.partition.sendable(&path, &self.identities)?;
        self.partition.stamp(at, &path, &self.identities);
        assert!(self.partition.stamped(at).is_some());
        Ok(self.partition.on_sent(at, path.connection, Instant::START, &mut SentCounter::default()))
    }

    fn transition<T>(&mut self, step: impl FnOnce(&mut Partition, &mut TransitionContext<'_>) -> T) -> T {
        let Self { partition, config, random, ids, effects, .. } = self;
        step(partition, &mut TransitionContext { config, now: Instant::START, random, ids, effects })
    }

    fn no_response(&mut self, entry: EntryId, broker: i32) {
        self.transition(|partition, context| partition.on_result(entry, broker, ProduceResult::NoResponse, context));
    }

    fn answer(&mut self, entry: EntryId, code: ErrorCode, base_offset: i64) {
        let response = PartitionProduceResponse {
            index: 3,
            error_code: code,
            base_offset,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: None,
        };
        let response = ReceivedResponse { broker: BROKER, version: 3, data: &response, endpoints: &[] };
        self.transition(|partition, context| {
            partition.on_result(entry, BROKER, ProduceResult::Response(response), context)
        });
    }

    /// Removes the effects, and describes them: the batch, and what happened to it.
    fn effects(&mut self) -> Vec<String> {
        let describe = |effect| match effect {
            Effect::Delivered(entry, log_position) => format!("{} at {}", entry.batch.0, log_position.offset),
            Effect::Failed(failed) => {
                format!("{} failed{}", failed.entry.batch.0, if failed.maybe_written { ", maybe written" } else { "" })
            }
            Effect::Split(split) => format!("{} in {} parts", split.batch.0, split.parts),
            Effect::Confirmed(identity) => format!("{}/{} confirmed", identity.id, identity.epoch),
            Effect::Refused(identity, _) => format!("{}/{} refused", identity.id, identity.epoch),
            Effect::Retried(..) => unreachable!("notices are off"),
        };
        self.effects.drain(..).map(describe).collect()
    }
}

#[test]
fn one_batch_is_in_flight_until_the_first_is_accepted_and_then_five_are() {
    let mut world = World::new();
    assert_eq!(world.send(), Err(BlockedOn::OwnEvent));
    world.accept(8);
    let first = world.send().unwrap();
    assert_eq!(world.send(), Err(BlockedOn::Metadata));
    world.answer(first, ErrorCode::NONE, 40);
    assert_eq!(world.effects(), ["7/0 confirmed", "0 at 40"]);
    for _ in 0..5 {
        world.send().unwrap();
    }
    assert_eq!(world.send(), Err(BlockedOn::Metadata), "the broker would not remember the first");
    assert_eq!(world.partition.next(LEADER), Some(5));
}

#[test]
fn a_refused_batch_waits_for_those_after_it_and_is_sent_first() {
    let mut world = World::new();
    world.accept(4);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    let (second, third) = (world.send().unwrap(), world.send().unwrap());
    world.effects();
    world.answer(second, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    assert_eq!(world.partition.next(LEADER), None, "the third is in flight");
    world.answer(third, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert!(world.effects().is_empty());
    assert_eq!(world.partition.next(LEADER), Some(0));
    let BlockedOn::Until(moment) = world.partition.next_leader(LEADER, Instant::START).unwrap_err() else { panic!() };
    assert_eq!(world.partition.next_leader(LEADER, moment), Ok((BROKER, 0)));
    assert_eq!(world.partition.next_leader(None, moment), Err(BlockedOn::Leader));
    assert_eq!(world.send(), Ok(second));
    world.answer(second, ErrorCode::NONE, 41);
    assert_eq!(world.effects(), ["7/0 confirmed", "1 at 41"]);
}

#[test]
fn a_later_batch_proves_an_earlier_one() {
    let mut world = World::new();
    world.accept(4);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    let (second, third) = (world.send().unwrap(), world.send().unwrap());
    world.transition(|partition, context| partition.on_result(second, BROKER, ProduceResult::NoResponse, context));
    world.transition(|partition, context| partition.on_result(third, BROKER, ProduceResult::NoResponse, context));
    world.effects();
    assert_eq!(world.send(), Ok(second), "in the order of acceptance");
    assert_eq!(world.send(), Ok(third));
    world.answer(second, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert!(world.effects().is_empty(), "it awaits proof");
    world.answer(third, ErrorCode::NONE, 42);
    assert_eq!(world.effects(), ["1 at -1", "7/0 confirmed", "2 at 42"]);
}

#[test]
fn without_room_in_the_log_an_earlier_batch_is_not_proven() {
    let mut world = World::new();
    world.accept(3);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    let (second, third) = (world.send().unwrap(), world.send().unwrap());
    for entry in [second, third] {
        world.transition(|partition, context| partition.on_result(entry, BROKER, ProduceResult::NoResponse, context));
    }
    world.effects();
    world.send().unwrap();
    world.send().unwrap();
    world.answer(second, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    world.answer(third, ErrorCode::NONE, 41);
    assert_eq!(world.effects(), ["1 failed, maybe written", "7/0 confirmed", "2 at 41"]);
}

/// The offsets of the new topic may leave room, because others have written to it.
#[test]
fn a_batch_of_a_topic_that_was_created_again_proves_nothing() {
    let mut world = World::new();
    world.accept(3);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 0);
    let (second, third) = (world.send().unwrap(), world.send().unwrap());
    [second, third].iter().for_each(|&entry| world.no_response(entry, BROKER));
    world.effects();
    assert_eq!((world.send(), world.send()), (Ok(second), Ok(third)));
    world.answer(second, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    world.partition.on_recreated();
    world.answer(third, ErrorCode::NONE, 50);
    assert_eq!(world.effects(), ["1 failed, maybe written", "7/0 confirmed", "2 at 50"]);
}

#[test]
fn a_batch_that_failed_in_between_needs_room_in_the_log_too() {
    let mut world = World::new();
    world.accept(4);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    let rest: Vec<_> = (0..3).map(|_| world.send().unwrap()).collect();
    rest.iter().for_each(|&entry| world.no_response(entry, BROKER));
    world.effects();
    rest.iter().for_each(|&entry| assert_eq!(world.send(), Ok(entry)));
    world.answer(rest[0], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    world.answer(rest[1], ErrorCode::INVALID_RECORD, -1);
    assert_eq!(world.effects(), ["2 failed, maybe written"]);
    // Offset 41 is one of the two between the first and the last batch, and nothing tells which of them it is.
    world.answer(rest[2], ErrorCode::NONE, 42);
    assert_eq!(world.effects(), ["1 failed, maybe written", "7/0 confirmed", "3 at 42"]);
}

#[test]
fn what_another_broker_refused_before_is_sent_to_it_again_if_it_was_sent_elsewhere_meanwhile() {
    const OTHER: i32 = BROKER + 1;
    let mut world = World::new();
    world.accept(3);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    let rest: Vec<_> = (0..2).map(|_| world.send().unwrap()).collect();
    rest.iter().for_each(|&entry| world.no_response(entry, BROKER));
    rest.iter().for_each(|&entry| assert_eq!(world.send(), Ok(entry)));
    world.answer(rest[0], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    world.no_response(rest[1], BROKER);
    assert_eq!(world.partition.next(LEADER), Some(1), "the first of the rest awaits proof from this broker");
    assert_eq!(world.send_to(OTHER), Ok(rest[0]), "but not from another one");
    world.no_response(rest[0], OTHER);
    assert_eq!(world.partition.next(LEADER), Some(0), "the log may have changed since it was refused");
}

#[test]
fn only_what_is_not_in_flight_fails_while_it_waits() {
    let mut world = World::new();
    world.accept(3);
    let first = world.send().unwrap();
    world.transition(|partition, context| partition.fail_waiting(|| FailureReason::Closed, context));
    assert_eq!(world.effects(), ["1 failed", "2 failed"]);
    world.transition(|partition, context| partition.abandon_oldest(FailureReason::Closed, context));
    assert_eq!(world.effects(), ["0 failed, maybe written"]);
    world.answer(first, ErrorCode::NONE, 40);
    assert!(world.effects().is_empty() && world.partition.is_empty(), "the answer came too late");
}

#[test]
fn a_refused_identity_is_an_effect_and_the_batch_is_stamped_again() {
    let mut world = World::new();
    world.accept(1);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::PRODUCER_FENCED, -1);
    let Some(Effect::Refused(identity, refusal)) = world.effects.pop_front() else { panic!() };
    let scope = world.identities.refused(identity, refusal).unwrap();
    assert!(world.partition.stop_using(scope));
    world.transition(|partition, context| partition.reseal_after_gap(context));
    assert!(world.partition.waits_for_identity(&world.identities));
    assert_eq!(world.send(), Err(BlockedOn::Identity(ConnectionId::from_u64(0))));
    world.identities.obtain(Identity { id: 8, epoch: 0 }).unwrap();
    assert_eq!(world.send(), Ok(first));
    assert_eq!(world.partition.identity(), Some(Identity { id: 8, epoch: 0 }));
}

#[test]
fn a_batch_that_is_too_large_is_replaced_with_parts_in_its_place() {
    let mut world = World::new();
    world.config.split_too_large = true;
    let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
    batch.extend(["a", "b", "c"].map(Record::new)).unwrap();
    let batch = batch.seal().unwrap();
    let (id, place) = world.unfinished.accept(batch.size(), Instant::START, 0);
    world.partition.accept(Entry::new(world.ids.next(), id, place, whole(), batch, Instant::START, Instant::START));
    world.accept(1);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::MESSAGE_TOO_LARGE, -1);
    assert_eq!(world.effects(), ["0 in 2 parts"]);
    let entries: Vec<_> = (0..3).map(|at| world.partition.queue.get(at).unwrap()).collect();
    let parts: Vec<_> = entries.iter().map(|entry| (entry.batch.0, entry.is_part(), entry.position())).collect();
    assert_eq!(parts, [(0, true, 0), (0, true, 1), (1, false, 0)]);
}

#[test]
fn a_partition_is_in_use_while_it_has_batches_and_once_after_the_last_was_accepted() {
    let mut world = World::new();
    world.accept(1);
    assert!(world.partition.take_used() && world.partition.take_used());
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    assert!(!world.partition.take_used());
    assert_eq!(format!("{}", world.partition), "t-3");
}

#[test]
fn one_later_batch_proves_all_earlier_ones_that_await_proof() {
    let mut world = World::new();
    world.accept(4);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    let rest: Vec<_> = (0..3).map(|_| world.send().unwrap()).collect();
    rest.iter().for_each(|&entry| world.no_response(entry, BROKER));
    world.effects();
    rest.iter().for_each(|&entry| assert_eq!(world.send(), Ok(entry)));
    world.answer(rest[0], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    world.answer(rest[1], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert!(world.effects().is_empty(), "both await proof");
    world.answer(rest[2], ErrorCode::NONE, 43);
    assert_eq!(world.effects(), ["1 at -1", "2 at -1", "7/0 confirmed", "3 at 43"]);
    assert!(world.partition.is_empty());
}

#[test]
fn a_batch_that_was_appended_on_too_few_replicas_can_be_proven_by_a_later_one() {
    for appended in [ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorCode::REQUEST_TIMED_OUT] {
        let mut world = World::new();
        world.accept(3);
        let first = world.send().unwrap();
        world.answer(first, ErrorCode::NONE, 40);
        let (second, third) = (world.send().unwrap(), world.send().unwrap());
        world.answer(second, appended, -1);
        world.no_response(third, BROKER);
        world.effects();
        assert_eq!((world.send(), world.send()), (Ok(second), Ok(third)));
        world.answer(second, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
        assert!(world.effects().is_empty(), "it awaits proof");
        world.answer(third, ErrorCode::NONE, 42);
        assert_eq!(world.effects(), ["1 at -1", "7/0 confirmed", "2 at 42"]);
    }
}

#[test]
fn a_batch_that_was_refused_when_none_was_sent_after_it_can_be_proven_by_one_that_is_sent_later() {
    let mut world = World::new();
    world.accept(2);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    let second = world.send().unwrap();
    world.answer(second, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    world.effects();
    world.accept(1);
    assert_eq!(world.send(), Ok(second));
    let third = world.send().unwrap();
    world.answer(second, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert!(world.effects().is_empty(), "it awaits proof");
    world.answer(third, ErrorCode::NONE, 42);
    assert_eq!(world.effects(), ["1 at -1", "7/0 confirmed", "2 at 42"]);
}

#[test]
fn a_refusal_of_what_may_be_written_already_is_not_proof_that_a_later_batch_skips_it() {
    let mut world = World::new();
    world.accept(2);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    let second = world.send().unwrap();
    world.no_response(second, BROKER);
    assert_eq!(world.send(), Ok(second));
    world.answer(second, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    world.effects();
    world.accept(1);
    assert_eq!(world.send(), Ok(second));
    let third = world.send().unwrap();
    world.answer(second, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert!(world.effects().is_empty(), "it awaits proof");
    world.answer(third, ErrorCode::NONE, 42);
    assert_eq!(world.effects(), ["1 at -1", "7/0 confirmed", "2 at 42"]);
}

#[test]
fn a_new_batch_is_not_sent_after_one_that_awaits_proof() {
    let mut world = World::new();
    world.accept(4);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    let rest = [world.send().unwrap(), world.send().unwrap()];
    rest.iter().for_each(|&entry| world.no_response(entry, BROKER));
    rest.iter().for_each(|&entry| assert_eq!(world.send(), Ok(entry)));
    world.answer(rest[0], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert_eq!(world.partition.next(LEADER), Some(2), "the new one is next");
    assert_eq!(world.send(), Err(BlockedOn::Metadata));
}

#[test]
fn batches_to_a_topic_that_was_created_again_are_not_pipelined_until_one_is_accepted() {
    let mut world = World::new();
    world.accept(5);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    world.partition.on_recreated();
    let second = world.send().unwrap();
    assert_eq!(world.send(), Err(BlockedOn::Metadata));
    world.answer(second, ErrorCode::NONE, 41);
    assert!(world.send().is_ok() && world.send().is_ok());
}

/// A broker this old neither knows producer ids nor detects a duplicate.
#[test]
fn what_may_be_written_is_not_sent_to_a_broker_that_detects_no_duplicates() {
    let old = SendPath {
        versions: Versions {
            produce: 2,
            metadata: 1,
            init_producer_id: None,
            transactions: Default::default(),
            telemetry: None,
        },
        is_idempotent: false,
        ..World::path_to(BROKER)
    };
    for (code, sendable) in
        [(ErrorCode::REQUEST_TIMED_OUT, Err(BlockedOn::Metadata)), (ErrorCode::NOT_ENOUGH_REPLICAS, Ok(0))]
    {
        let mut world = World::new();
        world.accept(1);
        let first = world.send().unwrap();
        world.answer(first, code, -1);
        assert_eq!(world.partition.sendable(&old, &world.identities), sendable, "{code}");
        assert_eq!(world.partition.sendable(&World::path_to(BROKER), &world.identities), Ok(0));
    }
    // New batches are sent to it one at a time: without sequence numbers, the second could overtake the first.
    let mut world = World::new();
    world.accept(3);
    let first = world.send().unwrap();
    world.answer(first, ErrorCode::NONE, 40);
    world.send().unwrap();
    assert_eq!(world.partition.sendable(&World::path_to(BROKER), &world.identities), Ok(1));
    assert_eq!(world.partition.sendable(&old, &world.identities), Err(BlockedOn::Metadata));
}

#[test]
fn a_producer_id_is_needed_for_batches_without_one_only() {
    let mut world = World::new();
    let none = IdentityManager::default();
    assert!(!world.partition.waits_for_identity(&none), "there is no batch");
    world.accept(1);
    assert!(world.partition.waits_for_identity(&none));
    assert!(!world.partition.waits_for_identity(&world.identities), "there is a producer id");
    world.send().unwrap();
    assert!(!world.partition.waits_for_identity(&none), "the batch has one");
}

/// A request has each topic once.
#[test]
fn partitions_are_ordered_by_topic_and_then_by_number() {
    let mut partitions: Vec<_> = [("b", 1, 1), ("a", 0, 2), ("b", 1, 0), ("a", 0, 1)]
        .map(|(topic, index, number)| Partition::new(topic.into(), index, number))
        .into();
    partitions.sort_by(Partition::compare);
    assert_eq!(
        partitions.iter().map(|partition| format!("{partition}")).collect::<Vec<_>>(),
        ["a-1", "a-2", "b-0", "b-1"]
    );
}
