//! Growth laws: series of points in which a cost is measured against a size, and the exponent with
//! which it grows.
//!
//! The exponent is the slope of a straight line through the logarithms, by least squares: 0 says that
//! the size does not matter, 1 that the cost is proportional to it, 2 that it is quadratic. The slope
//! of the last step alone is given as well, since a bad law may begin late.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// One plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Law {
    /// What it is about.
    pub title: String,
    /// The size, with its unit.
    pub x: String,
    /// The cost, with its unit.
    pub y: String,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Size and cost, both above 0.
    pub points: Vec<(f64, f64)>,
}

/// Reads the laws in a file.
pub fn read(path: &Path) -> Result<Vec<Law>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut laws: Vec<Law> = serde_json::from_str(&text)
        .with_context(|| format!("{} holds no growth laws", path.display()))?;
    for law in &mut laws {
        for series in &mut law.series {
            let positive = |value: f64| value.is_finite() && value > 0.0;
            ensure!(
                series
                    .points
                    .iter()
                    .all(|&(x, y)| positive(x) && positive(y)),
                "{}, {}: a point that is not above 0",
                law.title,
                series.name
            );
            series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
    }
    Ok(laws)
}

impl Series {
    /// The exponent of growth over all points, if there are two sizes.
    pub fn exponent(&self) -> Option<f64> {
        slope(&self.logarithms())
    }

    /// The exponent of the last step.
    pub fn last_exponent(&self) -> Option<f64> {
        let points = self.logarithms();
        slope(points.get(points.len().checked_sub(2)?..)?)
    }

    fn logarithms(&self) -> Vec<(f64, f64)> {
        let points = self.points.iter();
        points.map(|(x, y)| (x.ln(), y.ln())).collect()
    }
}

/// What an exponent means.
pub fn in_words(exponent: f64) -> &'static str {
    match exponent {
        e if e < -0.1 => "falls",
        e if e < 0.1 => "does not grow",
        e if e < 0.4 => "grows very slowly",
        e if e < 0.9 => "grows more slowly than the size",
        e if e < 1.1 => "grows with the size",
        e if e < 1.7 => "grows faster than the size",
        _ => "is quadratic or worse",
    }
}

/// The slope of the straight line through points, by least squares; `None` if they have one size.
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let common: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    (spread > 0.0).then(|| common / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(law: impl Fn(f64) -> f64) -> Series {
        Series {
            name: "x".to_owned(),
            points: [1e3, 1e4, 1e5, 1e6].map(|x| (x, law(x))).to_vec(),
        }
    }

    #[test]
    fn exponents_are_found() {
        let near = |found: Option<f64>, expected: f64| {
            assert!(
                (found.unwrap() - expected).abs() < 0.01,
                "{found:?} {expected}"
            );
        };
        near(series(|_| 40.0).exponent(), 0.0);
        near(series(|x| 3.0 * x).exponent(), 1.0);
        near(series(|x| 0.5 * x * x).exponent(), 2.0);
        near(series(|x| x.sqrt()).last_exponent(), 0.5);
        // Flat, and then as bad as it gets.
        let late = series(|x| if x < 1e6 { 1.0 } else { 100.0 });
        near(late.last_exponent(), 2.0);
        assert!(late.exponent().unwrap() < 1.0);
    }

    #[test]
    fn one_point_has_no_law() {
        let mut one = series(|x| x);
        one.points.truncate(1);
        assert_eq!((one.exponent(), one.last_exponent()), (None, None));
        one.points.clear();
        assert_eq!((one.exponent(), one.last_exponent()), (None, None));
    }

    #[test]
    fn exponents_have_words() {
        let words = [-0.5, 0.0, 0.2, 0.5, 1.0, 1.3, 2.0].map(in_words);
        let mut different = words.to_vec();
        different.dedup();
        assert_eq!(different.len(), words.len());
    }

    #[test]
    fn the_file_is_read_and_checked() {
        let folder = std::env::temp_dir().join(format!("mosca-laws-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("laws.json");
        let text = r#"[{"title": "Match", "x": "subscriptions", "y": "ns per match",
            "series": [{"name": "exact", "points": [[10000, 42], [1000, 41.0]]}]}]"#;
        std::fs::write(&file, text).unwrap();
        let laws = read(&file).unwrap();
        assert_eq!(laws[0].series[0].points, [(1000.0, 41.0), (10000.0, 42.0)]);
        std::fs::write(&file, text.replace("41.0", "0")).unwrap();
        assert!(read(&file).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
