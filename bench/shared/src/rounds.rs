//! Reports of clients that take turns.

use crate::median;
use crate::meter::Report;

/// The reports of all clients, round after round. A client that has failed has none in that round.
#[derive(Debug)]
pub struct Rounds {
    reports: Vec<Vec<Option<Report>>>,
}

impl Rounds {
    /// Returns no reports of so many clients.
    #[must_use]
    pub fn new(clients: usize) -> Self {
        Self { reports: vec![Vec::new(); clients] }
    }

    /// Adds the report of a client in its next round.
    pub fn add(&mut self, client: usize, report: Option<Report>) {
        self.reports[client].push(report);
    }

    /// Returns the median of a client's figure; not a number if there is none.
    pub fn median(&self, client: usize, figure: impl Fn(&Report) -> f64) -> f64 {
        median(self.reports[client].iter().flatten().map(figure).collect()).unwrap_or(f64::NAN)
    }

    /// Returns the median of the ratios within a round to the first client.
    pub fn ratio(&self, client: usize, figure: impl Fn(&Report) -> f64) -> Option<f64> {
        let pairs = self.reports[client].iter().zip(&self.reports[0]);
        median(pairs.filter_map(|(one, first)| Some(figure(one.as_ref()?) / figure(first.as_ref()?))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_the_reports_of_one_round() {
        let report = |seconds| Some(Report { total: 8, measured: 8, seconds, cpu: 1.0, faults: 0 });
        let mut rounds = Rounds::new(2);
        for (first, second) in [(1.0, 2.0), (4.0, 8.0), (1.0, 2.0)] {
            rounds.add(0, report(first));
            rounds.add(1, report(second));
        }
        rounds.add(0, report(1.0));
        rounds.add(1, None);
        assert_eq!(rounds.median(0, Report::rate), 8.0);
        assert_eq!(rounds.ratio(1, Report::rate), Some(0.5));
        assert!(Rounds::new(2).ratio(1, Report::rate).is_none());
    }
}
