//! The page: what was measured, on what, and what came out, misses first.

mod failures;
mod head;
mod overview;
pub mod stores;
mod tables;

use crate::laws::{self, Law};
use crate::plot::Plot;
use crate::results::Results;
use crate::summary;

/// The sections in the order of the page, with what a reader needs to know first.
const SECTIONS: [(&str, &str); 5] = [
    (
        "throughput",
        "As much as the broker takes: publishers go on as soon as they may, with a bounded number of \
         messages under way, so that no broker has a reason to drop one. Every delivery is checked. \
         Messages per second depend on what the load generator leaves of the processors; the broker's \
         processor time per delivered message does not.",
    ),
    (
        "latency",
        "Messages are due at a fixed rate, whether the broker keeps up or not, and their time counts \
         from when they were due. The rate of a row is the same for all brokers, for a latency means \
         nothing without its rate: 10, 50 and 80 % of what mosquitto delivers at the same QoS when it \
         is given as much as it takes (the row that begins with \"saturation\"; if mosquitto does not \
         take part, of what the slowest delivers). At shares of what the best peer delivers the slower \
         ones cannot keep up. A broker that does not hold the rate has failed.",
    ),
    (
        "memory",
        "Resident memory of the broker's processes, as growth divided by count, on a broker that was \
         started for this run; what the kernel keeps for sockets is not in it. Where growth is nothing, \
         memory was used that was there before, and the figure says nothing.",
    ),
    (
        "storms",
        "Much of the same at once: clients that come and go, subscribe and unsubscribe, and one that \
         does not read.",
    ),
    (
        "retained",
        "Retained messages are stored, fetched all at once by wildcards, and one by one.",
    ),
];

/// The file beside the plots that says why the misses are there, with profiles: written by hand, and shown
/// as it is below their table. Headings in it are of the third level.
pub const MISSES: &str = "misses.md";

/// The names of the sections, in order.
pub fn section_names() -> [&'static str; SECTIONS.len()] {
    SECTIONS.map(|(name, _)| name)
}

/// Writes the page. `folder` is where the plots are, as seen from the page; `why` what stands in
/// [`MISSES`].
pub fn render(results: &Results, plots: &[Plot], folder: &str, why: Option<&str>) -> String {
    let mut page = Page::default();
    head::write(&mut page, results);
    overview::write(&mut page, results, why);
    for section in summary::sections(results, &section_names()) {
        page.heading(2, &capitalised(&section));
        if let Some((_, text)) = SECTIONS.iter().find(|(name, _)| *name == section) {
            page.paragraph(text);
        }
        tables::write(&mut page, results, &section);
        page.plots(plots, folder, &section);
        failures::write(&mut page, results, &section);
    }
    if !results.laws.is_empty() {
        page.heading(2, "Growth laws");
        page.paragraph(
            "Parts of mosca alone, without sockets: how a cost grows with a size. The exponent is the \
             slope of the straight line through the logarithms: 0 says that the size does not matter, 1 \
             that the cost is proportional to it, 2 that it is quadratic.",
        );
        for law in &results.laws {
            write_law(&mut page, law);
        }
        page.plots(plots, folder, crate::plot::LAWS);
    }
    head::write_repetition(&mut page, results, "--peers");
    page.text
}

fn write_law(page: &mut Page, law: &Law) {
    page.heading(3, &law.title);
    page.line(&format!(
        "| {} against {} | from | to | exponent | last step | it |",
        law.y, law.x
    ));
    page.line("| --- | ---: | ---: | ---: | ---: | --- |");
    for series in &law.series {
        let end = |point: Option<&(f64, f64)>| {
            point.map_or_else(String::new, |(x, y)| {
                format!("{} at {}", number(*y), number(*x))
            })
        };
        let shown =
            |exponent: Option<f64>| exponent.map_or_else(String::new, |e| format!("{e:.2}"));
        page.line(&format!(
            "| {} | {} | {} | {} | {} | {} |",
            series.name,
            end(series.points.first()),
            end(series.points.last()),
            shown(series.exponent()),
            shown(series.last_exponent()),
            series.exponent().map_or("", laws::in_words),
        ));
    }
    page.line("");
}

use crate::figure::number;

/// The text so far.
#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn heading(&mut self, level: usize, title: &str) {
        self.line(&format!("{} {title}", "#".repeat(level)));
        self.line("");
    }

    /// Wraps at 110 characters, as our other pages do.
    fn paragraph(&mut self, text: &str) {
        self.wrapped("", text);
        self.line("");
    }

    fn item(&mut self, text: &str) {
        self.wrapped("- ", text);
    }

    fn wrapped(&mut self, bullet: &str, text: &str) {
        const WIDTH: usize = 110;
        let mut line = bullet.to_owned();
        let mut is_empty = true;
        for word in text.split_whitespace() {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line = " ".repeat(bullet.len());
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.line(&line);
    }

    fn plots(&mut self, plots: &[Plot], folder: &str, section: &str) {
        for plot in plots.iter().filter(|plot| plot.section == section) {
            self.line(&format!("![{}]({folder}/{})", plot.title, plot.file));
            self.line("");
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot;
    use crate::sample::sample;

    /// Run with `UPDATE_GOLDEN=1` to write the file after a change that is meant.
    #[test]
    fn the_page_is_the_one_we_know() {
        let results = sample();
        let page = render(&results, &plot::draw(&results).unwrap(), "benchmarks", None);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, &page).unwrap();
        }
        let known = std::fs::read_to_string(file).unwrap();
        let same = page
            .lines()
            .zip(known.lines())
            .take_while(|(a, b)| a == b)
            .count();
        assert!(page == known, "differs in line {}", same + 1);
    }

    #[test]
    fn misses_come_before_everything_that_went_well() {
        let page = render(&sample(), &[], "benchmarks", None);
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text:?}"));
        assert!(at("## Misses") < at("## In short"));
        assert!(at("## In short") < at("## Throughput"));
        assert!(at("## Throughput") < at("## Latency"));
    }

    #[test]
    fn what_was_written_about_the_misses_stands_below_them_as_it_was_written() {
        let why = "### Connects\n\n| in | % |\n| --- | ---: |\n| `accept4` | 12 |\n";
        let page = render(&sample(), &[], "benchmarks", Some(why));
        let begin = page.find("## Why the misses\n").unwrap();
        assert!(page.find("## Misses").unwrap() < begin);
        let end = page.find("## In short").unwrap();
        assert_eq!(page[begin..end], format!("## Why the misses\n\n{why}\n"));
        let without = render(&sample(), &[], "benchmarks", Some(" \n"));
        assert!(!without.contains("Why the misses"));
    }
}
