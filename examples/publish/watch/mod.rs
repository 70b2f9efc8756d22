//! `--watch`: publishes the input again and again, as single messages that the producer gathers in batches, and draws what the producer
//! does. The load rises and falls, so that batches are sent for different reasons.

mod history;
mod svg;
mod terminal;
mod view;

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_batch::TokioProducer;
use tokio::time::{MissedTickBehavior, interval};

use self::history::{History, Recent};
use self::terminal::Screen;
use crate::args::Args;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::readings::{Reading, Readings};
use crate::transport;

/// The time between two groups of messages.
const TICK: Duration = Duration::from_millis(20);
/// Ticks between two pictures.
const TICKS_PER_PICTURE: u64 = 5;
/// The time from one peak of the load to the next.
const PERIOD: Duration = Duration::from_secs(6);

/// Publishes until the time is over or a key is pressed, and sets what was published.
pub(crate) async fn run(args: &Args, published: &mut String) -> Result<(), Failure> {
    let readings = Readings::open(args)?.collect::<Result<Vec<_>, _>>()?;
    if readings.is_empty() {
        return Err(Failure::new("the input has no lines", "name a FILE with JSON lines"));
    }
    let cluster = Cluster::find(args)?;
    let recent = Arc::new(Recent::new(args.batch_size));
    let producer = transport::over_tokio_observed(args, &cluster.addresses(), Arc::clone(&recent))?;
    transport::greet(&producer, args).await?;
    let mut history = History::new(recent, args.topic.clone(), cluster.addresses());
    let mut screen = Screen::open(args.svg.clone())?;
    let ended = publish(&producer, &readings, args, &mut history, &mut screen).await;
    let closed = producer.close().await.map_err(|error| Failure::new(error, "start the program again"));
    if let Ok(stats) = producer.stats().await {
        let (records, batches) = (stats.total.record_ack_total, stats.total.batch_ack_total);
        *published = format!("{records} records in {batches} batches");
    }
    screen.close()?; // first, so that messages can be seen
    ended.and(closed)
}

async fn publish(
    producer: &TokioProducer,
    readings: &[Reading],
    args: &Args,
    history: &mut History,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (started, mut readings) = (Instant::now(), readings.iter().cycle());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut due = 0.0;
    for tick in 0_u64.. {
        let elapsed = ticks.tick().await.into_std().saturating_duration_since(started);
        due += load(elapsed) * f64::from(args.rate) * TICK.as_secs_f64();
        while due >= 1.0 {
            let Some(reading) = readings.next() else { break };
            let accepted = producer.enqueue((args.topic.as_str(), args.partition), reading).await;
            drop(accepted.map_err(|error| Failure::new(error, "check that the brokers run"))?); // the statistics have its outcome
            due -= 1.0;
        }
        if tick % TICKS_PER_PICTURE == 0 {
            let stats = producer.stats().await.map_err(|error| Failure::new(error, "start the program again"))?;
            history.add(stats);
            screen.draw(history)?;
            if screen.is_left()? || args.seconds.is_some_and(|time| elapsed >= time) {
                break;
            }
        }
    }
    Ok(())
}

/// Returns the part of the highest rate at this time.
fn load(elapsed: Duration) -> f64 {
    let wave = 0.5 - 0.5 * (TAU * elapsed.as_secs_f64() / PERIOD.as_secs_f64()).cos();
    0.01 + 0.99 * wave * wave
}
