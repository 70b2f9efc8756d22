//! A plot of horizontal bars, written out as SVG, readable on light and on dark ground.

use std::fmt::Write as _;

/// A kind of bar: one in each group at most.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Its colour, as SVG has it.
    pub colour: &'a str,
}

/// How long a bar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As its figure, from 0.
    Linear,
    /// As the logarithm of its figure, from half of the smallest one.
    Logarithmic,
}

/// A plot.
#[derive(Clone, Copy, Debug)]
pub struct Bars<'a> {
    /// What the figures are.
    pub title: &'a str,
    /// The kinds of bars, in the order of the figures of a group.
    pub kinds: &'a [Kind<'a>],
    /// The scale of all bars.
    pub scale: Scale,
    /// Returns the text beside a bar.
    pub label: fn(f64) -> String,
}

const LEFT: f64 = 190.0;
const WIDTH: f64 = 540.0;
const BAR: f64 = 11.0;

impl Bars<'_> {
    /// Returns the SVG. A group has a name, and a figure for each kind; `None` and what is not finite is not drawn.
    #[must_use]
    pub fn svg(&self, groups: &[(String, Vec<Option<f64>>)]) -> String {
        let all =
            || groups.iter().flat_map(|(_, figures)| figures).flatten().copied().filter(|figure| figure.is_finite());
        let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::MIN_POSITIVE, f64::max));
        let width = |figure: f64| match self.scale {
            Scale::Linear => WIDTH * figure / most,
            Scale::Logarithmic => WIDTH * (2.0 * figure / least).ln() / (2.0 * most / least).ln(),
        };
        let is_drawn = |kind: usize| groups.iter().any(|(_, figures)| figures.get(kind).copied().flatten().is_some());
        let (legend, lines) = self.legend(is_drawn);
        let mut y = 40.0 + 18.0 * lines as f64;
        let mut body = String::new();
        for (name, figures) in groups {
            let _ = writeln!(body, r#"<text x="{}" y="{}" text-anchor="end">{name}</text>"#, LEFT - 8.0, y + BAR);
            for (figure, kind) in figures.iter().zip(self.kinds) {
                let Some(figure) = figure.filter(|figure| figure.is_finite()) else { continue };
                let (width, colour, label) = (width(figure), kind.colour, (self.label)(figure));
                let (end, base) = (LEFT + width + 4.0, y + BAR - 2.0);
                let _ = writeln!(
                    body,
                    r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="{BAR}" fill="{colour}"/><text x="{end:.1}" y="{base}" class="n">{label}</text>"#
                );
                y += BAR + 1.0;
            }
            y += 14.0;
        }
        let (title, height) = (self.title, y + 10.0);
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height}" font-family="sans-serif" font-size="12">
<style>text {{ fill: #333 }} .n {{ font-size: 9px }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} }}</style>
<text x="10" y="20" font-size="14">{title}</text>
{legend}{body}</svg>
"##
        )
    }

    /// Returns the legend, of the kinds that are drawn, and how many lines it has.
    fn legend(&self, is_drawn: impl Fn(usize) -> bool) -> (String, usize) {
        let mut legend = String::new();
        let drawn = self.kinds.iter().enumerate().filter(|(kind, _)| is_drawn(*kind));
        let mut count = 0;
        for (index, (_, Kind { name, colour })) in drawn.enumerate() {
            let (x, line) = (10 + index % 4 * 200, 34 + index / 4 * 18);
            let (right, base) = (x + 14, line + 9);
            let _ = writeln!(
                legend,
                r#"<rect x="{x}" y="{line}" width="10" height="10" fill="{colour}"/><text x="{right}" y="{base}">{name}</text>"#
            );
            count = index + 1;
        }
        (legend, count.div_ceil(4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind<'_>; 3] = [
        Kind { name: "one", colour: "#111" },
        Kind { name: "two", colour: "#222" },
        Kind { name: "three", colour: "#333" },
    ];

    fn svg(scale: Scale, figures: Vec<Option<f64>>) -> String {
        let bars = Bars { title: "Figures", kinds: &KINDS, scale, label: |figure| format!("{figure:.1}") };
        bars.svg(&[("row".to_owned(), figures)])
    }

    #[test]
    fn a_bar_is_as_long_as_its_figure_and_what_has_none_is_left_out() {
        let svg = svg(Scale::Linear, vec![Some(1.0), Some(4.0), None]);
        assert!(svg.contains(r#"width="135.0""#) && svg.contains(r#"width="540.0""#), "{svg}");
        assert!(svg.contains(">one<") && svg.contains(">two<") && !svg.contains(">three<"), "{svg}");
    }

    #[test]
    fn a_logarithmic_bar_grows_by_factors() {
        let svg = svg(Scale::Logarithmic, vec![Some(1.0), Some(2.0), Some(8.0)]);
        assert!(
            [r#"width="135.0""#, r#"width="270.0""#, r#"width="540.0""#].iter().all(|bar| svg.contains(bar)),
            "{svg}"
        );
    }

    #[test]
    fn a_figure_that_is_not_finite_is_not_drawn() {
        let svg = svg(Scale::Linear, vec![Some(f64::NAN), Some(2.0), None]);
        assert_eq!(svg.matches("class=\"n\">").count(), 1, "{svg}");
    }
}
