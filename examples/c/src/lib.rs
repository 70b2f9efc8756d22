//! A C interface to the producer state machine. The C program has the sockets, the clock and the loop. `kafka_batch.h` is
//! generated from this file by cbindgen (`examples/c/check`).
//!
//! Every pointer to a producer must be one that `kb_new` has returned and `kb_free` has not got, and be used by one thread at a time.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::slice;
use std::time::Duration;

use kafka_batch::error::TransportError;
use kafka_batch::machine::{
    Clock, CloseMode, ConnectionId, Disconnect, Event, Input, Instant, Machine, MachineConfig, Output, WriteQueue,
};
use kafka_batch::{Append, KafkaBatch, Record, Timestamp, TopicPartition};

/// A producer: the state machine, and the batch that is being filled.
pub struct KbProducer {
    machine: Machine,
    batch: KafkaBatch,
    write_queues: BTreeMap<ConnectionId, WriteQueue>,
    /// The text of the last output or error.
    text: CString,
}

/// Some bytes that belong to the producer.
#[repr(C)]
pub struct KbBytes {
    pub data: *const u8,
    pub length: usize,
}

/// What an output asks for, or says.
#[repr(C)]
pub enum KbOutputKind {
    /// Connect to `text` and `port`, and call `kb_connected` or `kb_disconnected`.
    Connect,
    /// There are bytes to write on the connection: see `kb_next_bytes`.
    Transmit,
    /// Close the connection. Report nothing.
    Close,
    /// A batch is in the log, from offset `offset` on. `count` is its number of records.
    Delivered,
    /// A batch has failed: `text` says why.
    Failed,
    /// A connection could not be made, or was lost: `text` is for a log.
    ConnectionError,
    /// The producer is closed. This is the last event.
    Closed,
    /// Wait for a socket, or until `deadline`, which is in nanoseconds; -1 is no deadline. Always the last output.
    Wait,
}

/// An output. Which members mean something depends on the kind. The text is valid until the next call.
#[repr(C)]
pub struct KbOutput {
    pub kind: KbOutputKind,
    pub connection: u64,
    pub port: u16,
    pub offset: i64,
    pub count: usize,
    pub deadline: i64,
    pub text: *const c_char,
}

/// The result of a command.
#[repr(C)]
pub enum KbResult {
    /// It is done.
    Ok,
    /// The record does not fit into the batch: send the batch, and append the record again.
    BatchFull,
    /// There is no memory for the batch: send it again after the next `Delivered` or `Failed`.
    BufferFull,
    /// It cannot be done: `kb_error` says why.
    Error,
}

fn instant(nanos: i64) -> Instant {
    Instant::from_start(Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()))
}

fn text(text: impl ToString) -> CString {
    CString::new(text.to_string().replace('\0', "?")).unwrap_or_default()
}

/// Returns the producer behind a pointer.
///
/// # Safety
/// The pointer is valid, and there is no other reference.
unsafe fn producer<'a>(pointer: *mut KbProducer) -> &'a mut KbProducer {
    // SAFETY: the caller's.
    unsafe { &mut *pointer }
}

/// Creates a producer with one bootstrap server. `wall_millis` is the time since the Unix epoch at the moment at which the clock of
/// the other calls, in nanoseconds, is 0. `batch_size` is in bytes. Returns null if a string is not UTF-8 or the size is too small.
///
/// # Safety
/// `host` ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_new(
    host: *const c_char,
    port: u16,
    batch_size: usize,
    wall_millis: i64,
    seed: u64,
) -> *mut KbProducer {
    // SAFETY: the caller's.
    let Ok(host) = unsafe { CStr::from_ptr(host) }.to_str() else { return ptr::null_mut() };
    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(wall_millis) };
    let machine = Machine::new(MachineConfig::new([(host, port)]), clock, seed);
    let options = kafka_batch::BatchOptions::default().batch_size(batch_size);
    let Ok(batch) = options.build(clock.wall) else { return ptr::null_mut() };
    let (write_queues, text) = (BTreeMap::new(), CString::default());
    Box::into_raw(Box::new(KbProducer { machine, batch, write_queues, text }))
}

/// Frees a producer. Its unfinished batches are lost.
///
/// # Safety
/// As above. Null is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_free(pointer: *mut KbProducer) {
    if !pointer.is_null() {
        // SAFETY: the caller's.
        drop(unsafe { Box::from_raw(pointer) });
    }
}

/// Returns the text of the last error.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_error(pointer: *mut KbProducer) -> *const c_char {
    // SAFETY: the caller's.
    unsafe { producer(pointer) }.text.as_ptr()
}

/// Appends a record to the batch.
///
/// # Safety
/// As above, and there are `length` bytes at `value`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_append(pointer: *mut KbProducer, value: *const u8, length: usize, now: i64) -> KbResult {
    // SAFETY: the caller's.
    let (producer, value) = unsafe { (producer(pointer), bytes(value, length)) };
    producer.batch.set_now(producer.machine.wall_time(instant(now)));
    match producer.batch.append(Record::new(value)) {
        Ok(Append::Appended(_)) => KbResult::Ok,
        Ok(Append::Full(_)) => KbResult::BatchFull,
        Err(error) => producer.fail(error),
    }
}

/// Sends the batch to a partition, and begins a new one.
///
/// # Safety
/// As above, and `topic` ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_send(pointer: *mut KbProducer, topic: *const c_char, partition: i32, now: i64) -> KbResult {
    // SAFETY: the caller's.
    let (producer, topic) = unsafe { (producer(pointer), CStr::from_ptr(topic)) };
    let Ok(topic) = topic.to_str() else { return producer.fail("the topic is not UTF-8") };
    if !producer.machine.has_room() {
        return KbResult::BufferFull;
    }
    let next = producer.batch.next_batch();
    let sealed = match std::mem::replace(&mut producer.batch, next).seal() {
        Ok(sealed) => sealed,
        Err(error) => return producer.fail(error),
    };
    match producer.machine.send(sealed, TopicPartition::new(topic, partition), instant(now)) {
        Ok(_) => KbResult::Ok,
        Err(error) => {
            let result = if error.kind.is_retriable() { KbResult::BufferFull } else { producer.fail(&error) };
            producer.batch = error.batch.into_batch();
            result
        }
    }
}

/// Lets the producer end with `Closed`, once every batch has its outcome.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_close(pointer: *mut KbProducer, now: i64) {
    // SAFETY: the caller's.
    unsafe { producer(pointer) }.machine.close(CloseMode::Graceful, instant(now));
}

/// Returns the next output. To be called until it is `Wait`: after every other call, and at each deadline.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_poll(pointer: *mut KbProducer, now: i64) -> KbOutput {
    // SAFETY: the caller's.
    let producer = unsafe { producer(pointer) };
    let mut output = KbOutput {
        kind: KbOutputKind::Wait,
        connection: 0,
        port: 0,
        offset: -1,
        count: 0,
        deadline: -1,
        text: ptr::null(),
    };
    loop {
        match producer.machine.poll_output(instant(now)) {
            Output::Connect { connection, host, port } => {
                producer.text = text(host);
                producer.write_queues.insert(connection, WriteQueue::new());
                (output.kind, output.connection, output.port) = (KbOutputKind::Connect, connection.as_u64(), port);
            }
            Output::Transmit { connection, bytes } => {
                producer.write_queues.entry(connection).or_default().push(bytes);
                (output.kind, output.connection) = (KbOutputKind::Transmit, connection.as_u64());
            }
            Output::Close(connection) => {
                producer.write_queues.remove(&connection);
                (output.kind, output.connection) = (KbOutputKind::Close, connection.as_u64());
            }
            Output::Event(Event::Delivered { delivery, .. }) => {
                output.kind = KbOutputKind::Delivered;
                (output.offset, output.count) = (delivery.base_offset().unwrap_or(-1), delivery.record_count());
            }
            Output::Event(Event::Failed { error, .. }) => {
                producer.text = text(error);
                output.kind = KbOutputKind::Failed;
            }
            Output::Event(Event::ConnectionError(error)) => {
                producer.text = text(error);
                output.kind = KbOutputKind::ConnectionError;
            }
            Output::Event(Event::Closed) => output.kind = KbOutputKind::Closed,
            Output::Event(_) => continue,
            Output::Wait(deadline) => {
                let nanos = |at: Instant| i64::try_from(at.since_start().as_nanos()).unwrap_or(i64::MAX);
                output.deadline = deadline.map_or(-1, nanos);
            }
        }
        output.text = producer.text.as_ptr();
        return output;
    }
}

/// The connection is established.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_connected(pointer: *mut KbProducer, connection: u64, now: i64) {
    // SAFETY: the caller's.
    let machine = unsafe { &mut producer(pointer).machine };
    machine.handle_input(Input::Connected(ConnectionId::from_u64(connection)), instant(now));
}

/// Bytes were received.
///
/// # Safety
/// As above, and there are `length` bytes at `data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_received(
    pointer: *mut KbProducer,
    connection: u64,
    data: *const u8,
    length: usize,
    now: i64,
) {
    // SAFETY: the caller's.
    let (machine, data) = unsafe { (&mut producer(pointer).machine, bytes(data, length)) };
    machine.handle_input(Input::Received(ConnectionId::from_u64(connection), data), instant(now));
}

/// The connection has ended, or could not be established. `error` is that of the system, or 0.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_disconnected(
    pointer: *mut KbProducer,
    connection: u64,
    was_connected: bool,
    error: i32,
    now: i64,
) {
    // SAFETY: the caller's.
    let producer = unsafe { producer(pointer) };
    let id = ConnectionId::from_u64(connection);
    producer.write_queues.remove(&id);
    let how = match (was_connected, error) {
        (false, _) => Disconnect::NotConnected,
        (true, 0) => Disconnect::ByPeer,
        (true, _) => Disconnect::Broken,
    };
    let error = (error != 0).then(|| TransportError::new(std::io::Error::from_raw_os_error(error)));
    producer.machine.handle_input(Input::Closed(id, how, error.as_ref()), instant(now));
}

/// Returns the next bytes to write on a connection; none if the length is 0. They are valid until `kb_written`, `kb_disconnected`,
/// or a `Close` of this connection, so they need not be copied.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_next_bytes(pointer: *mut KbProducer, connection: u64) -> KbBytes {
    // SAFETY: the caller's.
    let queues = unsafe { &producer(pointer).write_queues };
    let chunk = queues.get(&ConnectionId::from_u64(connection)).map_or(&[][..], WriteQueue::chunk);
    KbBytes { data: chunk.as_ptr(), length: chunk.len() }
}

/// So many of these bytes were written.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kb_written(pointer: *mut KbProducer, connection: u64, length: usize, now: i64) {
    // SAFETY: the caller's.
    let producer = unsafe { producer(pointer) };
    let id = ConnectionId::from_u64(connection);
    let frames = producer.write_queues.get_mut(&id).map_or(0, |queue| queue.advance(length));
    (0..frames).for_each(|_| producer.machine.handle_input(Input::Transmitted(id), instant(now)));
}

impl KbProducer {
    fn fail(&mut self, error: impl ToString) -> KbResult {
        self.text = text(error);
        KbResult::Error
    }
}

/// Returns the bytes at a pointer, which may be null if there are none.
///
/// # Safety
/// There are so many.
unsafe fn bytes<'a>(data: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: the caller's.
    if length == 0 { &[] } else { unsafe { slice::from_raw_parts(data, length) } }
}
