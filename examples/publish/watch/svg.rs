//! Pictures of a terminal as an SVG: one after the other, without end. A row that several pictures have in common is in the file once.
//! Blocks and borders are shapes, since fonts have them in different sizes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// The size of a character in pixels: the width is 0.6 of the size of the font, which is usual, and the height has eighths.
const CELL: (u16, u16) = (8, 16);
const MARGIN: u16 = 10;
/// How long each picture is shown, in seconds.
const SHOWN_FOR: f64 = 1.3;
/// Blocks of rising height, in eighths of a character.
const BLOCKS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Returns the file. All pictures have the size of the first.
pub(crate) fn animation(pictures: &[Buffer]) -> String {
    let Some(first) = pictures.first() else { return String::new() };
    let (columns, rows) = (first.area.width, first.area.height);
    let (width, height) = (x(columns) + MARGIN, y(rows) + MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"13.3\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for row in 0..rows {
        let drawn: Vec<String> = pictures.iter().map(|picture| draw_row(picture, row)).collect();
        let mut from = 0;
        for same in drawn.chunk_by(|one, next| one == next) {
            let to = from + same.len();
            let _ = match (same[0].is_empty(), animate(from, to, drawn.len())) {
                (true, _) => Ok(()),
                (false, None) => writeln!(svg, "{}", same[0]),
                // Programs that show no animations show the last picture.
                (false, Some(animate)) if to == drawn.len() => writeln!(svg, "<g>{animate}{}</g>", same[0]),
                (false, Some(animate)) => writeln!(svg, "<g display=\"none\">{animate}{}</g>", same[0]),
            };
            from = to;
        }
    }
    svg + "</svg>\n"
}

/// Shows an element during these of the pictures only.
fn animate(from: usize, to: usize, pictures: usize) -> Option<String> {
    if to - from == pictures {
        return None;
    }
    let at = |picture: usize| format!("{:.3}", picture as f64 / pictures as f64);
    let (values, times) = match (from, to) {
        (0, to) => ("inline;none", format!("0;{}", at(to))),
        (from, to) if to == pictures => ("none;inline", format!("0;{}", at(from))),
        (from, to) => ("none;inline;none", format!("0;{};{}", at(from), at(to))),
    };
    let time = pictures as f64 * SHOWN_FOR;
    Some(format!(
        "<animate attributeName=\"display\" calcMode=\"discrete\" dur=\"{time:.1}s\" repeatCount=\"indefinite\" \
         values=\"{values}\" keyTimes=\"{times}\"/>"
    ))
}

fn x(column: u16) -> u16 {
    MARGIN + column * CELL.0
}

fn y(row: u16) -> u16 {
    MARGIN + row * CELL.1
}

/// Returns the elements of a row.
fn draw_row(picture: &Buffer, row: u16) -> String {
    let cell = |column| picture.cell((column, row));
    let mut shapes: BTreeMap<&str, String> = BTreeMap::new();
    let (mut lines, mut text) = (String::new(), String::new());
    let mut column = 0;
    while let Some(first) = cell(column) {
        let same =
            |at: u16| cell(at).is_some_and(|next| next.symbol() == first.symbol() && color(next) == color(first));
        let alike = (column..picture.area.width).take_while(|&at| same(at)).count() as u16;
        let (left, right, middle) = (x(column), x(column + alike), y(row) + CELL.1 / 2);
        if let Some(eighths) = BLOCKS.iter().position(|block| *block == first.symbol()) {
            let height = CELL.1 / 8 * (eighths as u16 + 1);
            let shape = shapes.entry(color(first)).or_default();
            let _ = write!(shape, "M{left} {}H{right}v{height}H{left}z", y(row + 1) - height);
            column += alike;
        } else if let Some([down, across, up]) = border(first.symbol()) {
            let (center, bottom) = (left + CELL.0 / 2, y(row + 1));
            let (start, end) = match (across, up || down) {
                (true, false) => (left, right),
                (true, true) if matches!(first.symbol(), "┌" | "└") => (center, left + CELL.0),
                _ => (left, center),
            };
            if across {
                let _ = write!(lines, "M{start} {middle}H{end}");
            }
            if up || down {
                let (from, to) = (if up { y(row) } else { middle }, if down { bottom } else { middle });
                let _ = write!(lines, "M{center} {from}V{to}");
            }
            column += if across && !(up || down) { alike } else { 1 };
        } else if first.symbol() == " " || first.symbol() == "░" {
            column += alike;
        } else {
            column += write_words(&mut text, picture, row, column);
        }
    }
    let mut drawn = String::new();
    for (color, shape) in shapes {
        let _ = write!(drawn, "<path fill=\"{color}\" d=\"{shape}\"/>");
    }
    if !lines.is_empty() {
        let _ = write!(drawn, "<path stroke=\"#484f58\" d=\"{lines}\"/>");
    }
    if !text.is_empty() {
        let _ = write!(drawn, "<text y=\"{}\">{text}</text>", y(row + 1) - 4);
    }
    drawn
}

/// Returns whether a symbol of a border has a line down, across and up.
fn border(symbol: &str) -> Option<[bool; 3]> {
    match symbol {
        "─" => Some([false, true, false]),
        "│" => Some([true, false, true]),
        "┌" | "┐" => Some([true, true, false]),
        "└" | "┘" => Some([false, true, true]),
        _ => None,
    }
}

/// Writes words of one color, with single spaces between them. Returns the number of their characters.
fn write_words(text: &mut String, picture: &Buffer, row: u16, column: u16) -> u16 {
    let symbol = |at: u16| picture.cell((at, row)).map_or(" ", Cell::symbol);
    let look = |at: u16| picture.cell((at, row)).map(|cell| (color(cell), cell.modifier.contains(Modifier::BOLD)));
    let is_word = |at: u16| {
        symbol(at) != " " && look(at) == look(column) && border(symbol(at)).is_none() && !BLOCKS.contains(&symbol(at))
    };
    let mut end = column;
    while is_word(end) || (symbol(end) == " " && is_word(end + 1)) {
        end += 1;
    }
    let Some((color, is_bold)) = look(column) else { return 1 };
    let bold = if is_bold { " font-weight=\"bold\"" } else { "" };
    let words: String = (column..end).map(symbol).collect();
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = write!(text, "<tspan x=\"{}\" fill=\"{color}\"{bold}>{words}</tspan>", x(column));
    end - column
}

fn color(cell: &Cell) -> &'static str {
    match cell.fg {
        Color::Green => "#3fb950",
        Color::Cyan => "#39c5cf",
        Color::Blue => "#58a6ff",
        Color::Yellow => "#d29922",
        Color::Red => "#ff7b72",
        Color::DarkGray => "#8b949e",
        _ => "#e6edf3",
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    fn picture(lines: [&str; 2]) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 2));
        for (y, line) in (0..).zip(lines) {
            buffer.set_string(0, y, line, Style::new().fg(Color::Green));
        }
        buffer
    }

    #[test]
    fn a_row_that_does_not_change_is_drawn_once() {
        let svg = animation(&[picture(["a <b> & c", "one"]), picture(["a <b> & c", "two"])]);
        assert_eq!(svg.matches("a &lt;b&gt; &amp; c").count(), 1, "{svg}");
        assert_eq!((svg.matches("<g display=\"none\">").count(), svg.matches("<animate").count()), (1, 2), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }

    #[test]
    fn blocks_of_one_height_are_one_shape() {
        let svg = animation(&[picture(["▄▄▄█ text", "└──┘"])]);
        assert_eq!(svg.matches("<path fill=\"#3fb950\" d=\"M10 18H34v8H10zM34 10H42v16H34z\"/>").count(), 1, "{svg}");
        assert_eq!((svg.matches("<tspan").count(), svg.matches("<path stroke").count()), (1, 1), "{svg}");
    }
}
