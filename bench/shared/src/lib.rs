//! What the benchmarks share: what was measured on, what a figure is compared with, where results go, plots of bars, a
//! broker that keeps nothing, the processes of a measurement and what a client measures, and a batch as written by hand.

pub mod bars;
mod bound;
pub mod by_hand;
mod environment;
pub mod meter;
pub mod process;
pub mod results;
pub mod rounds;
pub mod sink;

pub use bound::Bound;
pub use environment::Environment;

/// Returns the median, or `None` if there is no finite figure.
pub fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.retain(|figure| figure.is_finite());
    figures.sort_unstable_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = figures.get(middle).copied()?;
    Some(if figures.len() % 2 == 1 { upper } else { (figures[middle - 1] + upper) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median(vec![3.0, f64::NAN, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![f64::INFINITY]), None);
    }
}
