//! A batch is not copied after it is sealed: measured by a counting allocator and by the addresses of its bytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use kafka_batch_core::machine::{Clock, ConnectionId, Event, Input, Instant, Machine, MachineConfig, Output};
use kafka_batch_core::{Timestamp, TopicPartition};
use kafka_batch_simulation::contents::{BatchSpec, Serial, fill};
use kafka_batch_testing::simulated::{
    Broker, BrokerAction, Cluster, ClusterSettings, Random, TopicConfig, Variation, host,
};
use kafka_batch_testing::{ApiKey, Fault, FaultKind, Release};

struct Counting;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is forwarded to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter.
        let _ = TAKEN.try_with(|taken| taken.set(taken.get() + layout.size()));
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the result of `run`, and how many bytes it allocated.
fn counted<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = TAKEN.get();
    let result = run();
    (result, TAKEN.get() - before)
}

#[test]
fn a_batch_of_a_megabyte_is_sent_three_times_and_returned_without_a_copy() {
    let settings = ClusterSettings {
        auto_create: false,
        topic: TopicConfig::default().max_message_bytes(2_000_000),
        ..ClusterSettings::default()
    };
    let mut cluster = Cluster::new(settings, &[Release::V4_1], Random::new(1));
    cluster.create("t", 1, Duration::ZERO);
    cluster.turn(Duration::ZERO);
    let mut broker = Broker::new(1, Release::V4_1, Variation::SIMULATION, Random::new(2));
    for _ in 0..2 {
        broker.inject(Fault::new(FaultKind::Refuse { code: 19, all: true }).api(ApiKey::Produce));
    }

    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    let mut producer = Machine::new(MachineConfig::new([(host(1), 9092)]), clock, 3);
    let sealed = fill(Serial(0), BatchSpec { records: 4, padding: 250_000, ..BatchSpec::default() }).seal().unwrap();
    let size = sealed.size();
    assert!(size > 1_000_000);
    let (sent, mut taken) = counted(|| producer.send(sealed, TopicPartition::new("t", 0), Instant::START));
    sent.unwrap();

    let mut names: BTreeMap<u64, ConnectionId> = BTreeMap::new();
    let (mut now, mut places) = (Duration::ZERO, Vec::new());
    let delivery = loop {
        let (output, more) = counted(|| producer.poll_output(Instant::from_start(now)));
        taken += more;
        match output {
            Output::Connect { connection, .. } => {
                let number = names.len() as u64;
                names.insert(number, connection);
                broker.accept(number, 0);
                producer.handle_input(Input::Connected(connection), Instant::from_start(now));
            }
            Output::Transmit { connection, bytes } => {
                places.extend(bytes.iter().filter(|segment| segment.len() == size).map(|segment| segment.as_ptr()));
                let number = names.iter().find(|(_, name)| **name == connection).map(|(number, _)| *number);
                broker.receive(number.expect("a connection"), &bytes.concat());
            }
            Output::Event(Event::Delivered { delivery, .. }) => break delivery,
            Output::Wait(deadline) => {
                let actions = broker.turn(&mut cluster, now);
                if actions.is_empty() {
                    let next = [broker.wakes_at(), cluster.wakes_at(), deadline.map(Instant::since_start)];
                    now = now.max(next.into_iter().flatten().min().expect("a deadline"));
                }
                for action in actions {
                    if let BrokerAction::Send { connection, bytes, .. } = action {
                        let input = Input::Received(names[&connection], &bytes);
                        taken += counted(|| producer.handle_input(input, Instant::from_start(now))).1;
                    }
                }
                cluster.turn(now);
            }
            Output::Event(_) | Output::Close(_) => {}
        }
    };
    assert_eq!(broker.violations, Vec::<String>::new());
    assert_eq!(places.len(), 3, "rejected twice, then accepted");
    assert!(places.iter().all(|place| *place == places[0]), "a retry sends the same bytes: {places:?}");
    let first = delivery.batch().records().next().and_then(|record| record.value).unwrap().as_ptr();
    let offset = (first as usize).checked_sub(places[0] as usize);
    assert!(offset.is_some_and(|offset| offset < 100), "the same bytes are returned");
    assert!(taken < 50_000, "{taken} bytes were allocated besides, for a batch of {size}");
}
