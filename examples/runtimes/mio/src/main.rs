//! Publishes from a program with one thread and no futures, in turns that never block, over mio; then compares the log.
//!
//! ```text
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-mio
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-mio -- --brokers 127.0.0.1:9092 --topic readings
//! ```
//!
//! [`driver`] is the driver. This file is an application of it: a loop that has other work, too.

mod driver;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use kafka_batch::machine::{CloseMode, Event, MachineConfig};
use kafka_batch_example_shared::{Deliveries, Plan, report};

use driver::MioProducer;

/// How many batches are passed to the producer in one turn at most.
const BATCHES: usize = 8;
/// How long a turn waits if it has nothing to do. A game or a trading program passes zero, because it has.
const AT_MOST: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    report(Plan::from_args().map_err(Into::into).and_then(|plan| publish(&plan)))
}

/// Publishes all batches, and returns a summary.
fn publish(plan: &Plan) -> Result<String, Box<dyn Error>> {
    let config = MachineConfig::new(plan.bootstrap_servers()?);
    let mut producer = MioProducer::new(config, RandomState::new().hash_one(0), Box::new(resolve))?;
    let mut batches = plan.sealed_batches()?;
    let (mut rejected, mut events, mut deliveries) = (None, Vec::new(), Deliveries::default());
    let (mut turns, mut can_send, mut is_closed) = (0, true, false);
    while !is_closed {
        for _ in 0..BATCHES {
            if !can_send {
                break;
            }
            let (machine, now) = producer.command();
            match rejected.take().map(Ok).or_else(|| batches.next()).transpose()? {
                Some((batch, to)) => match machine.send(batch, to, now) {
                    Ok(_) => {}
                    // It is sent again after an event: each outcome of a batch makes room.
                    Err(error) if error.kind.is_retriable() => {
                        rejected = Some((*error.batch, error.to));
                        can_send = false;
                    }
                    Err(error) => return Err(error.into()),
                },
                None => {
                    machine.close(CloseMode::Graceful, now);
                    can_send = false;
                }
            }
        }
        producer.turn(if can_send { Duration::ZERO } else { AT_MOST }, &mut events)?;
        turns += 1;
        for event in events.drain(..) {
            match event {
                Event::Delivered { delivery, .. } => {
                    deliveries.add(&delivery);
                    can_send |= rejected.is_some();
                }
                Event::Failed { error, .. } => return Err(error.into()),
                Event::ConnectionError(error) => eprintln!("{error}"),
                Event::Closed => is_closed = true,
                _ => {}
            }
        }
        // Here the program does its other work.
    }
    Ok(format!("mio: {}, in {turns} turns", plan.verify(&deliveries)?))
}

/// The names of the brokers are in this machine's own tables, or addresses. Where a lookup would ask a name server, it has to be
/// made elsewhere, before.
fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let mut addresses = (host, port).to_socket_addrs()?;
    addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host name has no address"))
}
