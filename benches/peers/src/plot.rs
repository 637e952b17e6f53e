//! The plots, as SVG. They have a background of their own, so that they can be read on a dark page.

mod bars;
mod growth;
mod percentiles;
mod sheet;

use anyhow::Result;
use plotters::style::RGBColor;

use crate::figure;
use crate::results::Results;
use crate::summary::{self, Line};

/// The section of the plots of growth laws.
pub const LAWS: &str = "growth laws";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// The section to which it belongs.
    pub section: String,
    /// What it shows.
    pub title: String,
    /// The name of the file.
    pub file: String,
    /// Its text.
    pub svg: String,
}

const PERCENTILES: [&str; 3] = ["p50_us", "p99_us", "p999_us"];

const TEXT: RGBColor = RGBColor(0x22, 0x2a, 0x33);
const FAINT: RGBColor = RGBColor(0x6b, 0x76, 0x82);
const RULE: RGBColor = RGBColor(0xdd, 0xe2, 0xe7);
/// mosca.
const OURS: RGBColor = RGBColor(0x0a, 0x6c, 0x8f);
/// All others, whose names stand beside them.
const THEIRS: RGBColor = RGBColor(0xa3, 0xae, 0xb9);
const FAILED: RGBColor = RGBColor(0xb0, 0x3a, 0x2e);

/// Draws everything that the results have.
pub fn draw(results: &Results) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    for section in summary::sections(results, &crate::page::section_names()) {
        let lines = summary::lines(results, &section);
        let (common, single) = summary::split(&lines);
        let by_figure = |name: &str| common.iter().find(|(figure, _)| *figure == name);
        let percentiles = PERCENTILES.map(|name| by_figure(name).map(|(_, lines)| lines));
        let has_percentiles = percentiles.iter().all(Option::is_some);
        if let [Some(p50), Some(p99), Some(p999)] = percentiles {
            plots.push(Plot {
                title: format!(
                    "{section}: median, 99th and 99.9th percentile in µs, less is better"
                ),
                file: format!("{}-percentiles.svg", file_name(&section)),
                svg: percentiles::draw([p50, p99, p999])?,
                section: section.clone(),
            });
        }
        for (name, lines) in &common {
            if has_percentiles && PERCENTILES.contains(name) {
                continue;
            }
            let title = format!("{section}: {}", directed(name));
            let panels: Vec<(String, &Line<'_>)> =
                lines.iter().map(|line| (line.row.title(), *line)).collect();
            plots.push(bars(&section, name, title, &panels)?);
        }
        if !single.is_empty() {
            let panels: Vec<(String, &Line<'_>)> = single
                .iter()
                .map(|line| {
                    let title = format!("{}: {}", line.row.title(), figure::title(line.figure));
                    (title, *line)
                })
                .collect();
            let which = if common.is_empty() {
                ""
            } else {
                ", other figures"
            };
            let title = format!("{section}{which} (of rates more is better, of all else less)");
            plots.push(bars(&section, "others", title, &panels)?);
        }
    }
    for (index, law) in results.laws.iter().enumerate() {
        plots.push(Plot {
            section: LAWS.to_owned(),
            title: law.title.clone(),
            file: format!("law-{}-{}.svg", index + 1, file_name(&law.title)),
            svg: growth::draw(law)?,
        });
    }
    Ok(plots)
}

fn bars(section: &str, name: &str, title: String, panels: &[(String, &Line<'_>)]) -> Result<Plot> {
    Ok(Plot {
        section: section.to_owned(),
        file: format!("{}-{}.svg", file_name(section), file_name(name)),
        svg: bars::draw(&title, panels)?,
        title,
    })
}

fn directed(name: &str) -> String {
    let direction = if figure::more_is_better(name) {
        "more"
    } else {
        "less"
    };
    format!("{} ({direction} is better)", figure::title(name))
}

/// Small letters, digits and hyphens.
fn file_name(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::sample;

    #[test]
    fn every_section_and_every_law_has_its_plots() {
        let plots = draw(&sample()).unwrap();
        let files: Vec<&str> = plots.iter().map(|plot| plot.file.as_str()).collect();
        assert_eq!(
            files,
            [
                "throughput-broker-cpu-us-per-msg.svg",
                "throughput-msgs-per-s.svg",
                "latency-percentiles.svg",
                "memory-others.svg",
                "storms-others.svg",
                "law-1-match-against-many-subscriptions.svg",
            ]
        );
        for plot in &plots {
            assert!(plot.svg.starts_with("<svg") && plot.svg.trim_end().ends_with("</svg>"));
        }
    }

    #[test]
    fn a_plot_names_its_brokers_and_says_who_failed() {
        let plots = draw(&sample()).unwrap();
        let throughput = &plots[1].svg;
        for text in [
            "mosca",
            "mosquitto",
            "other",
            "failed",
            "1.28 M",
            "fan-out to 100",
        ] {
            assert!(throughput.contains(text), "no {text}");
        }
        let laws = &plots[5].svg;
        assert!(laws.contains("exact") && laws.contains("ns per match"));
    }
}
