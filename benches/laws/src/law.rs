//! Points, tables, exponents, and the file of them.

use std::fmt;

/// How a cost grows with a size.
pub struct Law {
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
    pub series: Vec<Series>,
}

/// One line of it.
pub struct Series {
    pub name: &'static str,
    pub points: Vec<(usize, f64)>,
}

impl Series {
    /// Measures at each size.
    pub fn measure(
        name: &'static str,
        sizes: &[usize],
        mut cost: impl FnMut(usize) -> f64,
    ) -> Self {
        Self {
            name,
            points: sizes.iter().map(|&size| (size, cost(size))).collect(),
        }
    }

    fn logarithms(&self) -> Vec<(f64, f64)> {
        let points = self.points.iter();
        points
            .map(|&(x, y)| ((x as f64).ln(), y.max(1e-3).ln()))
            .collect()
    }
}

/// Powers of ten from `first` to `last`, where `max` allows.
pub fn sizes(first: usize, last: usize, max: usize) -> Vec<usize> {
    std::iter::successors(Some(first), |size| Some(size * 10))
        .take_while(|size| *size <= last.min(max))
        .collect()
}

/// The slope of the straight line through the points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let rise: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let run: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    rise / run
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} by {}", self.title, self.y, self.x)?;
        for series in &self.series {
            write!(f, "  {:<28}", series.name)?;
            for (x, y) in &series.points {
                write!(f, "{x:>9}: {y:<9.1}")?;
            }
            let points = series.logarithms();
            if let [.., _, _] = *points {
                let last = slope(&points[points.len() - 2..]);
                write!(f, "  exponent {:.2}, last {last:.2}", slope(&points))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The laws as a list of objects. Names are plain ASCII without quotation marks.
pub fn json(laws: &[Law]) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let series = |series: &Series| {
        let points = series.points.iter().map(|(x, y)| format!("[{x},{y:.3}]"));
        let points = list(points.collect());
        format!("{{\"name\":{:?},\"points\":{points}}}", series.name)
    };
    let law = |law: &Law| {
        let (title, x, y) = (law.title, law.x, law.y);
        let series = list(law.series.iter().map(series).collect());
        format!("{{\"title\":{title:?},\"x\":{x:?},\"y\":{y:?},\"series\":{series}}}")
    };
    list(laws.iter().map(law).collect()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_a_square_is_two() {
        let squares = Series::measure("squares", &[1, 10, 100], |size| (size * size) as f64);
        assert!((slope(&squares.logarithms()) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_file_is_a_list_of_laws() {
        let law = Law {
            title: "a",
            x: "b",
            y: "c",
            series: vec![Series::measure("d", &[1, 10], |size| size as f64)],
        };
        assert_eq!(
            json(&[law]).trim_end(),
            "[{\"title\":\"a\",\"x\":\"b\",\"y\":\"c\",\"series\":\
             [{\"name\":\"d\",\"points\":[[1,1.000],[10,10.000]]}]}]"
        );
    }
}
