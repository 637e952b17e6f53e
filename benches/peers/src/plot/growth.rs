//! Growth: cost against size, both on axes of powers of ten, so that a power law is a straight line
//! and its steepness the exponent.

use anyhow::{Result, anyhow};
use plotters::prelude::{
    ChartBuilder, Circle, IntoFont, IntoLogRange, PathElement, RGBColor, SeriesLabelPosition, WHITE,
};
use plotters::style::Color;

use super::sheet::{self, Area};
use super::{RULE, TEXT};
use crate::figure;
use crate::laws::Law;

const SIZE: (i32, i32) = (760, 440);

/// Told apart by brightness as well, for those who do not see all colours.
const COLORS: [RGBColor; 8] = [
    RGBColor(0x0a, 0x6c, 0x8f),
    RGBColor(0xd9, 0x6b, 0x0b),
    RGBColor(0x4b, 0x9b, 0x3a),
    RGBColor(0xb0, 0x3a, 0x2e),
    RGBColor(0x6f, 0x4f, 0xa8),
    RGBColor(0x8a, 0x6d, 0x3b),
    RGBColor(0xd0, 0x5b, 0xa2),
    RGBColor(0x55, 0x5f, 0x6a),
];

/// Draws one law.
pub(super) fn draw(law: &Law) -> Result<String> {
    sheet::draw_area(SIZE, |area| chart(area, law))
}

fn chart(area: &Area<'_>, law: &Law) -> Result<()> {
    let points = || law.series.iter().flat_map(|series| &series.points);
    let xs = powers(points().map(|point| point.0));
    let ys = powers(points().map(|point| point.1));
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .margin_right(36)
        .caption(&law.title, ("sans-serif", 17).into_font().color(&TEXT))
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (xs.0..xs.1).log_scale().base(10.0),
            (ys.0..ys.1).log_scale().base(10.0),
        )
        .map_err(|error| anyhow!("{error}"))?;
    let label = ("sans-serif", 12).into_font().color(&TEXT);
    chart
        .configure_mesh()
        .x_desc(&law.x)
        .y_desc(&law.y)
        .label_style(label.clone())
        .axis_desc_style(("sans-serif", 13).into_font().color(&TEXT))
        .x_label_formatter(&|x| figure::number(*x))
        .y_label_formatter(&|y| figure::number(*y))
        .bold_line_style(RULE)
        .light_line_style(WHITE)
        .draw()
        .map_err(|error| anyhow!("{error}"))?;
    for (series, color) in law.series.iter().zip(COLORS.iter().copied().cycle()) {
        let name = match series.exponent() {
            Some(exponent) => format!("{}: exponent {exponent:.2}", series.name),
            None => series.name.clone(),
        };
        let points = || series.points.iter().copied();
        chart
            .draw_series([PathElement::new(
                series.points.clone(),
                color.stroke_width(2),
            )])
            .map_err(|error| anyhow!("{error}"))?
            .label(name)
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(3))
            });
        chart
            .draw_series(points().map(|point| Circle::new(point, 3, color.filled())))
            .map_err(|error| anyhow!("{error}"))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(RULE)
        .label_font(label)
        .draw()
        .map_err(|error| anyhow!("{error}"))
}

/// The powers of ten between which all values are.
fn powers(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for value in values {
        least = least.min(value);
        most = most.max(value);
    }
    if most <= 0.0 {
        return (1.0, 10.0);
    }
    let from = least.log10().floor();
    let to = most.log10().ceil().max(from + 1.0);
    (10_f64.powf(from), 10_f64.powf(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_begin_and_end_at_powers_of_ten() {
        assert_eq!(powers([41.0, 90.0].into_iter()), (10.0, 100.0));
        assert_eq!(powers([1e3, 1e6].into_iter()), (1e3, 1e6));
        assert_eq!(powers([100.0].into_iter()), (100.0, 1000.0));
        assert_eq!(powers(std::iter::empty()), (1.0, 10.0));
    }
}
