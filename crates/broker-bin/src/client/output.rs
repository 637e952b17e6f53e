//! Figures for people, in columns, and for programs; and the way to stdout.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use indicatif::{BinaryBytes, HumanCount};

/// For whom figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Table,
    /// For programs: an object of JSON on a line
    Json,
}

/// `false` when nobody reads any more, which is how a pipe ends.
pub(super) fn write(bytes: &[u8]) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).context("cannot write to stdout"),
    }
}

/// Sections of rows: names at the left, figures at the right of the columns of their section.
#[derive(Debug, Default)]
pub(super) struct Table {
    sections: Vec<Vec<Row>>,
}

#[derive(Debug)]
struct Row {
    name: String,
    cells: Vec<String>,
}

impl Table {
    /// Begins a section; the heads of its columns, if it has any.
    pub(super) fn section(&mut self, name: &str, columns: &[&str]) {
        self.sections.push(Vec::new());
        self.row(name, columns.iter().map(|&column| column.to_owned()));
    }

    /// A name, and its figures, in the section that was begun last.
    pub(super) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let name = name.to_owned();
        let cells = cells.into_iter().collect();
        if let Some(section) = self.sections.last_mut() {
            section.push(Row { name, cells });
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: &String| text.chars().count();
        let names = self.sections.iter().flatten().map(|row| width(&row.name));
        let names = names.max().unwrap_or_default();
        for (index, section) in self.sections.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            let cells = section.iter().flat_map(|row| &row.cells);
            let cells = cells.map(width).max().unwrap_or_default();
            for row in section {
                let mut line = format!("{:names$}", row.name);
                for cell in &row.cells {
                    write!(line, "  {cell:>cells$}")?;
                }
                writeln!(formatter, "{}", line.trim_end())?;
            }
        }
        Ok(())
    }
}

/// With commas between thousands.
pub(super) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// In the largest unit of which there is one.
pub(super) fn bytes(number: u64) -> String {
    BinaryBytes(number).to_string()
}

/// In milliseconds, with what is behind the point as far as it matters.
pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1_000.0;
    let decimals = match millis {
        ..10.0 => 3,
        ..1_000.0 => 1,
        _ => 0,
    };
    format!("{millis:.decimals$}")
}

/// In the two largest units of which there is one.
pub(super) fn duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    let units = [
        (secs / 86_400, "d"),
        (secs / 3_600 % 24, "h"),
        (secs / 60 % 60, "min"),
        (secs % 60, "s"),
    ];
    let first = units.iter().position(|&(number, _)| number > 0);
    let shown = units.iter().skip(first.unwrap_or(units.len() - 1)).take(2);
    let shown: Vec<_> = shown
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_in_its_two_largest_units() {
        for (secs, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3_661, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(Duration::from_secs(secs)), expected);
        }
    }

    #[test]
    fn names_stand_at_the_left_and_figures_at_the_right() {
        let mut table = Table::default();
        table.section("a", &[]);
        table.row("long name", ["1".to_owned()]);
        table.section("b", &["x", "y"]);
        table.row("c", ["1,000".to_owned(), String::new()]);
        let expected = "a\nlong name  1\n\nb              x      y\nc          1,000\n";
        assert_eq!(table.to_string(), expected);
    }
}
