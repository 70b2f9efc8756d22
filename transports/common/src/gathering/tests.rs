use kafka_batch_core::BatchOptions;
use proptest::prelude::*;

use super::*;

const LINGER: Duration = Duration::from_millis(5);

/// Batches of up to three records, and a clock that the test advances.
struct Subject {
    gathering: Gathering,
    now: Instant,
    count: NonZeroU32,
    pending: Vec<PendingRecord>,
}

impl Subject {
    fn new(linger: Duration, max_in_flight: usize) -> Self {
        let gathering = Gathering::new(linger, max_in_flight);
        Self { gathering, now: Instant::now(), count: NonZeroU32::new(4).unwrap(), pending: Vec::new() }
    }

    fn route(&mut self, to: Destination<'_>, key: Option<&[u8]>, sticky: i32) -> Option<PartitionIndex> {
        self.gathering.route(to, key, || Some(self.count), |_| sticky)
    }

    /// Appends to a partition. Returns the full batch that was taken before, and whether the driver has to know.
    fn append(&mut self, partition: i32, value: &str) -> (Option<Box<MessageBatch>>, bool) {
        let mut full = None;
        loop {
            let id = self.route(("t", partition).into(), None, 0).unwrap();
            let new = || (BatchOptions::default().max_records(3).build(0).unwrap(), self.now);
            match self.gathering.append(id, &Record::new(value), Timestamp::from_millis(1), &mut None, new).unwrap() {
                GatherOutcome::Appended { pending, wakes, .. } => {
                    self.pending.push(pending);
                    return (full, wakes);
                }
                GatherOutcome::Full(gathered) => assert!(full.replace(gathered).is_none(), "a new batch is not full"),
            }
        }
    }

    fn due(&mut self) -> Vec<MessageBatch> {
        std::iter::from_fn(|| self.gathering.take_ready(self.now)).collect()
    }

    fn advance(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    fn until_deadline(&mut self) -> Option<Duration> {
        self.gathering.next_deadline().map(|at| at.saturating_duration_since(self.now))
    }
}

fn values(gathered: &MessageBatch) -> Vec<String> {
    let values = gathered.batch.records().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap());
    values.collect()
}

fn all_values(gathered: &[MessageBatch]) -> Vec<(i32, Vec<String>)> {
    gathered.iter().map(|gathered| (gathered.to.partition, values(gathered))).collect()
}

fn of(partition: i32, values: &[&str]) -> (i32, Vec<String>) {
    (partition, values.iter().map(ToString::to_string).collect())
}

#[test]
fn without_linger_the_records_of_one_turn_share_a_batch() {
    let mut subject = Subject::new(Duration::ZERO, 5);
    assert!(subject.append(0, "a").1, "the driver is woken by the first");
    assert!(!subject.append(0, "b").1, "and by no other");
    assert!(subject.append(1, "c").1);
    assert_eq!(all_values(&subject.due()), [of(0, &["a", "b"]), of(1, &["c"])]);
    assert!(subject.due().is_empty());
}

#[test]
fn records_gather_while_batches_are_in_flight() {
    let mut subject = Subject::new(Duration::ZERO, 2);
    let mut in_flight = Vec::new();
    for value in ["a", "b"] {
        subject.append(0, value);
        in_flight.extend(subject.due());
    }
    assert!(subject.append(0, "c").1, "the driver learns the deadline of the hold");
    assert!(!subject.append(0, "d").1);
    assert!(subject.due().is_empty());
    assert_eq!(subject.until_deadline(), Some(MAX_HOLD));
    subject.gathering.on_completed(in_flight[0].partition);
    let third = subject.due();
    assert_eq!(all_values(&third), [of(0, &["c", "d"])]);
    assert_eq!(subject.until_deadline(), None);
    subject.append(1, "of another partition");
    assert_eq!(subject.due().len(), 1, "others are not held back");
}

#[test]
fn a_batch_is_not_held_for_ever() {
    let mut subject = Subject::new(LINGER, 1);
    subject.append(0, "a");
    subject.advance(5);
    let _in_flight = subject.due();
    subject.append(0, "b");
    subject.advance(5);
    assert!(subject.due().is_empty());
    subject.advance(99);
    assert!(subject.due().is_empty());
    assert_eq!(subject.until_deadline(), Some(Duration::from_millis(1)));
    subject.advance(1);
    assert_eq!(all_values(&subject.due()), [of(0, &["b"])]);
}

#[test]
fn linger_begins_with_the_first_record() {
    let mut subject = Subject::new(LINGER, 5);
    assert!(subject.append(0, "a").1, "the driver learns the deadline");
    assert_eq!(subject.until_deadline(), Some(LINGER));
    subject.advance(3);
    assert!(!subject.append(0, "b").1);
    assert!(!subject.append(1, "c").1, "its deadline is later");
    assert!(subject.due().is_empty());
    subject.advance(2);
    assert_eq!(all_values(&subject.due()), [of(0, &["a", "b"])]);
    assert_eq!(subject.until_deadline(), Some(Duration::from_millis(3)));
    subject.advance(3);
    assert_eq!(all_values(&subject.due()), [of(1, &["c"])]);
    assert_eq!(subject.until_deadline(), None);
}

#[test]
fn a_full_batch_is_taken_at_once_whatever_is_in_flight() {
    let mut subject = Subject::new(LINGER, 1);
    for value in ["0", "1", "2"] {
        assert!(subject.append(0, value).0.is_none());
    }
    let full = subject.append(0, "3").0.unwrap();
    assert_eq!(values(&full), ["0", "1", "2"]);
    for value in ["4", "5"] {
        assert!(subject.append(0, value).0.is_none());
    }
    let full = subject.append(0, "6").0.unwrap();
    assert_eq!(values(&full), ["3", "4", "5"]);
    subject.advance(5);
    assert!(subject.due().is_empty(), "two are in flight");
    assert_eq!(all_values(&subject.gathering.take_all(SendReason::Flush)), [of(0, &["6"])], "a flush takes it too");
}

#[test]
fn a_batch_has_the_reason_why_it_gathers_no_more_and_the_time_of_its_first_message() {
    let mut subject = Subject::new(LINGER, 5);
    let begin = |subject: &mut Subject| {
        subject.advance(100);
        subject.append(0, "a");
        subject.advance(1);
        subject.append(0, "b");
        subject.now - Duration::from_millis(1)
    };
    let opened = begin(&mut subject);
    subject.advance(4);
    let lingered = subject.due().pop().unwrap();
    assert_eq!((lingered.reason, lingered.opened), (SendReason::Linger, opened));
    let opened = begin(&mut subject);
    subject.append(0, "c");
    let full = subject.append(0, "d").0.unwrap();
    assert_eq!((full.reason, full.opened), (SendReason::Full, opened));
    let flushed = subject.gathering.take_all(SendReason::Flush).pop().unwrap();
    assert_eq!((flushed.reason, flushed.opened), (SendReason::Flush, opened + Duration::from_millis(1)));
    begin(&mut subject);
    assert_eq!(subject.gathering.take_of("t", 0).unwrap().reason, SendReason::Flush);
    begin(&mut subject);
    subject.gathering.set_due(0);
    assert_eq!(subject.due().pop().unwrap().reason, SendReason::Memory);
    let mut subject = Subject::new(Duration::ZERO, 5);
    subject.append(0, "a");
    assert_eq!(subject.due().pop().unwrap().reason, SendReason::Linger);
}

#[test]
fn without_a_key_the_partition_changes_with_the_batch_and_with_one_it_is_that_of_the_key() {
    let mut subject = Subject::new(Duration::ZERO, 5);
    let first = subject.route("t".into(), None, 2).unwrap();
    assert_eq!(subject.route("t".into(), None, 3), Some(first), "it sticks");
    let new = || (BatchOptions::default().build(0).unwrap(), subject.now);
    assert!(subject.gathering.append(first, &Record::new("a"), Timestamp::from_millis(0), &mut None, new).is_ok());
    assert_eq!(subject.due()[0].to, TopicPartition::new("t", 2));
    let second = subject.route("t".into(), None, 3).unwrap();
    assert_ne!(second, first);
    let keyed = subject.route("t".into(), Some(b"k"), 0).unwrap();
    let expected = partition_for_key(b"k", subject.count);
    assert_eq!(subject.gathering.partitions[keyed].as_ref().unwrap().partition, expected);
}

#[test]
fn unknown_partitions_have_to_be_looked_up() {
    let mut subject = Subject::new(Duration::ZERO, 5);
    assert_eq!(subject.gathering.route("t".into(), None, || None, |_| 0), None);
    assert!(subject.gathering.is_empty(), "a topic that is not known is not kept");
    for beyond in [4, -1] {
        assert_eq!(subject.route(("t", beyond).into(), None, 0), None);
    }
    assert!(subject.route(("t", 3).into(), None, 0).is_some());
    let known = subject.gathering.route("t".into(), Some(b"k"), || panic!("it was checked"), |_| 0);
    assert!(known.is_some());
    subject.append(3, "a");
    drop(subject.due());
    assert_eq!(subject.gathering.route("t".into(), Some(b"k"), || None, |_| 0), None, "it is checked after each batch");
}

#[test]
fn unused_partitions_are_removed_and_their_places_used_again() {
    let mut subject = Subject::new(Duration::ZERO, 5);
    for round in 0..10 {
        subject.append(round % 4, "a");
        let [gathered] = &subject.due()[..] else { panic!("one batch") };
        assert!(!subject.gathering.is_empty());
        subject.gathering.on_completed(gathered.partition);
        assert!(subject.gathering.is_empty());
    }
    assert_eq!(subject.gathering.partitions.len(), 1);
    subject.due();
    assert_eq!(subject.until_deadline(), None);
    let id = subject.route(("t", 0).into(), None, 0).unwrap();
    let new = || (BatchOptions::default().max_message_bytes(100).build(0).unwrap(), subject.now);
    let large = [0; 200];
    let refused = subject.gathering.append(id, &Record::new(&large), Timestamp::from_millis(0), &mut None, new);
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })));
    assert!(subject.gathering.is_empty(), "an empty batch is not kept");
}

#[derive(Clone, Debug)]
enum Operation {
    Append(i32),
    Advance(u64),
    Turn,
    Complete(prop::sample::Index),
    SendBatch(i32),
    Flush,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (0..3).prop_map(Operation::Append),
        2 => (0..8_u64).prop_map(Operation::Advance),
        3 => Just(Operation::Turn),
        3 => any::<prop::sample::Index>().prop_map(Operation::Complete),
        1 => (0..3).prop_map(Operation::SendBatch),
        1 => Just(Operation::Flush),
    ]
}

proptest! {
    /// Each record is in exactly one batch that is taken, in order; no more than the limit is in flight unless batches are
    /// full, flushed or held too long; and at the latest at its deadline nothing is left.
    #[test]
    fn each_record_is_taken_once_and_in_order(
        operations in prop::collection::vec(operation(), 1..120),
        linger in 0..6_u64,
        max_in_flight in 1..4_usize,
    ) {
        let mut subject = Subject::new(Duration::from_millis(linger), max_in_flight);
        let (mut appended, mut taken) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
        let mut in_flight: Vec<PartitionIndex> = Vec::new();
        let mut take = |all: Vec<MessageBatch>, in_flight: &mut Vec<PartitionIndex>| {
            for gathered in all {
                assert!(!gathered.batch.is_empty());
                taken[gathered.to.partition as usize].extend(values(&gathered));
                in_flight.push(gathered.partition);
            }
        };
        for (number, operation) in operations.into_iter().enumerate() {
            match operation {
                Operation::Append(partition) => {
                    let value = number.to_string();
                    appended[partition as usize].push(value.clone());
                    let (full, _) = subject.append(partition, &value);
                    take(full.into_iter().map(|full| *full).collect(), &mut in_flight);
                }
                Operation::Advance(millis) => subject.advance(millis),
                Operation::Turn => {
                    let due = subject.due();
                    take(due, &mut in_flight);
                    prop_assert!(subject.until_deadline().is_none_or(|left| !left.is_zero()), "all that was due is taken");
                }
                Operation::Complete(index) if !in_flight.is_empty() => {
                    let partition = in_flight.swap_remove(index.index(in_flight.len()));
                    subject.gathering.on_completed(partition);
                }
                Operation::Complete(_) => {}
                Operation::SendBatch(partition) => {
                    let open = subject.gathering.take_of("t", partition);
                    take(open.into_iter().collect(), &mut in_flight);
                    prop_assert!(subject.gathering.take_of("t", partition).is_none());
                }
                Operation::Flush => {
                    let open = subject.gathering.take_all(SendReason::Flush);
                    take(open, &mut in_flight);
                }
            }
        }
        while let Some(left) = subject.until_deadline() {
            subject.now += left;
            let due = subject.due();
            take(due, &mut in_flight);
        }
        prop_assert!(subject.gathering.take_all(SendReason::Flush).is_empty(), "a deadline was missing");
        prop_assert_eq!(taken, appended);
        in_flight.into_iter().for_each(|partition| subject.gathering.on_completed(partition));
        prop_assert!(subject.gathering.is_empty());
    }
}
