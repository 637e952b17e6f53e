//! Horizontal bars: a small panel for each line, in it a bar for each broker.

use anyhow::Result;

use super::sheet::{self, Sheet, Side};
use super::{FAILED, FAINT, OURS, RULE, TEXT, THEIRS};
use crate::figure;
use crate::summary::{Cell, Line};

const COLUMNS: usize = 3;
const WIDTH: i32 = 340;
const MARGIN: i32 = 16;
const TITLE: i32 = 34;
const HEAD: i32 = 30;
const BAR: i32 = 17;
/// Where the bars begin, and how long the longest may be: names stand before, numbers behind.
const NAMES: i32 = 104;
const LONGEST: i32 = 150;

/// A panel for each line, under the title that belongs to it.
pub(super) fn draw(title: &str, panels: &[(String, &Line<'_>)]) -> Result<String> {
    let brokers = panels.first().map_or(0, |(_, line)| line.cells.len());
    let height = HEAD + BAR * i32::try_from(brokers)? + MARGIN;
    let columns = COLUMNS.min(panels.len()).max(1);
    let rows = panels.len().div_ceil(columns);
    let size = (
        MARGIN + (WIDTH + MARGIN) * i32::try_from(columns.max(2))?,
        TITLE + MARGIN + height * i32::try_from(rows)?,
    );
    sheet::draw(size, |sheet| {
        sheet.text(title, (MARGIN, TITLE / 2 + 4), Side::Right, (16, TEXT))?;
        for (index, (title, line)) in panels.iter().enumerate() {
            let column = i32::try_from(index % columns)?;
            let row = i32::try_from(index / columns)?;
            let corner = (
                MARGIN + column * (WIDTH + MARGIN),
                TITLE + MARGIN / 2 + row * height,
            );
            panel(sheet, corner, title, line)?;
        }
        Ok(())
    })
}

fn panel(sheet: &Sheet<'_>, (x, y): (i32, i32), title: &str, line: &Line<'_>) -> Result<()> {
    for (index, part) in two_lines(title).iter().enumerate() {
        let at = (x, y + 6 + 13 * i32::try_from(index)?);
        sheet.text(part, at, Side::Right, (12, TEXT))?;
    }
    let medians = line.cells.iter().filter_map(Cell::median);
    let most = medians.fold(0.0, f64::max);
    let zero = x + NAMES;
    let bottom = y + HEAD + BAR * i32::try_from(line.cells.len())?;
    sheet.rule((zero, y + HEAD - 2), (zero, bottom), 1, RULE)?;
    for (index, cell) in line.cells.iter().enumerate() {
        let middle = y + HEAD + BAR * i32::try_from(index)? + BAR / 2;
        let name = line.brokers.get(index).map_or("", String::as_str);
        let name: String = name.chars().take(16).collect();
        let (ink, color) = if index == 0 {
            (OURS, OURS)
        } else {
            (FAINT, THEIRS)
        };
        sheet.text(&name, (zero - 6, middle), Side::Left, (11, ink))?;
        match cell {
            Cell::Value { median, .. } => {
                let share = if most > 0.0 {
                    (median / most).max(0.0)
                } else {
                    0.0
                };
                let length = (share * f64::from(LONGEST)).round().max(1.0) as i32;
                let half = BAR / 2 - 2;
                sheet.bar((zero, middle - half), (zero + length, middle + half), color)?;
                let number = figure::number(*median);
                sheet.text(
                    &number,
                    (zero + length + 5, middle),
                    Side::Right,
                    (11, TEXT),
                )?;
            }
            Cell::Failed => sheet.text("failed", (zero + 5, middle), Side::Right, (11, FAILED))?,
            Cell::Absent => sheet.text("–", (zero + 5, middle), Side::Right, (11, FAINT))?,
        }
    }
    Ok(())
}

/// Breaks a long title once, at a blank.
fn two_lines(title: &str) -> Vec<String> {
    const LENGTH: usize = 50;
    if title.chars().count() <= LENGTH {
        return vec![String::new(), title.to_owned()];
    }
    let mut first = String::new();
    let mut words = title.split(' ').peekable();
    while let Some(word) = words.peek() {
        if first.chars().count() + 1 + word.chars().count() > LENGTH {
            break;
        }
        if !first.is_empty() {
            first.push(' ');
        }
        first.push_str(word);
        words.next();
    }
    let rest: Vec<&str> = words.collect();
    vec![first, rest.join(" ")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_break_at_a_blank() {
        assert_eq!(two_lines("short"), ["", "short"]);
        let long = "15,000 idle connections, one subscription each: bytes for each connection";
        let parts = two_lines(long);
        assert_eq!(parts.join(" "), long);
        assert!(parts[0].chars().count() <= 50);
    }
}
