//! A white sheet on which bars, rules, dots and words are put by the pixel.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    Circle, DrawingArea, IntoDrawingArea, IntoFont, PathElement, RGBColor, Rectangle, SVGBackend,
    Text, WHITE,
};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The area of the library.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A point, in pixels from the upper left corner.
pub(super) type Point = (i32, i32);

/// The sheet.
pub(super) struct Sheet<'a> {
    area: Area<'a>,
}

/// On which side of its point a text stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Left,
    Middle,
    Right,
}

/// Draws on a sheet of so many pixels; returns the SVG.
pub(super) fn draw(
    size: (i32, i32),
    fill: impl FnOnce(&Sheet<'_>) -> Result<()>,
) -> Result<String> {
    draw_area(size, |area| fill(&Sheet { area: area.clone() }))
}

/// The same with the area of the library.
pub(super) fn draw_area(
    (width, height): (i32, i32),
    fill: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    let size = (u32::try_from(width)?, u32::try_from(height)?);
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
        fill(&area)?;
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(svg)
}

impl Sheet<'_> {
    pub(super) fn bar(&self, from: Point, to: Point, color: RGBColor) -> Result<()> {
        let bar = Rectangle::new([from, to], color.filled());
        self.area.draw(&bar).map_err(|error| anyhow!("{error}"))
    }

    pub(super) fn rule(&self, from: Point, to: Point, width: u32, color: RGBColor) -> Result<()> {
        let rule = PathElement::new(vec![from, to], color.stroke_width(width));
        self.area.draw(&rule).map_err(|error| anyhow!("{error}"))
    }

    pub(super) fn dot(&self, at: Point, radius: i32, color: RGBColor) -> Result<()> {
        let dot = Circle::new(at, radius, color.filled());
        self.area.draw(&dot).map_err(|error| anyhow!("{error}"))
    }

    pub(super) fn ring(&self, at: Point, radius: i32, color: RGBColor) -> Result<()> {
        self.dot(at, radius, WHITE)?;
        let ring = Circle::new(at, radius, color.stroke_width(2));
        self.area.draw(&ring).map_err(|error| anyhow!("{error}"))
    }

    pub(super) fn text(
        &self,
        text: &str,
        at: Point,
        side: Side,
        (size, color): (u32, RGBColor),
    ) -> Result<()> {
        let horizontal = match side {
            Side::Left => HPos::Right,
            Side::Middle => HPos::Center,
            Side::Right => HPos::Left,
        };
        let style = ("sans-serif", size)
            .into_font()
            .color(&color)
            .pos(Pos::new(horizontal, VPos::Center));
        let text = Text::new(text.to_owned(), at, style);
        self.area.draw(&text).map_err(|error| anyhow!("{error}"))
    }
}
