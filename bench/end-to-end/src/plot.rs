//! The plot: bars written out as SVG, readable on light and on dark ground.

use std::fmt::Write as _;

use crate::client::{CLIENTS, RAW};
use crate::job::{Acks, Work};
use crate::results::{RATE, Results};

/// In the order of the clients.
const COLOURS: [&str; CLIENTS.len()] =
    ["#9aa0a6", "#c9ccd1", "#0f9d8a", "#5cc4b4", "#a9dcd3", "#c77d2b", "#c0507a", "#7a6fd0"];

const LEFT: f64 = 190.0;
const WIDTH: f64 = 540.0;
const BAR: f64 = 11.0;

/// Records a second in each acknowledged, uncompressed row, as a share of the raw socket's.
pub fn svg(results: &Results) -> String {
    let rows = results.rows.iter().filter(|measured| {
        let row = measured.row;
        row.work == Work::Throughput && row.acks == Acks::All && !row.lz4
    });
    let rows: Vec<_> =
        rows.map(|measured| (measured.row.name, CLIENTS.map(|c| measured.ratio(c.name, RAW, RATE)))).collect();
    let is_drawn: [bool; CLIENTS.len()] =
        std::array::from_fn(|index| rows.iter().any(|(_, shares)| shares[index].is_some()));
    let longest = rows.iter().flat_map(|(_, shares)| shares).flatten().copied().fold(1.0, f64::max);
    let mut y = 76.0;
    let mut body = String::new();
    for (name, shares) in rows {
        let _ = writeln!(body, r#"<text x="{}" y="{}" text-anchor="end">{name}</text>"#, LEFT - 8.0, y + BAR);
        for (share, colour) in shares.into_iter().zip(COLOURS) {
            let Some(share) = share else { continue };
            let width = WIDTH * share / longest;
            let (end, base, percent) = (LEFT + width + 4.0, y + BAR - 2.0, share * 100.0);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="{BAR}" fill="{colour}"/><text x="{end:.1}" y="{base}" class="n">{percent:.0} %</text>"#
            );
            y += BAR + 1.0;
        }
        y += 14.0;
    }
    let mut legend = String::new();
    let drawn = CLIENTS.iter().zip(COLOURS).zip(is_drawn).filter(|(_, is_drawn)| *is_drawn);
    for (index, ((client, colour), _)) in drawn.enumerate() {
        let (x, line) = (10 + index % 4 * 200, 34 + index / 4 * 18);
        let (right, base, name) = (x + 14, line + 9, client.name);
        let _ = writeln!(
            legend,
            r#"<rect x="{x}" y="{line}" width="10" height="10" fill="{colour}"/><text x="{right}" y="{base}">{name}</text>"#
        );
    }
    let (against, height) = (&results.against, y + 10.0);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height}" font-family="sans-serif" font-size="12">
<style>text {{ fill: #333 }} .n {{ font-size: 9px }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} }}</style>
<text x="10" y="20" font-size="14">Records a second against {against}, as a share of what a {RAW} gets through: longer is faster</text>
{legend}{body}</svg>
"##
    )
}
