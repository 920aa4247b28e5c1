//! The sweep as a picture: a panel per axis, both scales logarithmic, a line
//! per server in a colour that readers with any colour vision tell apart.

use crate::contender::{Contender, System};
use crate::sweep::Curves;
use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (1000, 760);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xe6, 0xe6, 0xe6);
/// Space for the title, and for the legend beneath.
const TITLE: u32 = 40;
const LEGEND: u32 = 36;

/// Draws the curves into an SVG file.
pub(crate) fn draw(file: &Path, curves: &[Curves], contenders: &[Contender]) -> Result<()> {
    let mut svg = String::new();
    paint(&mut svg, curves, contenders)?;
    std::fs::write(file, svg).with_context(|| format!("writing {}", file.display()))
}

fn paint(svg: &mut String, curves: &[Curves], contenders: &[Contender]) -> Result<()> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let (title, rest) = root.split_vertically(TITLE);
    write(&title, "Server CPU per delivery, µs", (16, 12), 24)?;
    let (panels, legend) = rest.split_vertically(SIZE.1 - TITLE - LEGEND);
    for (area, curves) in panels.split_evenly((2, 2)).iter().zip(curves) {
        panel(area, curves, contenders)?;
    }
    for (index, contender) in contenders.iter().enumerate() {
        let x = 70 + 180 * i32::try_from(index)?;
        let style = style(contenders, index);
        legend
            .draw(&PathElement::new([(x, 14), (x + 28, 14)], style))
            .map_err(failed)?;
        write(&legend, &contender.name, (x + 36, 6), 19)?;
    }
    root.present().map_err(failed)
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    curves: &Curves,
    contenders: &[Contender],
) -> Result<()> {
    let Some((across, up)) = extent(curves) else {
        return Ok(());
    };
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(52)
        .build_cartesian_2d(
            (across.0..across.1).log_scale(),
            // Costs lie within a few powers of two, of ten hardly one.
            (up.0..up.1).log_scale().base(2.0),
        )
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_labels(5)
        .y_labels(5)
        .x_desc(curves.label)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style((FONT, 17).into_font().color(&INK))
        .axis_desc_style((FONT, 19).into_font().color(&INK))
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .draw()
        .map_err(failed)?;
    for index in 0..contenders.len() {
        let points = line(curves, index);
        let style = style(contenders, index);
        chart
            .draw_series(LineSeries::new(points.clone(), style))
            .map_err(failed)?;
        chart
            .draw_series(
                points
                    .iter()
                    .map(|&point| Circle::new(point, 3, style.filled())),
            )
            .map_err(failed)?;
    }
    Ok(())
}

fn line(curves: &Curves, contender: usize) -> Vec<(f64, f64)> {
    curves
        .points
        .iter()
        .filter_map(|(x, summaries)| Some((*x as f64, summaries[contender]?.median)))
        .collect()
}

/// The least and greatest values across and up, with a little air.
fn extent(curves: &Curves) -> Option<((f64, f64), (f64, f64))> {
    let xs = curves.points.iter().map(|(x, _)| *x as f64);
    let ys = curves
        .points
        .iter()
        .flat_map(|(_, summaries)| summaries.iter().flatten())
        .map(|summary| summary.median)
        .filter(|&median| median > 0.0);
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        let first = values.next()?;
        let (least, most) = values.fold((first, first), |(least, most), value| {
            (value.min(least), value.max(most))
        });
        Some((least / 1.2, most * 1.2))
    };
    Some((bounds(&mut xs.into_iter())?, bounds(&mut ys.into_iter())?))
}

/// The colours of Okabe and Ito; ours is the thick line.
fn style(contenders: &[Contender], index: usize) -> ShapeStyle {
    let contender = &contenders[index];
    let builds = [RGBColor(0xd5, 0x5e, 0x00), RGBColor(0xcc, 0x79, 0xa7)];
    let (colour, width) = match contender.system {
        System::Natter => (builds[index % builds.len()], 3),
        System::Relay => (RGBColor(0x99, 0x99, 0x99), 2),
        System::Redis => (RGBColor(0x00, 0x72, 0xb2), 2),
        System::Nats => (RGBColor(0x00, 0x9e, 0x73), 2),
        System::Mosquitto => (RGBColor(0xe6, 0x9f, 0x00), 2),
        System::Valkey => (RGBColor(0xd5, 0x5e, 0x00), 1),
        System::Nchan => (RGBColor(0x56, 0xb4, 0xe9), 2),
    };
    colour.stroke_width(width)
}

fn short(value: f64) -> String {
    if value >= 1000.0 {
        format!("{}k", value / 1000.0)
    } else {
        format!("{value}")
    }
}

fn write(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    text: &str,
    place: (i32, i32),
    size: i32,
) -> Result<()> {
    let style = (FONT, size).into_font().color(&INK);
    area.draw_text(text, &style, place).map_err(failed)
}

/// The library's errors borrow the picture; only their text can leave.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing the plot: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Summary;

    #[test]
    fn a_picture_names_its_axes_and_servers_even_where_figures_are_missing() {
        let contender = |system: System| Contender::new(system, "x".into());
        let contenders = [contender(System::Natter), contender(System::Redis)];
        let some = Summary::of(&[1.5]);
        let curves = [
            Curves {
                label: "receivers",
                about: "",
                points: vec![(1, vec![some, None]), (1000, vec![some, some])],
            },
            Curves {
                label: "topics",
                about: "",
                points: vec![(1, vec![None, None])],
            },
        ];
        let mut svg = String::new();
        paint(&mut svg, &curves, &contenders).unwrap();
        for word in ["<svg", "receivers", "natter", "redis", "</svg>"] {
            assert!(svg.contains(word), "{word}");
        }
    }
}
