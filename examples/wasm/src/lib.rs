//! The producer as a WebAssembly module. The host connects, reads and writes, has the clock, and calls [`poll`] after every other
//! function and when the deadline has come (`main.mjs`). Bytes are passed in one buffer, which [`buffer`] makes large enough.
//!
//! The module has one producer, since a module can be instantiated as often as needed.

use std::cell::RefCell;
use std::time::Duration;

use kafka_batch_core::machine::{
    Clock, CloseMode, ConnectionId, Disconnect, Event, Input, Instant, Machine, MachineConfig, Output,
};
use kafka_batch_core::{Append, KafkaBatch, Record, Timestamp, TopicPartition};

// Functions of the host. Pointers and lengths are of the module's memory, and valid during the call.
#[link(wasm_import_module = "host")]
unsafe extern "C" {
    safe fn connect(connection: u64, host: *const u8, length: usize, port: u16);
    safe fn transmit(connection: u64, bytes: *const u8, length: usize);
    safe fn close(connection: u64);
    safe fn delivered(records: usize, offset: i64);
    safe fn failed(text: *const u8, length: usize);
    safe fn log(text: *const u8, length: usize);
    safe fn closed();
}

struct Producer {
    machine: Machine,
    batch: KafkaBatch,
    topic: String,
}

thread_local! {
    static PRODUCER: RefCell<Option<Producer>> = const { RefCell::new(None) };
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Returns the time of the machine, from milliseconds since the start.
fn time(now: f64) -> Instant {
    Instant::from_start(Duration::from_secs_f64(now.max(0.0) / 1e3))
}

/// Calls a function with the producer and the first bytes of the buffer.
fn with<T>(length: usize, call: impl FnOnce(&mut Producer, &[u8]) -> T) -> T {
    PRODUCER.with_borrow_mut(|producer| {
        BUFFER.with_borrow(|buffer| call(producer.as_mut().expect("start() was called"), &buffer[..length]))
    })
}

/// Returns the address of a buffer of this size, which the host fills before the next call.
#[unsafe(no_mangle)]
pub extern "C" fn buffer(length: usize) -> *mut u8 {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(length.max(buffer.len()), 0);
        buffer.as_mut_ptr()
    })
}

/// Starts the producer. The buffer has the host name of a broker, and after it the topic. `wall` is in milliseconds since 1970.
#[unsafe(no_mangle)]
pub extern "C" fn start(host: usize, topic: usize, port: u16, seed: u64, now: f64, wall: f64) {
    let text = BUFFER.with_borrow(|buffer| String::from_utf8_lossy(&buffer[..host + topic]).into_owned());
    let (host, topic) = text.split_at(host);
    let clock = Clock { now: time(now), wall: Timestamp::from_millis(wall as i64) };
    let machine = Machine::new(MachineConfig::new([(host, port)]), clock, seed);
    let batch = KafkaBatch::new(machine.wall_time(time(now)));
    PRODUCER.set(Some(Producer { machine, batch, topic: topic.into() }));
}

/// Appends the value in the buffer. Returns whether it fits into the batch; otherwise send that first.
#[unsafe(no_mangle)]
pub extern "C" fn append(length: usize) -> bool {
    with(length, |producer, value| matches!(producer.batch.append(Record::new(value)), Ok(Append::Appended(_))))
}

/// Sends the batch to partition 0. Returns whether the producer has memory for it: otherwise try again after the next delivery.
#[unsafe(no_mangle)]
pub extern "C" fn send(now: f64) -> bool {
    with(0, |Producer { machine, batch, topic }, _| {
        if !machine.has_room() {
            return false;
        }
        let mut next = batch.next_batch();
        next.set_now(machine.wall_time(time(now)));
        let sealed = std::mem::replace(batch, next).seal().expect("the batch has records, and is not compressed");
        machine.send(sealed, TopicPartition::new(topic.as_str(), 0), time(now)).is_ok()
    })
}

/// Closes the producer, once everything is delivered.
#[unsafe(no_mangle)]
pub extern "C" fn finish(now: f64) {
    with(0, |producer, _| producer.machine.close(CloseMode::Graceful, time(now)));
}

#[unsafe(no_mangle)]
pub extern "C" fn connected(connection: u64, now: f64) {
    input(0, now, |_| Input::Connected(ConnectionId::from_u64(connection)));
}

#[unsafe(no_mangle)]
pub extern "C" fn received(connection: u64, length: usize, now: f64) {
    input(length, now, |bytes| Input::Received(ConnectionId::from_u64(connection), bytes));
}

#[unsafe(no_mangle)]
pub extern "C" fn disconnected(connection: u64, was_connected: bool, now: f64) {
    let how = if was_connected { Disconnect::ByPeer } else { Disconnect::NotConnected };
    input(0, now, |_| Input::Closed(ConnectionId::from_u64(connection), how, None));
}

fn input(length: usize, now: f64, input: impl for<'a> FnOnce(&'a [u8]) -> Input<'a>) {
    with(length, |producer, bytes| producer.machine.handle_input(input(bytes), time(now)));
}

/// Carries out everything that is to be done. Returns when to call it again at the latest, in the host's milliseconds; -1 is never.
#[unsafe(no_mangle)]
pub extern "C" fn poll(now: f64) -> f64 {
    with(0, |producer, _| {
        loop {
            match producer.machine.poll_output(time(now)) {
                Output::Connect { connection, host, port } => {
                    connect(connection.as_u64(), host.as_ptr(), host.len(), port)
                }
                Output::Transmit { connection, bytes } => {
                    bytes.iter().for_each(|part| transmit(connection.as_u64(), part.as_ptr(), part.len()));
                }
                Output::Close(connection) => close(connection.as_u64()),
                Output::Event(Event::Delivered { delivery, .. }) => {
                    delivered(delivery.record_count(), delivery.base_offset().unwrap_or(-1));
                }
                Output::Event(Event::Failed { error, .. }) => say(failed, &error.to_string()),
                Output::Event(Event::ConnectionError(error)) => say(log, &error.to_string()),
                Output::Event(Event::Closed) => closed(),
                Output::Event(_) => {}
                Output::Wait(deadline) => break deadline.map_or(-1.0, |at| at.since_start().as_secs_f64() * 1e3),
            }
        }
    })
}

fn say(to: extern "C" fn(*const u8, usize), text: &str) {
    to(text.as_ptr(), text.len());
}
