//! What the figures are to be, and whether they are.

use std::fmt::Write as _;

use kafka_batch_bench_shared::Bound;

use crate::contender::Contender;
use crate::contender::ours::Ours;
use crate::filling;
use crate::report::{Figure, Row};

/// One target in one row.
struct Target {
    says: String,
    is: f64,
    bound: Bound,
}

/// How many times as fast as the best peer, where more than "not slower" is asked for.
const AHEAD_OF_PEERS: [(&str, f64); 3] = [("W1", 2.5), ("W2", 1.2), ("W3", 1.8)];

/// Contenders that are no peers.
const BASELINES: [&str; 4] = ["straight line", "codec alone", "bare walk", "copy and sum"];

fn targets(row: &Row) -> Vec<Target> {
    if row.what == "fill" {
        return filling_targets(row);
    }
    let ours = row.figure(Ours.name()).expect("in every row");
    let baseline = row.figures[0].name;
    let most = match (row.what, baseline) {
        ("build", "straight line") => Some(1.3),
        ("build", "codec alone") => Some(1.1),
        ("read", "bare walk") => Some(1.5),
        _ => None,
    };
    let to_baseline =
        most.map(|most| Target { says: format!("times {baseline}"), is: ours.ratio, bound: Bound::AtMost(most) });
    let peers = row.figures.iter().filter(|figure| {
        figure.name != ours.name && !BASELINES.contains(&figure.name) && !figure.careless // who does less is no measure
    });
    let best = peers.min_by(|one, other| one.to_ours.total_cmp(&other.to_ours));
    let to_peers = best.map(|best| {
        let asked = AHEAD_OF_PEERS.iter().find(|(name, _)| row.what == "build" && *name == row.workload);
        let least = asked.map_or(1.0, |(_, least)| *least);
        Target { says: format!("times as fast as {}", best.name), is: best.to_ours, bound: Bound::AtLeast(least) }
    });
    to_baseline.into_iter().chain(to_peers).collect()
}

/// Each way to fill a batch, as a multiple of the loop of `append`.
fn filling_targets(row: &Row) -> Vec<Target> {
    let most = |name| match name {
        filling::GROWING => 1.03,
        filling::BULK if row.workload.contains(" 10 B") => 0.6,
        _ => 1.0,
    };
    let others = row.figures.iter().filter(|figure| figure.name != filling::LOOP);
    let target = |figure: &Figure| {
        let (name, is) = (figure.name, figure.ratio);
        Target { says: format!("{name}, times {}", filling::LOOP), is, bound: Bound::AtMost(most(name)) }
    };
    others.map(target).collect()
}

/// All targets as Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from("\n| kafka-batch | is | target | |\n|---|--:|--:|---|\n");
    for row in rows {
        for Target { says, is, bound } in targets(row) {
            let verdict = bound.verdict(Some(is));
            let _ = writeln!(text, "| {} {}, {says} | {is:.2} | {bound} | {verdict} |", row.what, row.workload);
        }
    }
    text
}
