//! A million batches through the machine, beside the same batches filled, sealed and stamped without it.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant as SystemInstant;

use kafka_batch_bench_shared::median;

use crate::world::{World, sealed};

/// Batches that are measured at once.
const SAMPLE: usize = 10_000;

/// What is measured.
struct Row {
    says: &'static str,
    /// Partitions that are sent to.
    busy: usize,
    /// Partitions with a batch each for a broker that cannot be reached.
    waiting: usize,
    records: usize,
}

const ROWS: [Row; 6] = [
    Row { says: "one partition", busy: 1, waiting: 0, records: 10 },
    Row { says: "100 partitions", busy: 100, waiting: 0, records: 10 },
    Row { says: "1,000 partitions", busy: 1_000, waiting: 0, records: 10 },
    Row { says: "one partition, while 1,000 others wait", busy: 1, waiting: 1_000, records: 10 },
    Row { says: "one partition, while 10,000 others wait", busy: 1, waiting: 10_000, records: 10 },
    Row { says: "100 partitions, batches of 150 records", busy: 100, waiting: 0, records: 150 },
];

/// Nanoseconds a batch: without the machine, through it, and the ratio; each the median of its samples.
fn measure(row: &Row, batches: usize) -> (f64, f64, f64) {
    let mut world = World::new(row.busy, row.waiting, 1_048_576);
    let (mut without, mut through, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let before = world.delivered;
    for _ in 0..batches / SAMPLE {
        let begun = SystemInstant::now();
        for _ in 0..SAMPLE {
            black_box(sealed(row.records).stamp(Default::default()).expect("magic 2"));
        }
        let one = begun.elapsed().as_nanos() as f64 / SAMPLE as f64;

        let begun = SystemInstant::now();
        for sequence in 0..SAMPLE {
            world.send(sealed(row.records), sequence % row.busy);
            // As many as a loop would find waiting for it.
            if sequence % row.busy.clamp(10, 100) == 0 {
                world.turn();
            }
        }
        world.turn();
        let other = begun.elapsed().as_nanos() as f64 / SAMPLE as f64;
        without.push(one);
        through.push(other);
        ratios.push(other / one);
    }
    assert_eq!(world.delivered - before, batches / SAMPLE * SAMPLE, "each was delivered");
    let median = |figures| median(figures).expect("a sample");
    (median(without), median(through), median(ratios))
}

/// Returns the table.
pub fn table(batches: usize) -> String {
    let mut table = String::from(
        "| batches to | records | without the machine | through it | ratio | the machine's own |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for row in &ROWS {
        let (without, through, ratio) = measure(row, batches);
        let own = through - without;
        let _ = writeln!(
            table,
            "| {} | {} | {without:.0} ns | {through:.0} ns | {ratio:.2} | {own:.0} ns |",
            row.says, row.records
        );
        eprintln!("{}: {ratio:.2}", row.says);
    }
    format!(
        "Batches of so many records of 98 bytes, filled, sealed and stamped; and the same batches handed to the machine, \
         which stamps them, forms requests, reads the answers of a broker in memory (its cost is in the figure) and tells \
         of each delivery. Samples of {SAMPLE} batches take turns; a figure is the median of its samples, the ratio that \
         of the ratios.\n\n{table}"
    )
}
