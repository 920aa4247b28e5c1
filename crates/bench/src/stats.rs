//! Figures out of many: latencies of one run as percentiles, and one figure
//! of several rounds as median, minimum and maximum.

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

/// The longest latency that is told from longer ones: 100 s.
const LONGEST: u64 = 100_000_000_000;
/// Three digits of each latency are kept.
const DIGITS: u8 = 3;

/// Latencies of one run, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Result<Self> {
        Histogram::new_with_bounds(1, LONGEST, DIGITS)
            .map(Self)
            .context("making a histogram")
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    /// Enters one latency.
    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    /// The latency in microseconds that `percent` of all don't exceed; `None`
    /// when there are none.
    pub(crate) fn percentile(&self, percent: f64) -> Option<f64> {
        let some = !self.0.is_empty();
        some.then(|| self.0.value_at_percentile(percent) as f64 / 1e3)
    }
}

/// One figure over several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The middle value, or the mean of the two middle ones.
    pub(crate) median: f64,
    /// The least value.
    pub(crate) min: f64,
    /// The greatest value.
    pub(crate) max: f64,
}

impl Summary {
    /// The summary of these values; `None` when there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_median_minimum_and_maximum() {
        let odd = Summary::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        let even = Summary::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((even.median, even.min, even.max), (2.5, 1.0, 4.0));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(latencies.percentile(50.0), None);
        for microseconds in 1..=1000 {
            latencies.record(microseconds * 1000);
        }
        let near = |percent, expected: f64| {
            let found = latencies.percentile(percent).unwrap();
            assert!(
                (found - expected).abs() / expected < 0.002,
                "{percent}: {found}"
            );
        };
        near(50.0, 500.0);
        near(99.0, 990.0);
        near(99.9, 999.0);
    }

    #[test]
    fn a_latency_beyond_the_longest_is_kept_as_the_longest() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(u64::MAX);
        assert!(latencies.percentile(50.0).unwrap() >= 99e6);
    }
}
