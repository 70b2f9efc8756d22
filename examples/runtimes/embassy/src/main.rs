//! Publishes from a program whose executor, timers and network are embassy's, on one thread; then compares the log.
//!
//! ```text
//! cargo run --manifest-path examples/runtimes/Cargo.toml -p kafka-batch-example-embassy
//! ```
//! Its network is a link to a gateway in a second thread, which connects to the cluster.

mod driver;
mod link;

use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant as Moment};

use embassy_executor::{Executor, Spawner};
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, StackResources, StaticConfigV4};
use kafka_batch_example_link::Gateway;
use kafka_batch_example_shared::producer::publish_local;
use kafka_batch_example_shared::{Deliveries, Plan, PlannedBatch, report};
use kafka_batch_transport::LocalProducerTask;

use driver::{Embassy, set_network};
use link::Link;

/// More than any run takes.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    report(Plan::from_args().and_then(|plan| run(&plan)))
}

/// Publishes all batches, and returns a summary.
fn run(plan: &Plan) -> Result<String, String> {
    let started = Moment::now();
    let cluster = plan.cluster().ok_or("the gateway knows only the cluster inside this program")?;
    let ports = (1..).map_while(|broker| cluster.address(broker)).map(|address| address.port());
    let (ours, theirs) = UnixDatagram::pair().map_err(|error| error.to_string())?;
    let job = Job { brokers: plan.brokers.clone(), batches: Box::new(plan.batches()?), link: theirs };
    let (sender, result) = channel();
    // The executor never ends. (Each task can run twice in this process, for two tests at a time.)
    thread::spawn(move || {
        let executor: &'static mut Executor = Box::leak(Box::new(Executor::new()));
        executor.run(|spawner| spawner.spawn(work(spawner, job, sender).expect("it is the first one")));
    });
    let mut gateway = Gateway::new(ours, ports).map_err(|error| error.to_string())?;
    while started.elapsed() < LIMIT {
        gateway.forward().map_err(|error| error.to_string())?;
        match result.try_recv() {
            Ok(deliveries) => {
                return Ok(format!("embassy: {}, in {:.1?}", plan.verify(&deliveries?)?, started.elapsed()));
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Err("the executor has panicked".into()),
        }
    }
    Err(format!("there is no result after {LIMIT:?}"))
}

/// What the executor's thread does.
struct Job {
    brokers: String,
    batches: Box<dyn Iterator<Item = PlannedBatch> + Send>,
    link: UnixDatagram,
}

#[embassy_executor::task(pool_size = 2)]
async fn work(spawner: Spawner, job: Job, result: Sender<Result<Deliveries, String>>) {
    let _ = result.send(publish(spawner, job).await);
}

async fn publish(spawner: Spawner, job: Job) -> Result<Deliveries, String> {
    let link = Link::new(job.link).map_err(|error| error.to_string())?;
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, 2), 24),
        gateway: Some(Ipv4Address::new(10, 0, 0, 1)),
        dns_servers: Default::default(),
    });
    let resources = Box::leak(Box::new(StackResources::<8>::new()));
    let (stack, runner) = embassy_net::new(link, config, resources, 42);
    spawner.spawn(network(runner).map_err(|error| format!("{error:?}"))?);
    stack.wait_config_up().await;
    set_network(stack);
    let spawn = |task| spawner.spawn(producer(task).expect("there is one producer"));
    publish_local::<Embassy>(&job.brokers, job.batches, spawn).await
}

#[embassy_executor::task(pool_size = 2)]
async fn network(mut runner: Runner<'static, Link>) -> ! {
    runner.run().await
}

#[embassy_executor::task(pool_size = 2)]
async fn producer(task: LocalProducerTask) {
    task.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_published_and_verified() {
        let summary = run(&Plan::parse(["--records", "20000"]).unwrap()).unwrap();
        assert!(summary.starts_with("embassy: 20000 records in "), "{summary}");
    }

    #[test]
    fn batches_larger_than_the_buffers_of_the_sockets_are_written_completely() {
        run(&Plan::parse(["--records", "20000", "--batch-size", "300000"]).unwrap()).unwrap();
    }
}
