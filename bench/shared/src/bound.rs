use std::fmt;

/// What a figure is to be at most, or at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    /// Returns the word for the table.
    pub fn verdict(self, figure: Option<f64>) -> &'static str {
        match (self, figure) {
            (_, None) => "not measured",
            (Self::AtLeast(least), Some(figure)) if figure >= least => "holds",
            (Self::AtMost(most), Some(figure)) if figure <= most => "holds",
            _ => "**missed**",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least:.2}"),
            Self::AtMost(most) => write!(f, "≤ {most:.2}"),
        }
    }
}
