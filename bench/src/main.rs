mod contender;
mod harness;
mod workload;

use std::hint::black_box;

use bytes::Bytes;
use contender::Contender;
use contender::bare_walk::BareWalk;
use contender::ours::Ours;
use contender::straight_line::StraightLine;
use harness::{Case, Effort, sample};

fn main() {
    let core = core_affinity::get_core_ids().and_then(|ids| ids.last().copied()).expect("a core");
    core_affinity::set_for_current(core);
    let only: Vec<String> = std::env::args().skip(1).collect();
    let contenders: [&dyn Contender; 3] = [&StraightLine, &BareWalk, &Ours];
    for workload in workload::plain() {
        if !only.is_empty() && !only.iter().any(|name| name == workload.name) {
            continue;
        }
        let reference = StraightLine.builder(&workload).expect("the bound")();
        let reference = Bytes::copy_from_slice(reference.bytes());
        let count = workload.records.len() as f64;
        println!("{}: {} records, {} bytes", workload.name, count, reference.len());
        let mut cases = Vec::new();
        for contender in contenders {
            let Some(build) = contender.builder(&workload) else { continue };
            assert!(build().bytes() == &reference[..], "{} differs", contender.name());
            cases.push(Case { name: contender.name(), run: Box::new(move || drop(black_box(build()))) });
        }
        let samples = sample(&cases, Effort::FULL);
        for s in &samples {
            println!("  build {:24} {:8.1} ns/rec  {:.3}", s.name, s.median() / count, s.ratio(&samples[0]));
        }
        let mut cases = Vec::new();
        for contender in contenders {
            let Some(read) = contender.reader(&reference) else { continue };
            println!("  {}", read());
            cases.push(Case { name: contender.name(), run: Box::new(move || drop(black_box(read()))) });
        }
        let samples = sample(&cases, Effort::FULL);
        for s in &samples {
            println!("  read  {:24} {:8.1} ns/rec  {:.3}", s.name, s.median() / count, s.ratio(&samples[0]));
        }
    }
}
