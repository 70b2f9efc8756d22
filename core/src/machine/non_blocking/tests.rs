//! A stream that does what a test says, one result for each call.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use std::io::IoSlice;

use super::*;
use crate::Timestamp;
use crate::machine::{Clock, ConnectionErrorKind, Event, MachineConfig, Output};
use crate::protocol::Acks;

/// Results of reading and of writing, in order; afterwards both would block. Of a write, the number of bytes that are accepted.
#[derive(Debug, Default)]
struct Script {
    reads: VecDeque<Result<Vec<u8>, ErrorKind>>,
    writes: VecDeque<Result<usize, ErrorKind>>,
    flushes: VecDeque<Result<(), ErrorKind>>,
    written: Vec<u8>,
    calls: String,
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls.push('r');
        let bytes = self.reads.pop_front().unwrap_or(Err(ErrorKind::WouldBlock))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Script {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("writes are vectored")
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls.push('w');
        let limit = self.writes.pop_front().unwrap_or(Err(ErrorKind::WouldBlock))?;
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(limit).collect();
        self.written.extend(&bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes.pop_front().unwrap_or(Ok(()))?;
        Ok(())
    }
}

/// A machine that has just connected, the connection, and the first frame, which is ApiVersions.
fn connected(script: Script) -> (Machine, NonBlocking<Script>, Vec<u8>) {
    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    let mut config = MachineConfig::new([("broker", 9092)]);
    config.acks = Acks::None;
    let mut machine = Machine::new(config, clock, 1);
    machine.lookup_topic("t", Instant::START);
    let Output::Connect { connection, .. } = machine.poll_output(Instant::START) else { panic!() };
    machine.handle_input(Input::Connected(connection), Instant::START);
    let Output::Transmit { bytes, .. } = machine.poll_output(Instant::START) else { panic!() };
    let mut stream = NonBlocking::new(connection, script);
    let frame = bytes.concat();
    stream.transmit(bytes);
    (machine, stream, frame)
}

fn step(machine: &mut Machine, stream: &mut NonBlocking<Script>) -> bool {
    stream.get_mut().calls.clear();
    stream.step(machine, &mut [0; 64], Instant::START)
}

/// Returns how the connection has ended, in words.
fn ending(machine: &mut Machine) -> String {
    loop {
        match machine.poll_output(Instant::START) {
            Output::Event(Event::ConnectionError(error)) => match error.kind {
                ConnectionErrorKind::Disconnected { how, error } => {
                    return alloc::format!("{how:?} {:?}", error.map(|error| error.to_string()));
                }
                other => return alloc::format!("{other:?}"),
            },
            Output::Wait(_) => return "open".into(),
            _ => {}
        }
    }
}

#[test]
fn a_step_reads_once_and_writes_once() {
    let script = Script { writes: VecDeque::from([Ok(5), Ok(100)]), ..Script::default() };
    let (mut machine, mut stream, frame) = connected(script);
    assert!(stream.is_ready() && stream.has_output());
    assert!(step(&mut machine, &mut stream));
    assert_eq!((&*stream.get_ref().calls, &stream.get_ref().written[..]), ("rw", &frame[..5]));
    assert!(step(&mut machine, &mut stream));
    assert_eq!((&*stream.get_ref().calls, &stream.get_ref().written), ("w", &frame), "reading would block");
    assert!(!stream.is_ready() && !stream.has_output());
    assert!(step(&mut machine, &mut stream));
    assert_eq!(stream.get_ref().calls, "", "nothing is ready");
}

#[test]
fn readiness_is_kept_until_an_operation_would_block() {
    let (mut machine, mut stream, frame) = connected(Script::default());
    assert!(step(&mut machine, &mut stream));
    assert_eq!(stream.get_ref().calls, "rw");
    assert!(!stream.is_ready() && stream.has_output(), "both would block");
    stream.set_ready(false, true);
    stream.set_ready(false, false); // reports are changes, not states
    assert!(stream.is_ready());
    stream.get_mut().writes = (0..frame.len()).map(|_| Ok(1)).collect();
    for _ in 0..frame.len() {
        assert!(stream.is_ready());
        assert!(step(&mut machine, &mut stream));
        assert_eq!(stream.get_ref().calls, "w");
    }
    stream.set_ready(true, false);
    stream.get_mut().reads = VecDeque::from([Err(ErrorKind::Interrupted), Ok(vec![0]), Ok(vec![0])]);
    for _ in 0..4 {
        assert!(stream.is_ready());
        assert!(step(&mut machine, &mut stream));
        assert_eq!(stream.get_ref().calls, "r");
    }
    assert!(!stream.is_ready(), "the fourth read would have blocked");
    assert_eq!(ending(&mut machine), "open");
}

#[test]
fn a_frame_counts_as_sent_once_it_is_flushed() {
    let flushes = VecDeque::from([Err(ErrorKind::WouldBlock), Ok(())]);
    let script = Script { writes: VecDeque::from([Ok(1_000)]), flushes, ..Script::default() };
    let (mut machine, mut stream, _) = connected(script);
    assert!(step(&mut machine, &mut stream));
    assert!(stream.has_output() && !stream.is_ready(), "written, not flushed");
    stream.set_ready(false, true);
    assert!(step(&mut machine, &mut stream));
    assert!(!stream.has_output());
}

#[test]
fn what_was_received_is_read_after_a_failed_write() {
    for (last, expected) in [
        (Err(ErrorKind::WouldBlock), "Broken Some(\"broken pipe\")"),
        (Ok(vec![]), "Broken Some(\"broken pipe\")"),
        (Err(ErrorKind::ConnectionReset), "Broken Some(\"connection reset\")"),
    ] {
        let reads = VecDeque::from([Err(ErrorKind::WouldBlock), Ok(vec![0, 0]), Ok(vec![0, 9]), last]);
        let script = Script { reads, writes: VecDeque::from([Err(ErrorKind::BrokenPipe)]), ..Script::default() };
        let (mut machine, mut stream, _) = connected(script);
        assert!(step(&mut machine, &mut stream));
        assert_eq!(stream.get_ref().calls, "rw");
        for _ in 0..2 {
            assert!(stream.is_ready());
            assert!(step(&mut machine, &mut stream), "there is more to read");
            assert_eq!(stream.get_ref().calls, "r", "nothing more is written");
        }
        assert!(!step(&mut machine, &mut stream));
        assert_eq!(ending(&mut machine), expected);
    }
}

#[test]
fn the_end_of_a_stream_is_reported() {
    for (read, expected) in [(Ok(vec![]), "ByPeer None"), (Err(ErrorKind::TimedOut), "Broken Some(\"timed out\")")] {
        let script = Script { reads: VecDeque::from([read]), ..Script::default() };
        let (mut machine, mut stream, _) = connected(script);
        assert!(!step(&mut machine, &mut stream));
        assert_eq!(ending(&mut machine), expected);
    }
    let script = Script { writes: VecDeque::from([Ok(0)]), ..Script::default() };
    let (mut machine, mut stream, _) = connected(script);
    assert!(step(&mut machine, &mut stream));
    assert!(!step(&mut machine, &mut stream));
    assert_eq!(ending(&mut machine), "Broken Some(\"write zero\")");
}

#[test]
fn a_connection_is_reported_once_the_stream_is_writable_and_connected() {
    fn is_connected(script: &Script) -> io::Result<bool> {
        match script.calls.as_str() {
            "refused" => Err(ErrorKind::ConnectionRefused.into()),
            calls => Ok(calls == "connected"),
        }
    }
    let (mut machine, stream, _) = connected(Script::default());
    let mut now = Instant::START;
    machine.handle_input(Input::Closed(stream.id, Disconnect::ByPeer, None), now);
    assert_eq!(ending(&mut machine), "ByPeer None");
    for (outcome, expected) in [("connected", "open"), ("refused", "NotConnected Some(\"connection refused\")")] {
        let id = loop {
            match machine.poll_output(now) {
                Output::Connect { connection, .. } => break connection,
                Output::Wait(deadline) => now = deadline.expect("it reconnects"),
                _ => {}
            }
        };
        let mut stream = NonBlocking::connecting(id, Script::default(), is_connected);
        let mut step = |stream: &mut NonBlocking<Script>| stream.step(&mut machine, &mut [0; 64], now);
        assert!(step(&mut stream) && !stream.is_ready(), "nothing is known yet");
        stream.set_ready(true, false);
        assert!(step(&mut stream) && !stream.is_ready(), "it is not writable");
        stream.set_ready(false, true);
        assert!(stream.is_ready());
        assert!(step(&mut stream) && !stream.is_ready(), "writable, but not connected");
        stream.get_mut().calls = outcome.into();
        assert!(step(&mut stream) && stream.get_ref().calls == outcome, "not writable again");
        stream.set_ready(false, true);
        assert_eq!(step(&mut stream), outcome == "connected");
        assert_eq!(ending(&mut machine), expected);
        machine.handle_input(Input::Closed(id, Disconnect::ByPeer, None), now);
    }
}

#[test]
fn connections_carry_out_the_outputs_of_the_machine() {
    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    let mut machine = Machine::new(MachineConfig::new([("broker", 9092)]), clock, 1);
    machine.lookup_topic("t", Instant::START);
    let mut connections = NonBlockingConnections::<Script>::new();
    let mut drain = |now: Instant, refuse: bool, connections: &mut NonBlockingConnections<Script>| {
        let (mut events, mut asked) = (Vec::new(), Vec::new());
        let deadline = loop {
            let connect = |id, host: &str, port: u16| {
                asked.push(alloc::format!("{host}:{port}"));
                let writes = VecDeque::from([Ok(1_000)]);
                let script = Script { writes, reads: VecDeque::from([Ok(Vec::new())]), ..Script::default() };
                if refuse { Err(ErrorKind::ConnectionRefused.into()) } else { Ok(NonBlocking::new(id, script)) }
            };
            match connections.poll_output(&mut machine, connect, now) {
                PolledOutput::Done => {}
                PolledOutput::Event(event) => events.push(event),
                PolledOutput::Wait(deadline) => break deadline.expect("a lookup has a deadline"),
            }
        };
        let at = connections.iter().map(|(id, _)| id.as_u64()).collect::<Vec<_>>();
        connections.step(&mut machine, now);
        (asked, events, at, deadline)
    };
    let (asked, events, open, deadline) = drain(Instant::START, true, &mut connections);
    assert_eq!((&asked[..], open.len()), (&["broker:9092".to_string()][..], 0));
    let [Event::ConnectionError(error)] = &events[..] else { panic!("{events:?}") };
    assert!(error.to_string().starts_with("broker:9092: could not connect: connection refused"), "{error}");

    // The first step reads the end of the stream, and removes the connection.
    let (asked, events, open, _) = drain(deadline, false, &mut connections);
    assert_eq!((asked.len(), events.len(), open.len(), connections.iter().count()), (1, 0, 1, 0));
    assert!(!connections.is_ready());
}
