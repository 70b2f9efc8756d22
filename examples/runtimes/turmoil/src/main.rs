//! Publishes over the transport for tokio in simulations by turmoil: hosts crash, and networks are partitioned and delay messages.
//! Each run follows from its seed, and compares the log.
//!
//! ```text
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-turmoil -- [SEED]
//! ```

mod brokers;
mod driver;

use std::cell::RefCell;
use std::ops::Range;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use kafka_batch_example_shared::producer::publish;
use kafka_batch_example_shared::{Deliveries, Plan, report};
use kafka_batch_testing::simulated::{Random, host};
use kafka_batch_tokio::TokioProducer;

use brokers::Brokers;
use driver::Turmoil;

const BROKERS: i32 = 3;
const RECORDS: &str = "3000";
/// How long a run may take, in simulated time.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    report(seeds().and_then(|seeds| {
        let (mut simulated, count) = (Duration::ZERO, seeds.end - seeds.start);
        for seed in seeds {
            let run = simulate(seed).map_err(|error| format!("seed {seed}: {error}"))?;
            simulated += run.elapsed;
        }
        Ok(format!("turmoil: {count} runs of {RECORDS} records, in {simulated:.1?} of simulated time, each as its log"))
    }))
}

fn seeds() -> Result<Range<u64>, String> {
    match std::env::args().nth(1) {
        Some(seed) => seed.parse().map(|seed| seed..seed + 1).map_err(|error| format!("seed {seed}: {error}")),
        None => Ok(0..5),
    }
}

/// What happened in a simulation.
#[derive(Debug, PartialEq)]
struct Run {
    elapsed: Duration,
    /// How often a host crashed or a network was changed.
    hardships: usize,
    requests: String,
}

/// Publishes in a simulation, and compares the log.
fn simulate(seed: u64) -> Result<Run, String> {
    let servers: Vec<_> = (1..=BROKERS).map(|id| format!("{}:9092", host(id))).collect();
    let plan = Plan::parse(["--brokers", &servers.join(","), "--records", RECORDS, "--batch-size", "600"])?;
    let brokers = Brokers::new(seed, BROKERS as usize, plan.topic(), 3);
    let mut builder = turmoil::Builder::new();
    builder.rng_seed(seed).simulation_duration(LIMIT).max_message_latency(Duration::from_millis(20));
    let mut simulation = builder.build();
    for id in 1..=BROKERS {
        let brokers = brokers.clone();
        simulation.host(host(id), move || brokers.clone().run(id));
    }
    let batches = plan.batches()?;
    let deliveries: Rc<RefCell<Deliveries>> = Rc::default();
    let (result, bootstrap_servers) = (Rc::clone(&deliveries), plan.brokers.clone());
    simulation.client("client", async move {
        let builder = TokioProducer::builder().connector(Turmoil).set("bootstrap.servers", bootstrap_servers);
        let producer = builder.set("request.timeout.ms", "3000").seed(seed).build()?;
        *result.borrow_mut() = publish(&producer, batches).await?;
        Ok(())
    });
    let hardships = run(&mut simulation, &brokers, seed).map_err(|error| error.to_string())?;
    let (violations, requests) = brokers.history();
    if let Some(violation) = violations.first() {
        return Err(format!("the brokers do not accept it: {violation}"));
    }
    plan.verify_logs(&deliveries.borrow(), |partition| brokers.log(plan.topic(), partition))?;
    Ok(Run { elapsed: simulation.elapsed(), hardships, requests })
}

/// Runs a simulation to its end, in which something fails every now and then. Returns how often.
fn run(simulation: &mut turmoil::Sim<'_>, brokers: &Brokers, seed: u64) -> turmoil::Result<usize> {
    let (mut random, mut count, mut repair) = (Random::new(seed), 0, None);
    let mut next = Duration::from_millis(random.between(20, 200));
    while !simulation.step()? {
        let now = simulation.elapsed();
        if now < next {
            continue;
        }
        next = now + random.millis(50, 400);
        count += 1;
        match repair.take() {
            Some((id, Hardship::Crash)) => simulation.bounce(host(id)),
            Some((id, Hardship::Partition)) => simulation.repair("client", host(id)),
            Some((id, Hardship::Hold)) => simulation.release("client", host(id)),
            None => {
                let id = random.between(1, BROKERS as u64) as i32;
                let hardship = *random.pick(&[Hardship::Crash, Hardship::Partition, Hardship::Hold]);
                match hardship {
                    Hardship::Crash => {
                        simulation.crash(host(id));
                        brokers.kill(id, now);
                    }
                    Hardship::Partition => simulation.partition("client", host(id)),
                    Hardship::Hold => simulation.hold("client", host(id)),
                }
                repair = Some((id, hardship));
            }
        }
    }
    Ok(count)
}

/// What fails, until it is repaired.
#[derive(Clone, Copy, Debug)]
enum Hardship {
    /// The host of a broker crashes.
    Crash,
    /// Messages between the client and a broker are lost, which breaks their connections.
    Partition,
    /// Messages between the client and a broker are delayed.
    Hold,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_follows_from_its_seed() {
        let run = simulate(7).unwrap();
        assert!(run.hardships > 3, "{}", run.hardships);
        assert_eq!(run, simulate(7).unwrap());
        assert_ne!(run.requests, simulate(8).unwrap().requests);
    }

    #[test]
    fn nothing_is_lost_or_repeated_whatever_fails() {
        for seed in 100..110 {
            simulate(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
}
