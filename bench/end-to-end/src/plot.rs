//! The plot: bars written out as SVG, readable on light and on dark ground.

use std::fmt::Write as _;

use crate::client::{CLIENTS, RAW};
use crate::job::Work;
use crate::table::Measured;

/// In the order of the clients.
const COLOURS: [&str; CLIENTS.len()] = ["#9aa0a6", "#0f9d8a", "#5cc4b4", "#a9dcd3", "#c77d2b", "#c0507a", "#7a6fd0"];

/// Records a second in each uncompressed row, as a share of the raw socket's.
pub fn svg(all: &[Measured<'_>], against: &str) -> String {
    const LEFT: f64 = 190.0;
    const WIDTH: f64 = 560.0;
    const BAR: f64 = 11.0;
    let mut y = 76.0;
    let mut body = String::new();
    for measured in all.iter().filter(|measured| measured.row.work == Work::Throughput && !measured.row.lz4) {
        let _ = writeln!(
            body,
            r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#,
            LEFT - 8.0,
            y + BAR,
            measured.row.name
        );
        for (client, colour) in CLIENTS.iter().zip(COLOURS) {
            let Some(share) = measured.share(client.name) else { continue };
            let width = WIDTH * share.min(1.0);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="{BAR}" fill="{colour}"/><text x="{:.1}" y="{}" class="n">{:.0} %</text>"#,
                LEFT + width + 4.0,
                y + BAR - 2.0,
                share * 100.0
            );
            y += BAR + 1.0;
        }
        y += 14.0;
    }
    let mut legend = String::new();
    for (index, (client, colour)) in CLIENTS.iter().zip(COLOURS).enumerate() {
        let (x, line) = (10 + index % 4 * 200, 34 + index / 4 * 18);
        let _ = writeln!(
            legend,
            r#"<rect x="{x}" y="{line}" width="10" height="10" fill="{colour}"/><text x="{}" y="{}">{}</text>"#,
            x + 14,
            line + 9,
            client.name
        );
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height}" font-family="sans-serif" font-size="12">
<style>text {{ fill: #333 }} .n {{ font-size: 9px }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} }}</style>
<text x="10" y="20" font-size="14">Records a second against {against}, as a share of what a {RAW} gets through: longer is faster</text>
{legend}{body}</svg>
"##,
        height = y + 10.0
    )
}
