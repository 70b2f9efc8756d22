//! The plot: bars written out as SVG.

use std::fmt::Write as _;

use crate::report::Row;

/// The whole-batch contenders of a plot, in the order of their colours.
const COLOURS: [(&str, &str); 5] = [
    ("kafka-batch", "#0f9d8a"),
    ("krafka 0.28.1", "#c77d2b"),
    ("kafka-protocol 0.18.0", "#7a6fd0"),
    ("rskafka 0.6.0", "#c0507a"),
    ("tansu-sans-io 0.6.0", "#8a8f98"),
];

/// Bars for each row of magic 2: times the bound, on a logarithmic axis. Readable on light and on dark ground.
pub fn svg(rows: &[Row]) -> String {
    const LEFT: f64 = 150.0;
    const WIDTH: f64 = 560.0;
    const BAR: f64 = 11.0;
    const GAP: f64 = 14.0;
    let shown: Vec<&Row> = rows.iter().filter(|row| row.what != "fill" && !row.workload.contains("magic")).collect();
    let most = shown.iter().flat_map(|row| &row.figures).map(|figure| figure.ratio).fold(2.0, f64::max);
    let x = |ratio: f64| LEFT + WIDTH * (ratio.max(0.8) / 0.8).ln() / (most / 0.8).ln();
    let mut y = 64.0;
    let mut body = String::new();
    for row in shown {
        let _ = writeln!(
            body,
            r#"<text x="{}" y="{}" text-anchor="end">{} {}</text>"#,
            LEFT - 8.0,
            y + BAR,
            row.what,
            row.workload
        );
        for (name, colour) in COLOURS {
            let Some(figure) = row.figure(name) else { continue };
            let end = x(figure.ratio);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y}" width="{:.1}" height="{BAR}" fill="{colour}"/><text x="{:.1}" y="{}" class="n">{:.2}</text>"#,
                end - LEFT,
                end + 4.0,
                y + BAR - 2.0,
                figure.ratio
            );
            y += BAR + 1.0;
        }
        y += GAP;
    }
    let bound = x(1.0);
    let legend: String = COLOURS
        .iter()
        .enumerate()
        .map(|(index, (name, colour))| {
            let at = 10 + index * 160;
            format!(
                r#"<rect x="{at}" y="34" width="10" height="10" fill="{colour}"/><text x="{}" y="43">{name}</text>"#,
                at + 14
            )
        })
        .collect();
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height}" font-family="sans-serif" font-size="12">
<style>text {{ fill: #333 }} .n {{ font-size: 9px }} line {{ stroke: #777 }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} }}</style>
<text x="10" y="20" font-size="14">Times the baseline (straight-line encoder, codec alone, bare walk): shorter is faster</text>
{legend}
<line x1="{bound:.1}" x2="{bound:.1}" y1="56" y2="{y}" stroke-dasharray="3 3"/>
{body}</svg>
"##,
        height = y + 10.0
    )
}
