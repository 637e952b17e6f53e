//! The store on disk beside its engine by itself: short rounds in turn, since one disk takes several times
//! as long for a sync at one moment as at another. What counts is the median of the ratios of each
//! round.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker_core::persistence::Persistence;

use crate::engine::{self, Engine};
use crate::load::{self, Callers};

pub struct Rounds {
    pub count: usize,
    pub time: Duration,
}

/// Prints a line for each round, and the medians.
pub async fn compare(store: &Arc<dyn Persistence>, folder: &Path, callers: usize, rounds: &Rounds) {
    let engine = Arc::new(Engine::open(folder));
    let mut number = 0;
    let mut load = Callers::new(store, callers).await;
    let mut rates: [Vec<f64>; 5] = Default::default();
    for round in 0..rounds.count {
        let full = engine::full(&engine, callers, rounds.time, &mut number);
        let grouped = engine::grouped(&engine, callers, rounds.time, &mut number).await;
        let took = load.commit(store, rounds.time).await;
        println!(
            "round {round:>2}, {callers:>5} callers: raw in full batches {full:>8.0} /s, raw by who waits {grouped:>8.0}, store {:>8.0} ({})",
            took.rate(),
            load::percentiles(&took.each)
        );
        let figures = [
            full,
            grouped,
            took.rate(),
            took.rate() / full,
            took.rate() / grouped,
        ];
        for (all, figure) in rates.iter_mut().zip(figures) {
            all.push(figure);
        }
    }
    let [full, grouped, own, to_full, to_grouped] = rates.map(median);
    println!(
        "median,   {callers:>5} callers: raw in full batches {full:>8.0} /s, raw by who waits {grouped:>8.0}, store {own:>8.0}: {to_full:.2} and {to_grouped:.2} of them"
    );
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
