//! Measures runs a second, on one thread: `cargo run --release -p kafka-batch-simulated --example speed`.

use std::time::{Duration, Instant};

use kafka_batch_simulated::{FaultIntensity, Simulation, World};

/// Sends ten messages, one after the other, and closes the producer.
async fn ten_messages(world: World) {
    let producer = world.producer();
    for number in 0..10 {
        let _ = producer.send("orders", format!("order {number}")).await;
    }
    let _ = producer.close().await;
}

fn main() {
    for intensity in [FaultIntensity::None, FaultIntensity::Light, FaultIntensity::Normal, FaultIntensity::Heavy] {
        let simulation = Simulation::new().brokers(3).faults(intensity);
        let begin = Instant::now();
        let mut runs = 0_u64;
        while begin.elapsed() < Duration::from_secs(2) {
            simulation.check(runs..runs + 50, ten_messages);
            runs += 50;
        }
        println!("{intensity:?}: {:.0} runs a second", runs as f64 / begin.elapsed().as_secs_f64());
    }
}
