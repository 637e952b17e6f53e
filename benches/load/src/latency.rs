//! How long messages took: a histogram from 1 ns to ten minutes, three significant digits.

use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::figures::Figures;

const LONGEST_NS: u64 = 600_000_000_000;

/// Latencies of many messages.
pub struct Latency {
    histogram: Histogram<u64>,
    /// Messages that travelled together have the same latency: they are entered at once.
    run_ns: u64,
    run: u64,
}

impl Latency {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            histogram: Histogram::new_with_bounds(1, LONGEST_NS, 3).map_err(Failure::broken)?,
            run_ns: 0,
            run: 0,
        })
    }

    /// Enters one message.
    #[inline]
    pub fn record(&mut self, latency_ns: u64) {
        if latency_ns == self.run_ns {
            self.run += 1;
        } else {
            self.settle();
            self.run_ns = latency_ns;
            self.run = 1;
        }
    }

    fn settle(&mut self) {
        self.histogram.saturating_record_n(self.run_ns, self.run);
        self.run = 0;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.run = 0;
        self.histogram.reset();
    }

    /// What so large a part of them did not take longer than, in microseconds.
    pub fn quantile_us(&mut self, quantile: f64) -> f64 {
        self.settle();
        self.histogram.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Adds `p50_us`, `p99_us`, `p999_us` and `max_us` with `prefix` before the names.
    pub fn report(&mut self, figures: &mut Figures, prefix: &str) {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            figures.number(&format!("{prefix}{name}_us"), self.quantile_us(quantile));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_latency_count_each() {
        let mut latency = Latency::new().unwrap();
        (0..98).for_each(|_| latency.record(1000));
        latency.record(5000);
        latency.record(9000);
        let mut figures = Figures::default();
        latency.report(&mut figures, "x_");
        let json: serde_json::Value = serde_json::from_str(&figures.to_json()).unwrap();
        let about = |name: &str, expected: f64| {
            let value = json[name].as_f64().unwrap();
            assert!((value / expected - 1.0).abs() < 0.01, "{name}: {value}");
        };
        about("x_p50_us", 1.0);
        about("x_p99_us", 5.0);
        about("x_max_us", 9.0);
    }
}
