//! Measures kafka-batch beside its peers and hand-written baselines, and writes the table and the plot. README.md beside
//! this crate says how to run it and how to read what it writes.

mod contender;
mod environment;
mod filling;
mod harness;
mod plot;
mod report;
mod targets;
mod workload;

use std::hint::black_box;
use std::panic::{self, AssertUnwindSafe};

use bytes::Bytes;
use contender::Contender;
use contender::bare_walk::BareWalk;
use contender::codec_alone::CodecAlone;
use contender::copy_and_sum::CopyAndSum;
use contender::kafka_protocol::KafkaProtocol;
use contender::krafka::Krafka;
use contender::ours::{Ours, contents};
use contender::rskafka::Rskafka;
use contender::straight_line::StraightLine;
use contender::tansu::Tansu;
use harness::{Case, Effort, sample};
use report::{Figure, Row};
use workload::{Codec, Workload};

/// The programs that build or read, the bounds first: what a row is compared with is the first of them that has it.
const CONTENDERS: [&dyn Contender; 9] =
    [&StraightLine, &CodecAlone, &BareWalk, &CopyAndSum, &Ours, &Krafka, &KafkaProtocol, &Rskafka, &Tansu];

/// Bounds that produce no whole batch.
fn is_partial(contender: &dyn Contender) -> bool {
    contender.name() == CodecAlone.name()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    let core = core_affinity::get_core_ids().and_then(|cores| cores.last().copied()).expect("a core");
    core_affinity::set_for_current(core);

    let careless = careless();
    let mut rows = Vec::new();
    for workload in workload::all() {
        if only.is_empty() || only.iter().any(|name| **name == workload.name) {
            eprintln!("{}: {}", workload.name, workload.says);
            rows.push(build(&workload, effort));
            rows.push(read(&workload, effort, &careless));
            if workload.records.iter().any(|record| !record.headers.is_empty()) {
                rows.push(read(&workload.with_each_header(), effort, &careless));
            }
        }
    }
    rows.extend(filling::rows(effort, |name| {
        only.is_empty() || only.iter().any(|only| *only == "fill" || *only == name)
    }));
    print!("{}{}", report::table(&rows), targets::table(&rows));
    if only.is_empty() && !quick {
        report::write(&rows).expect("a place for the results");
    }
}

fn build(workload: &Workload, effort: Effort) -> Row {
    let plain = plain(workload);
    let expected = contents(&plain);
    let mut cases = Vec::new();
    for contender in CONTENDERS {
        let Some(build) = contender.builder(workload) else { continue };
        if !is_partial(contender) {
            let same = contents(build().bytes()) == expected;
            assert!(same, "{}: {} wrote other records", workload.name, contender.name());
        }
        cases.push(Case { name: contender.name(), run: Box::new(move || drop(black_box(build()))) });
    }
    if workload.codec == Codec::None {
        let ours = Ours.builder(workload).expect("every workload")();
        assert!(ours.bytes() == plain, "{}: not the straight line's bytes", workload.name);
    }
    row("build", workload, &cases, effort, &[])
}

fn read(workload: &Workload, effort: Effort, careless: &[&str]) -> Row {
    let batch = Bytes::copy_from_slice(Ours.builder(workload).expect("every workload")().bytes());
    let expected = fold(&batch, workload);
    let mut cases = Vec::new();
    for contender in CONTENDERS {
        let Some(read) = contender.reader(&batch, workload) else { continue };
        assert_eq!(read(), expected, "{}: {} read other records", workload.name, contender.name());
        cases.push(Case {
            name: contender.name(),
            run: Box::new(move || {
                black_box(read());
            }),
        });
    }
    row("read", workload, &cases, effort, careless)
}

/// Who reads a batch that has a bit wrong in a value, and says nothing: it takes no checksum, and is faster for it.
fn careless() -> Vec<&'static str> {
    let workload = workload::all().swap_remove(0);
    let mut batch = plain(&workload);
    let last = batch.len() - workload.records.last().map_or(0, |record| record.value.len());
    batch[last] ^= 1;
    let batch = Bytes::from(batch);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {})); // who does take it panics, here
    let reads = |contender: &&dyn Contender| {
        let Some(read) = contender.reader(&batch, &workload) else { return false };
        panic::catch_unwind(AssertUnwindSafe(read)).is_ok()
    };
    let careless = CONTENDERS.iter().filter(|contender| reads(contender)).map(|contender| contender.name()).collect();
    panic::set_hook(hook);
    careless
}

/// The same records, without a codec.
fn plain(workload: &Workload) -> Vec<u8> {
    let plain = Workload { codec: Codec::None, records: workload.records.clone(), ..workload.named() };
    StraightLine.builder(&plain).expect("the bound")().bytes().to_vec()
}

fn fold(batch: &Bytes, workload: &Workload) -> u64 {
    Ours.reader(batch, workload).expect("every batch")()
}

fn row(what: &'static str, workload: &Workload, cases: &[Case<'_>], effort: Effort, careless: &[&str]) -> Row {
    let samples = sample(cases, effort);
    let ours = samples.iter().find(|sample| sample.name == Ours.name()).expect("in every row");
    let records = workload.records.len();
    let figures = samples.iter().map(|sample| Figure {
        name: sample.name,
        nanoseconds: sample.median() / records as f64,
        ratio: sample.ratio(&samples[0]),
        to_ours: sample.ratio(ours),
        page_faults: sample.page_faults,
        careless: careless.contains(&sample.name),
    });
    Row { what, workload: workload.name.clone(), says: workload.says.clone(), records, figures: figures.collect() }
}
