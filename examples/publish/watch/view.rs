//! One picture.

use std::collections::VecDeque;
use std::time::Duration;

use kafka_batch::machine::SendReason;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Row, Sparkline, Table};

use super::history::History;

pub(crate) fn draw(frame: &mut Frame<'_>, history: &History) {
    let [title, batches, rates, brokers] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(8), Constraint::Length(9), Constraint::Length(7)])
            .areas(frame.area());
    let halves = |area: Rect| Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
    let [fills, reasons] = halves(batches);
    let [throughput, latencies] = halves(rates);
    draw_title(frame, title, history);
    draw_fills(frame, fills, history);
    draw_reasons(frame, reasons, history);
    draw_rates(frame, throughput, history);
    draw_latencies(frame, latencies, history);
    draw_brokers(frame, brokers, history);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, history: &History) {
    let total = &history.stats.total;
    let text = format!(
        "  {} at {}   {:.1} s   {} records in {} batches",
        history.topic,
        history.brokers.split(',').next().unwrap_or_default(),
        history.stats.at.since_start().as_secs_f64(),
        total.record_ack_total,
        total.batch_ack_total,
    );
    frame.render_widget(Line::from(vec![" kafka-batch".bold().cyan(), text.into()]), area);
}

/// A bar for each of the last batches.
fn draw_fills(frame: &mut Frame<'_>, area: Rect, history: &History) {
    let sum = history.stats.total.accepted.sum();
    let average = sum.fill_avg().map_or(String::new(), |fill| format!(", {:.0} % on average", fill * 100.0));
    let block = block(&format!("fill of the last batches{average}"));
    let shown = last(&history.fills, block.inner(area).width);
    let bars = Sparkline::default().data(shown).max(100).style(Style::new().fg(Color::Green));
    frame.render_widget(bars.block(block), area);
}

/// Why batches were sent, and how full they were.
fn draw_reasons(frame: &mut Frame<'_>, area: Rect, history: &History) {
    const WIDTH: usize = 16;
    let rows = history.stats.total.accepted.by_reason().map(|(reason, sent)| {
        let name = match reason {
            SendReason::Full => "full",
            SendReason::Linger => "linger.ms",
            SendReason::Flush => "flush",
            SendReason::Memory => "buffer.memory",
            _ => "as a whole",
        };
        let fill = sent.fill_avg().unwrap_or(0.0);
        let filled = ((fill * WIDTH as f64).round() as usize).min(WIDTH);
        let bar = Line::from(vec![
            Span::from("█".repeat(filled)).fg(Color::Green),
            Span::from("░".repeat(WIDTH - filled)).fg(Color::DarkGray),
        ]);
        let percent = if sent.batch_total > 0 { format!("{:.0} %", fill * 100.0) } else { String::new() };
        Row::new([Line::from(name), Line::from(sent.batch_total.to_string()).right_aligned(), bar, percent.into()])
    });
    let widths = [Constraint::Length(13), Constraint::Length(7), Constraint::Length(WIDTH as u16), Constraint::Min(5)];
    let header = Row::new(["sent because", "batches", "fill", ""]).style(Style::new().fg(Color::DarkGray));
    frame.render_widget(Table::new(rows, widths).header(header).block(block("reasons")), area);
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, history: &History) {
    let ratio = history.stats.total.compression_rate_avg();
    let ratio = ratio.map_or(String::new(), |rate| format!(", compressed to {:.0} %", rate * 100.0));
    let block = block(&format!("a second{ratio}"));
    let [upper, lower] = two_rows(block.inner(area));
    frame.render_widget(block, area);
    let records = history.records_a_second.back().copied().unwrap_or(0);
    draw_curve(frame, upper, &format!("{records} records"), &history.records_a_second, Color::Cyan);
    let bytes = history.bytes_a_second.back().copied().unwrap_or(0);
    draw_curve(frame, lower, &format!("{:.1} KiB", bytes as f64 / 1024.0), &history.bytes_a_second, Color::Blue);
}

fn draw_latencies(frame: &mut Frame<'_>, area: Rect, history: &History) {
    let block = block("from sealing to the acknowledgement");
    let [upper, lower] = two_rows(block.inner(area));
    frame.render_widget(block, area);
    for (area, name, values, color) in [
        (upper, "median", &history.median_latency, Color::Yellow),
        (lower, "longest", &history.highest_latency, Color::Red),
    ] {
        let micros = values.back().copied().unwrap_or(0);
        draw_curve(frame, area, &format!("{name} {:.2} ms", micros as f64 / 1000.0), values, color);
    }
}

fn draw_brokers(frame: &mut Frame<'_>, area: Rect, history: &History) {
    let rows = history.stats.brokers.iter().filter_map(|broker| {
        let id = broker.address.id?;
        let earlier = history.before.brokers.iter().find(|before| before.address.id == Some(id));
        let latency = earlier.and_then(|before| broker.request_latency.avg_since(&before.request_latency));
        let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
        Some(Row::new([
            format!("{id}"),
            format!("{}:{}", broker.address.host, broker.address.port),
            broker.request_total.to_string(),
            broker.requests_in_flight.to_string(),
            latency.map_or("–".into(), millis),
            millis(broker.request_latency.max),
            if broker.throttled_for.is_zero() { "no".into() } else { millis(broker.throttled_for) },
        ]))
    });
    let header = Row::new(["broker", "address", "requests", "in flight", "response", "longest", "throttles"]);
    let widths = [6, 22, 10, 10, 12, 12, 12].map(Constraint::Length);
    let buffer = history.stats.buffer;
    let used = buffer.buffer_total_bytes.saturating_sub(buffer.buffer_available_bytes);
    let title = format!("brokers; buffer.memory: {} of {} KiB in use", used >> 10, buffer.buffer_total_bytes >> 10);
    let table = Table::new(rows, widths).header(header.style(Style::new().fg(Color::DarkGray)));
    frame.render_widget(table.block(block(&title)), area);
}

fn draw_curve(frame: &mut Frame<'_>, area: Rect, text: &str, values: &VecDeque<u64>, color: Color) {
    let [words, curve] = Layout::horizontal([Constraint::Length(16), Constraint::Min(10)]).areas(area);
    frame.render_widget(Paragraph::new(text.to_owned()).style(Style::new().fg(color)), words);
    frame.render_widget(Sparkline::default().data(last(values, curve.width)).style(Style::new().fg(color)), curve);
}

fn two_rows(area: Rect) -> [Rect; 2] {
    Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).spacing(1).areas(area)
}

fn block(title: &str) -> Block<'static> {
    Block::bordered()
        .border_style(Style::new().fg(Color::DarkGray))
        .title(Line::from(format!(" {title} ")).fg(Color::White))
}

/// Returns as many of the last values as there is room for.
fn last(values: &VecDeque<u64>, width: u16) -> impl Iterator<Item = u64> + '_ {
    values.iter().copied().skip(values.len().saturating_sub(width.into()))
}
