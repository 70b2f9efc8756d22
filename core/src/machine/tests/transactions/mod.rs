//! Transactions of the machine, with a transaction coordinator that answers as a test tells it to.

mod closing;
mod ending;
mod levels;
mod markers;
mod offsets;
mod opening;
mod unanswered;

use alloc::collections::BTreeMap;
use alloc::format;

use super::*;
use crate::transaction::{
    AbortError, BeginError, CommitError, InitTransactionsError, SendOffsetsError, TransactionCause,
};

const FIND: i16 = 10;
const INIT: i16 = 22;
const ADD: i16 = 24;
const ADD_OFFSETS: i16 = 25;
const END: i16 = 26;
const OFFSET_COMMIT: i16 = 28;
const DESCRIBE: i16 = 65;
const PRODUCE: i16 = 0;

/// The coordinator of transactions and groups. It accepts everything, unless a test tells it otherwise.
pub(super) struct FakeCoordinator {
    /// The level of `transaction.version`, and the epoch of the features.
    level: i16,
    epoch: i64,
    /// The broker that is named as the coordinator.
    broker: i32,
    /// The newest version of Produce.
    produce: i16,
    /// The newest version of EndTxn and TxnOffsetCommit.
    newest: i16,
    /// The newest version of InitProducerId.
    init: i16,
    /// Error codes for the next requests of an API; `None` sends no response. When empty: success.
    codes: BTreeMap<i16, VecDeque<Option<i16>>>,
    /// DescribeTransactions is supported.
    describes: bool,
    /// How many of the next responses to DescribeTransactions say that markers are being written.
    pending: usize,
    /// The identity that the next InitProducerId or EndTxn v5 returns is the one after this.
    identity: (i64, i16),
}

impl FakeCoordinator {
    /// Returns `true` if it answers requests of this API.
    pub(super) fn answers(&self, api: i16) -> bool {
        [18, FIND, INIT, ADD, ADD_OFFSETS, END, OFFSET_COMMIT, DESCRIBE].contains(&api)
    }

    pub(super) fn answer(&mut self, request: &Request) -> Option<Vec<u8>> {
        let code = self.codes.get_mut(&request.api).and_then(VecDeque::pop_front).unwrap_or(Some(0))?;
        let (throttle, code) = (0_i32.to_be_bytes(), code.to_be_bytes());
        let is_ok = code == [0, 0];
        let body = match request.api {
            18 => return Some(frame(request.correlation, &self.api_versions())),
            FIND => [
                &throttle[..],
                &code,
                &[255, 255],
                &self.broker.to_be_bytes(),
                &string("broker"),
                &(9_000 + self.broker).to_be_bytes(),
            ]
            .concat(),
            INIT => {
                self.identity.1 += i16::from(is_ok);
                let identity = [&self.identity.0.to_be_bytes()[..], &self.identity.1.to_be_bytes()].concat();
                match request.version {
                    0 | 1 => [&throttle[..], &code, &identity].concat(),
                    _ => [&[0][..], &throttle, &code, &identity, &[0]].concat(),
                }
            }
            ADD => [&throttle[..], &added_partitions(&request.body, i16::from_be_bytes(code))].concat(),
            ADD_OFFSETS => [&throttle[..], &code].concat(),
            END if request.version < 5 => match request.version {
                3.. => [&[0][..], &throttle, &code, &[0]].concat(),
                _ => [&throttle[..], &code].concat(),
            },
            END => {
                self.identity.1 += i16::from(is_ok);
                let identity = [&self.identity.0.to_be_bytes()[..], &self.identity.1.to_be_bytes()].concat();
                [&[0][..], &throttle, &code, &identity, &[0]].concat()
            }
            DESCRIBE => {
                let state = if self.pending > 0 { "PrepareCommit" } else { "CompleteCommit" };
                self.pending = self.pending.saturating_sub(1);
                let transaction = [&code[..], b"\x09orders-1", &[state.len() as u8 + 1], state.as_bytes()].concat();
                // The timeout, the start, the producer id and epoch, and topics, of which there are none any more.
                [&[0][..], &throttle, &[2], &transaction, &[0; 22], &[1, 0], &[0]].concat()
            }
            // One topic with one partition, as all of these tests commit.
            OFFSET_COMMIT if request.version >= 3 => {
                [&[0][..], &throttle, &[2, 3], b"in", &[2, 0, 0, 0, 0], &code, &[0, 0, 0]].concat()
            }
            OFFSET_COMMIT => [&throttle[..], &[0, 0, 0, 1], &string("in"), &[0, 0, 0, 1, 0, 0, 0, 0], &code].concat(),
            other => panic!("the coordinator does not support API {other}"),
        };
        Some(frame(request.correlation, &body))
    }

    fn api_versions(&self) -> Vec<u8> {
        let newest = self.newest; // whatever the level is, as Kafka 4 does
        let mut apis =
            vec![(0, self.produce), (3, 1), (10, 1), (22, self.init), (24, 1), (25, 1), (26, newest), (28, newest)];
        if self.describes {
            apis.push((DESCRIBE as u8, 0));
        }
        let mut body = vec![0, 0, apis.len() as u8 + 1];
        for (api, newest) in apis {
            body.extend([0, api, 0, 0, 0, newest as u8, 0]);
        }
        let name = b"transaction.version";
        let feature = [&[2, name.len() as u8 + 1][..], name, &self.level.to_be_bytes(), &[0, 0, 0]].concat();
        body.extend([0, 0, 0, 0, 2, 1, 8]);
        body.extend(self.epoch.to_be_bytes());
        body.extend([2, feature.len() as u8]);
        body.extend(feature);
        body
    }
}

/// Returns the topics of a response to AddPartitionsToTxn v1 with this request, each partition with this code.
fn added_partitions(request: &[u8], code: i16) -> Vec<u8> {
    let id = u16::from_be_bytes([request[0], request[1]]) as usize;
    let mut rest = &request[2 + id + 10..];
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at(length);
        rest = left;
        taken.to_vec()
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    let topics = take(4);
    let mut body = topics.clone();
    for _ in 0..number(&topics) {
        let length = take(2);
        body.extend([&length[..], &take(number(&length))].concat());
        let partitions = take(4);
        body.extend(&partitions);
        for _ in 0..number(&partitions) {
            body.extend(take(4));
            body.extend(code.to_be_bytes());
        }
    }
    body
}

/// Returns a world with a transactional producer, whose transactions are initialised.
fn world(level: i16) -> World {
    let mut world = uninitialized(level);
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    assert_eq!(world.transaction_events(), ["Initialized(Ok(()))"]);
    world.forget();
    world
}

fn uninitialized(level: i16) -> World {
    let mut world = World::new(|config| config.transactional_id = Some("orders-1".into()));
    world.transactions = Some(FakeCoordinator {
        level,
        epoch: 7,
        broker: 1,
        produce: 12,
        newest: 5,
        init: 3,
        describes: false,
        pending: 0,
        codes: BTreeMap::new(),
        identity: (7, -1),
    });
    world
}

impl World {
    fn fake(&mut self) -> &mut FakeCoordinator {
        self.transactions.as_mut().unwrap()
    }

    /// Answers the next requests of an API with these codes; `None`: not at all.
    fn answer_with(&mut self, api: i16, codes: impl IntoIterator<Item = impl Into<Option<i16>>>) {
        self.fake().codes.entry(api).or_default().extend(codes.into_iter().map(Into::into));
    }

    /// Forgets requests and events.
    fn forget(&mut self) {
        self.requests.clear();
        self.events.clear();
    }

    fn begin(&mut self) {
        self.producer.begin_transaction(self.now).unwrap();
        self.run();
        assert_eq!(self.transaction_events(), ["Begun(Ok(()))"]);
        self.events.clear();
    }

    fn commit(&mut self) {
        self.producer.commit_transaction(self.now).unwrap();
        self.run();
    }

    fn abort(&mut self) {
        self.producer.abort_transaction(self.now).unwrap();
        self.run();
    }

    /// Lets this many ms pass.
    fn wait_ms(&mut self, millis: u64) {
        self.pass(self.now + Duration::from_millis(millis));
    }

    fn state(&self) -> TransactionState {
        self.producer.transaction_state().unwrap()
    }

    /// Returns the requests of transactions and Produce since the last call of `forget`, without those about metadata.
    fn sent(&self) -> Vec<i16> {
        self.apis().into_iter().filter(|api| ![18, 3].contains(api)).collect()
    }

    /// Returns what EndTxn requests ask for.
    fn ends(&self) -> Vec<bool> {
        let ends = self.requests.iter().filter(|request| request.api == END);
        ends.map(|request| request.body[request.body.len() - if request.version >= 3 { 2 } else { 1 }] == 1).collect()
    }

    /// Returns the events of transactions, as text.
    fn transaction_events(&self) -> Vec<String> {
        let events = self.events.iter().filter_map(|event| match event {
            Event::Transaction(event) => Some(event),
            _ => None,
        });
        events.map(|event| format!("{event:?}")).map(|text| text.chars().take(40).collect()).collect()
    }

    /// Returns the result of the last commit.
    fn committed(&self) -> &Result<(), CommitError> {
        let found = self.events.iter().rev().find_map(|event| match event {
            Event::Transaction(TransactionEvent::Committed(result)) => Some(result),
            _ => None,
        });
        found.expect("a result of a commit")
    }

    /// Returns the producer id, epoch and sequence of each batch sent, and whether it is part of a transaction.
    fn batches(&self) -> Vec<((i64, i16, i32), bool)> {
        let produced = self.requests.iter().filter(|request| request.api == PRODUCE);
        let batches = produced.flat_map(|request| {
            assert_eq!(&request.body[..10], b"\0\x09orders-1", "Produce has the transactional id");
            request.produced()
        });
        batches
            .map(|(_, batch)| {
                (stamp_of(&batch), RecordBatches::new(&batch).next().unwrap().unwrap().is_transactional())
            })
            .collect()
    }
}
