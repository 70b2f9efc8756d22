//! A producer in a program that links no std: TCP by smoltcp, an allocator of its own, a clock and a link from the computer.
//!
//! ```text
//! cargo build --release --manifest-path examples/smoltcp/Cargo.toml
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-link -- \
//!     examples/smoltcp/target/release/kafka-batch-example-smoltcp
//! ```
//! `link` starts this program, is the other end of its link, and compares what is in the log. This program prints how much of its
//! heap it has used. If std were linked, its panic handler would conflict with the one below (E0152).
#![no_std]
#![no_main]

extern crate alloc;

mod driver;
mod heap;
mod link;
mod system;

use alloc::format;
use alloc::string::String;
use core::ffi::{CStr, c_char, c_int};
use core::fmt::Write;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::panic::PanicInfo;

use kafka_batch_core::machine::{
    Clock, CloseMode, Event, FlushId, Instant, Machine, MachineConfig, MachineSendErrorKind,
};
use kafka_batch_core::{BatchOptions, Record, Timestamp, TopicPartition};
use smoltcp::iface::{Config, Interface};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use driver::Driver;
use heap::CountingHeap;
use link::Link;
use system::Text;

#[global_allocator]
static HEAP: CountingHeap = CountingHeap::new();

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Text, "{info}");
    system::halt()
}

/// The compiled `alloc` refers to the unwinding routines of `std`. Nothing unwinds here, so they are never called.
#[unsafe(no_mangle)]
const extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    system::halt()
}

/// Arguments: the address of a broker, and the number of records.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let argument = |at: usize| {
        // SAFETY: C guarantees `count` pointers to strings that end with a zero.
        let text = (at < count as usize).then(|| unsafe { CStr::from_ptr(*arguments.add(at)) });
        text.and_then(|text| text.to_str().ok())
    };
    let broker: Option<SocketAddrV4> = argument(1).and_then(|text| text.parse().ok());
    let records: Option<u32> = argument(2).and_then(|text| text.parse().ok());
    let Some((broker, records)) = broker.zip(records) else {
        let _ = writeln!(Text, "usage: ADDRESS:PORT RECORDS, with standard input as the link");
        return 2;
    };
    match publish(broker, records) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(Text, "error: {error}");
            1
        }
    }
}

/// The memory of unfinished batches: a small device has little.
const BUFFER_MEMORY: usize = 16 * 1024;
const BATCH_SIZE: usize = 4 * 1024;
/// The most that the machine may need without batches.
const MACHINE_LIMIT: usize = 16 * 1024;

/// Returns the network interface: its address, and the gateway that forwards to everything outside of its network.
fn interface() -> Interface {
    let mut interface =
        Interface::new(Config::new(HardwareAddress::Ip), &mut Link, smoltcp::time::Instant::from_micros(0));
    let address = IpCidr::new(IpAddress::v4(10, 0, 0, 2), 24);
    interface.update_ip_addrs(|addresses| addresses.push(address).expect("there is room for one"));
    interface.routes_mut().add_default_ipv4_route(Ipv4Addr::new(10, 0, 0, 1)).expect("there is room for one");
    interface
}

/// Drops everything but the machine.
fn alone(driver: Driver<Link>) -> Machine {
    driver.machine
}

fn publish(broker: SocketAddrV4, records: u32) -> Result<(), String> {
    let (before, _) = HEAP.used();
    let start = system::monotonic();
    let now = || Instant::from_start(system::monotonic() - start);
    let clock = Clock { now: now(), wall: Timestamp::from_millis(system::wall().as_millis() as i64) };
    let mut config = MachineConfig::new([(format!("{}", broker.ip()), broker.port())]);
    config.buffer_memory = BUFFER_MEMORY;
    let mut driver = Driver::new(Machine::new(config, clock, system::random()), Link, interface());

    let options = BatchOptions::default().batch_size(BATCH_SIZE);
    let mut batch = options.build(driver.machine.wall_time(now())).map_err(|error| format!("{error}"))?;
    let mut values = (0..records).map(|number| Record::new(format!("reading {number}"))).peekable();
    let (mut rejected, mut flush, mut delivered, mut failed) = (None, None, 0, None);
    let mut is_flushed = false;
    while !is_flushed {
        // Fills the memory of the producer. What exceeds it is sent after the next outcome.
        while rejected.is_some() || values.peek().is_some() {
            let sealed = match rejected.take() {
                Some(sealed) => sealed,
                None => {
                    batch.set_now(driver.machine.wall_time(now()));
                    let _ = batch.fill_from(&mut values).map_err(|error| format!("{error}"))?; // full, or out of records
                    let next = batch.next_batch();
                    core::mem::replace(&mut batch, next).seal().map_err(|error| format!("{error}"))?
                }
            };
            match driver.machine.send(sealed, TopicPartition::new("readings", 0), now()) {
                Ok(_) => {}
                Err(error) if matches!(error.kind, MachineSendErrorKind::Full { .. }) => {
                    rejected = Some(*error.batch);
                    break;
                }
                Err(error) => return Err(format!("{error}")),
            }
        }
        if flush.is_none() && rejected.is_none() && values.peek().is_none() {
            flush = Some(driver.machine.flush(now()));
        }
        let mut made_room = false;
        let deadline = driver.poll(now(), |event| match event {
            Event::Delivered { delivery, .. } => {
                delivered += delivery.record_count();
                made_room = true;
            }
            Event::Failed { error, .. } => failed = Some(format!("{error}")),
            Event::ConnectionError(error) => drop(writeln!(Text, "{error}")),
            Event::Flushed(id) => is_flushed |= flush == Some::<FlushId>(id),
            _ => {}
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let has_work = is_flushed || made_room && rejected.is_some();
        if !has_work {
            system::wait(deadline.map(|deadline| deadline.since(now())));
        }
    }
    drop((batch, values));
    let (_, peak) = HEAP.used();
    let mut machine = alone(driver);
    let idle = HEAP.used().0 - before;
    let _ = writeln!(
        Text,
        "{delivered} records delivered; peak heap {peak} bytes, with smoltcp and {BUFFER_MEMORY} bytes of batches"
    );
    let _ = writeln!(Text, "the machine's heap, connected and with one partition, without batches: {idle} bytes");
    machine.close(CloseMode::Immediate, now());
    match idle {
        ..=MACHINE_LIMIT => Ok(()),
        _ => Err(format!("the machine needs more than {MACHINE_LIMIT} bytes")),
    }
}
