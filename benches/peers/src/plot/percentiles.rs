//! Latency: for each broker a line from the median over the 99th to the 99.9th percentile, on an axis
//! of powers of ten that all panels share.

use anyhow::Result;

use super::sheet::{self, Sheet, Side};
use super::{FAILED, FAINT, OURS, RULE, TEXT, THEIRS};
use crate::summary::{Cell, Line};

const COLUMNS: usize = 3;
const WIDTH: i32 = 340;
const MARGIN: i32 = 16;
const TITLE: i32 = 56;
const HEAD: i32 = 24;
const FOOT: i32 = 26;
const ROW: i32 = 18;
const NAMES: i32 = 104;
const AXIS: i32 = WIDTH - NAMES - 16;

/// Powers of ten of microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    from: i32,
    to: i32,
}

/// Draws one panel for each row; the three slices have the same rows.
pub(super) fn draw([p50, p99, p999]: [&Vec<&Line<'_>>; 3]) -> Result<String> {
    let axis = Axis::over([p50, p99, p999].into_iter().flatten());
    let brokers = p50.first().map_or(0, |line| line.cells.len());
    let height = HEAD + ROW * i32::try_from(brokers)? + FOOT;
    let columns = COLUMNS.min(p50.len()).max(1);
    let rows = p50.len().div_ceil(columns);
    let size = (
        MARGIN + (WIDTH + MARGIN) * i32::try_from(columns.max(2))?,
        TITLE + height * i32::try_from(rows)? + MARGIN,
    );
    sheet::draw(size, |sheet| {
        let title = "Latency at a fixed rate";
        sheet.text(title, (MARGIN, 20), Side::Right, (16, TEXT))?;
        let legend =
            "dot: median; ring: 99th percentile; end of the line: 99.9th; farther left is better";
        sheet.text(legend, (MARGIN, 40), Side::Right, (11, FAINT))?;
        for (index, ((p50, p99), p999)) in p50.iter().zip(p99).zip(p999).enumerate() {
            let column = i32::try_from(index % columns)?;
            let row = i32::try_from(index / columns)?;
            let corner = (MARGIN + column * (WIDTH + MARGIN), TITLE + row * height);
            panel(sheet, corner, axis, [p50, p99, p999])?;
        }
        Ok(())
    })
}

fn panel(
    sheet: &Sheet<'_>,
    (x, y): (i32, i32),
    axis: Axis,
    [p50, p99, p999]: [&Line<'_>; 3],
) -> Result<()> {
    sheet.text(&p50.row.title(), (x, y + 12), Side::Right, (12, TEXT))?;
    let top = y + HEAD;
    let bottom = top + ROW * i32::try_from(p50.cells.len())?;
    let zero = x + NAMES;
    for power in axis.from..=axis.to {
        let at = zero + axis.place(10_f64.powi(power));
        sheet.rule((at, top), (at, bottom), 1, RULE)?;
        sheet.text(&time(power), (at, bottom + 9), Side::Middle, (10, FAINT))?;
    }
    for (index, cell) in p50.cells.iter().enumerate() {
        let middle = top + ROW * i32::try_from(index)? + ROW / 2;
        let name = p50.brokers.get(index).map_or("", String::as_str);
        let name: String = name.chars().take(16).collect();
        let (ink, color) = if index == 0 {
            (OURS, OURS)
        } else {
            (FAINT, THEIRS)
        };
        sheet.text(&name, (zero - 6, middle), Side::Left, (11, ink))?;
        let place = |line: &Line<'_>| {
            let median = line.cells.get(index)?.median().filter(|v| *v > 0.0)?;
            Some(zero + axis.place(median))
        };
        match (place(p50), place(p99), place(p999)) {
            (Some(p50), Some(p99), Some(p999)) => {
                sheet.rule((p50, middle), (p999, middle), 2, color)?;
                sheet.rule((p999, middle - 4), (p999, middle + 4), 2, color)?;
                sheet.ring((p99, middle), 4, color)?;
                sheet.dot((p50, middle), 4, color)?;
            }
            _ if *cell == Cell::Failed => {
                sheet.text("failed", (zero + 5, middle), Side::Right, (11, FAILED))?;
            }
            _ => sheet.text("–", (zero + 5, middle), Side::Right, (11, FAINT))?,
        }
    }
    Ok(())
}

impl Axis {
    /// Wide enough for all of them.
    fn over<'a>(lines: impl Iterator<Item = &'a &'a Line<'a>>) -> Self {
        let values: Vec<f64> = lines
            .flat_map(|line| &line.cells)
            .filter_map(Cell::median)
            .filter(|median| *median > 0.0)
            .collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        if values.is_empty() {
            return Self { from: 1, to: 4 };
        }
        let from = least.log10().floor() as i32;
        let to = most.log10().ceil() as i32;
        Self {
            from,
            to: to.max(from + 1),
        }
    }

    /// Pixels from the beginning.
    fn place(self, value: f64) -> i32 {
        let share = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        (share * f64::from(AXIS)).round() as i32
    }
}

/// A power of ten of microseconds.
fn time(power: i32) -> String {
    match power {
        p if p < 0 => format!("{} µs", 10_f64.powi(p)),
        0..=2 => format!("{} µs", 10_u64.pow(power.unsigned_abs())),
        3..=5 => format!("{} ms", 10_u64.pow(power.unsigned_abs() - 3)),
        _ => format!("{} s", 10_f64.powi(power - 6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_its_ends_at_its_ends() {
        let axis = Axis { from: 1, to: 4 };
        assert_eq!(axis.place(10.0), 0);
        assert_eq!(axis.place(10_000.0), AXIS);
        assert_eq!(axis.place(100.0), (f64::from(AXIS) / 3.0).round() as i32);
    }

    #[test]
    fn times_have_units() {
        let times = [-1, 0, 2, 3, 5, 6, 7].map(time);
        assert_eq!(
            times,
            ["0.1 µs", "1 µs", "100 µs", "1 ms", "100 ms", "1 s", "10 s"]
        );
    }
}
