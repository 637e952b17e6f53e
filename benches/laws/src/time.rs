//! The best of several rounds.

use std::time::{Duration, Instant};

const ROUNDS: usize = 5;

/// Nanoseconds that `step` takes: the best of several rounds, each of enough steps to be measured.
pub fn each(mut step: impl FnMut()) -> f64 {
    let mut steps = 1_u32;
    let mut best = f64::MAX;
    let mut rounds = 0;
    while rounds < ROUNDS {
        let start = Instant::now();
        for _ in 0..steps {
            step();
        }
        let took = start.elapsed();
        if took < Duration::from_millis(2) && steps < 1 << 20 {
            steps *= 4;
            continue;
        }
        best = best.min(took.as_nanos() as f64 / f64::from(steps));
        rounds += 1;
    }
    best
}

/// Nanoseconds that `run` takes once.
pub fn once(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64
}

/// The best of three values.
pub fn best(mut value: impl FnMut() -> f64) -> f64 {
    (0..3).map(|_| value()).fold(f64::MAX, f64::min)
}
