//! Bars, lines and rooflines as SVG that stands in a page: its colours are the page's, light or dark.

use std::ops::Range;

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::tables::fixed;
use crate::failure::{Failure, Result};

/// Colours that series have in turn; the page says what they are.
pub const COLOURS: usize = 8;
/// Pixels across; a phone shows two thirds of it, with larger letters.
const WIDTH: u32 = 460;
/// Numbers beyond these are no measurement, and would take a chart's axes with them.
const SANE: Range<f64> = 1e-12..1e18;

/// The page's text, and lines that stand back.
const TEXT: RGBColor = RGBColor(1, 1, 1);
/// Background behind text and lines.
const PANEL: RGBColor = RGBColor(1, 1, 2);

/// Stands for the page's colour of a series until [`finished`] says so.
fn colour(series: usize) -> RGBColor {
    RGBColor(2, 0, (series % COLOURS) as u8)
}

/// One bar.
#[derive(Debug)]
pub struct Bar {
    pub label: String,
    pub value: f64,
    /// Deviation of the value, in its unit; 0 draws none.
    pub deviation: f64,
    /// The value in words.
    pub shown: String,
    pub series: usize,
}

/// Points (x, y, deviation) with a line through them.
#[derive(Debug)]
pub struct Line {
    pub label: String,
    pub series: usize,
    pub points: Vec<(f64, f64, f64)>,
}

/// Ceilings of an adapter, and the kernels that were measured below them.
#[derive(Debug)]
pub struct Roofline {
    pub bytes_per_second: f64,
    pub operations_per_second: f64,
    pub points: Vec<Kernel>,
}

/// A kernel in a roofline.
#[derive(Debug)]
pub struct Kernel {
    pub number: usize,
    /// Operations for each byte, and a second.
    pub at: (f64, f64),
    pub share: f64,
    pub series: usize,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// Draws on an area of that height, and makes an element of it that has a name for those who do not see it.
fn drawn(title: &str, height: u32, draw: impl FnOnce(&Area) -> Drawn) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let done = draw(&area).and_then(|()| Ok(area.present()?));
        done.map_err(|error| Failure::Message(format!("the chart {title}: {error}")))?;
    }
    Ok(finished(title, &svg))
}

/// The page's colours, and a title. No text can be taken for a colour: a quote in text is escaped.
fn finished(title: &str, svg: &str) -> String {
    let svg = svg.replace("\"#010101\"", "\"currentColor\"");
    let mut svg = svg.replace("\"#010102\"", "\"var(--panel)\"");
    for series in 0..COLOURS {
        svg = svg.replace(
            &format!("\"#0200{series:02X}\""),
            &format!("\"var(--s{series})\""),
        );
    }
    let title = minijinja::HtmlEscape(title);
    let open = format!("<svg role=\"img\" aria-label=\"{title}\"");
    let svg = svg.replacen("<svg", &open, 1);
    svg.replacen('>', &format!("><title>{title}</title>"), 1)
}

fn style(size: u32, colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour)
}

/// The text's place is its end on that side, at the height of its middle.
fn anchored(size: u32, colour: RGBColor, h: HPos) -> TextStyle<'static> {
    style(size, colour).pos(Pos::new(h, VPos::Center))
}

/// The middle left out where there is not the room for all.
fn shortened(text: &str, max: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= max {
        return text.to_owned();
    }
    let (start, end) = (max / 2, max - max / 2 - 1);
    let start: String = characters[..start].iter().collect();
    let end: String = characters[characters.len() - end..].iter().collect();
    format!("{start}…{end}")
}

fn sane(number: f64) -> bool {
    SANE.contains(&number)
}

fn scatters(bar: &Bar) -> bool {
    sane(bar.deviation)
}

/// Bars from the left, each under its name. `max`: where the axis ends at least.
pub fn bars(title: &str, bars: &[Bar], max: f64) -> Result<String> {
    const PITCH: u32 = 40; // of a bar: a line of text, the bar, and a gap
    const AXIS: u32 = 30;
    const LETTERS: usize = 52; // in a line, at their size on a phone
    let bars: Vec<&Bar> = bars.iter().filter(|bar| sane(bar.value)).collect();
    let height = bars.len() as u32 * PITCH + AXIS;
    let reach = |bar: &&Bar| bar.value + Some(bar.deviation).filter(|d| sane(*d)).unwrap_or(0.0);
    let max = bars.iter().map(reach).fold(max.max(1e-9), f64::max) * 1.02;
    drawn(title, height, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_right(14)
            .margin_left(4)
            .x_label_area_size(AXIS)
            .build_cartesian_2d(0.0..max, f64::from(bars.len() as u32)..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(6)
            .x_label_formatter(&|x| tick(*x))
            .axis_style(TEXT.mix(0.5))
            .bold_line_style(TEXT.mix(0.12))
            .light_line_style(TRANSPARENT)
            .label_style(style(15, TEXT))
            .draw()?;
        for (index, bar) in bars.iter().enumerate() {
            let top = index as f64;
            let (low, high) = (top + 0.52, top + 0.9);
            chart.draw_series([Rectangle::new(
                [(0.0, low), (bar.value, high)],
                colour(bar.series).filled(),
            )])?;
            if scatters(bar) {
                let (from, to) = ((bar.value - bar.deviation).max(0.0), reach(bar));
                let middle = f64::midpoint(low, high);
                let tip = |x| [(x, low + 0.08), (x, high - 0.08)];
                for path in [[(from, middle), (to, middle)], tip(from), tip(to)] {
                    chart.draw_series([PathElement::new(path, TEXT.stroke_width(1))])?;
                }
            }
            let y = (index as u32 * PITCH + 11) as i32;
            let (end, middle) = chart.backend_coord(&(bar.value, f64::midpoint(low, high)));
            let right = WIDTH as i32 - 14;
            // Beside its bar or in it; beside its name where whiskers are in the way.
            let (place, colour, side) = if scatters(bar) {
                ((right, y), TEXT, HPos::Right)
            } else if end < right * 2 / 3 {
                ((end + 6, middle + 1), TEXT, HPos::Left)
            } else {
                ((end - 6, middle + 1), PANEL, HPos::Right)
            };
            let taken = if scatters(bar) { bar.shown.len() } else { 0 };
            let label = shortened(&bar.label, LETTERS.saturating_sub(taken));
            area.draw(&Text::new(label, (5, y), anchored(16, TEXT, HPos::Left)))?;
            area.draw(&Text::new(
                bar.shown.clone(),
                place,
                anchored(16, colour, side),
            ))?;
        }
        Ok(())
    })
}

/// A number at an axis.
fn tick(number: f64) -> String {
    let digits = if number.fract() == 0.0 {
        0
    } else {
        1 + usize::from(number.abs() < 1.0)
    };
    fixed(number, digits)
}

/// Lines over a common x, each with its name at its end.
pub fn lines(title: &str, x_name: &str, lines: &[Line]) -> Result<String> {
    const HEIGHT: u32 = 300;
    const NAMES: u32 = 96; // for the names, right of the chart
    let points = || lines.iter().flat_map(|line| &line.points);
    let usable = |&&(_, y, deviation): &&(f64, f64, f64)| sane(y) && deviation < SANE.end;
    let x_max = points().map(|point| point.0).fold(1.0, f64::max);
    let y_max = points()
        .filter(usable)
        .map(|(_, y, deviation)| y + deviation)
        .fold(1e-9, f64::max);
    drawn(title, HEIGHT, |area| {
        let (plot, names) = area.split_horizontally(WIDTH - NAMES);
        let mut chart = ChartBuilder::on(&plot)
            .margin(6)
            .x_label_area_size(44)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..x_max * 1.02, 0.0..y_max * 1.05)?;
        chart
            .configure_mesh()
            .x_labels(5)
            .y_labels(6)
            .x_desc(x_name)
            .x_label_formatter(&|x| tick(*x))
            .y_label_formatter(&|y| tick(*y))
            .axis_style(TEXT.mix(0.5))
            .bold_line_style(TEXT.mix(0.12))
            .light_line_style(TRANSPARENT)
            .label_style(style(15, TEXT))
            .draw()?;
        let mut ends = Vec::new();
        for line in lines {
            let colour = colour(line.series);
            let points: Vec<_> = line.points.iter().filter(usable).copied().collect();
            let path: Vec<(f64, f64)> = points.iter().map(|&(x, y, _)| (x, y)).collect();
            if let Some(&last) = path.last() {
                let y = chart.backend_coord(&last).1;
                ends.push((y, line.label.clone(), colour));
            }
            for &(x, y, deviation) in &points {
                let path = [(x, (y - deviation).max(0.0)), (x, y + deviation)];
                chart.draw_series([PathElement::new(path, colour.stroke_width(1))])?;
                chart.draw_series([Circle::new((x, y), 4, colour.filled())])?;
            }
            chart.draw_series([PathElement::new(path, colour.stroke_width(2))])?;
        }
        for (y, label, colour) in apart(ends) {
            let style = anchored(15, colour, HPos::Left);
            names.draw(&Text::new(shortened(&label, 12), (2, y), style))?;
        }
        Ok(())
    })
}

/// Names moved down until none lies on another.
fn apart<T>(mut ends: Vec<(i32, String, T)>) -> Vec<(i32, String, T)> {
    const LINE: i32 = 16;
    ends.sort_by_key(|end| end.0);
    for index in 1..ends.len() {
        ends[index].0 = ends[index].0.max(ends[index - 1].0 + LINE);
    }
    ends
}

/// Speed over operations for each byte, both logarithmic, under what the adapter can do.
pub fn roofline(title: &str, of: &Roofline) -> Result<String> {
    const HEIGHT: u32 = 380;
    let (read, peak) = (of.bytes_per_second / 1e9, of.operations_per_second / 1e9);
    if !sane(read) || !sane(peak) {
        return Ok(String::new());
    }
    let ridge = peak / read;
    let (x, y) = ranges(of, ridge, peak);
    drawn(title, HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(14)
            .x_label_area_size(44)
            .y_label_area_size(58)
            .build_cartesian_2d(x.clone().log_scale(), y.clone().log_scale())?;
        chart
            .configure_mesh()
            .x_labels(6)
            .y_labels(6)
            .x_desc("operations per byte")
            .y_desc("GFLOP/s")
            .x_label_formatter(&|x| plain(*x))
            .y_label_formatter(&|y| plain(*y))
            .axis_style(TEXT.mix(0.5))
            .bold_line_style(TEXT.mix(0.12))
            .light_line_style(TEXT.mix(0.05))
            .label_style(style(15, TEXT))
            .draw()?;
        let foot = x.start.max(y.start / read);
        let mut roof = vec![(foot, foot * read)];
        roof.extend([(ridge, peak), (x.end, peak)]);
        chart.draw_series([PathElement::new(roof, TEXT.stroke_width(2))])?;
        let mut taken = Vec::new();
        for kernel in of.points.iter().filter(|kernel| usable(kernel)) {
            let place = (kernel.at.0, kernel.at.1 / 1e9);
            let radius = 3 + (kernel.share.clamp(0.0, 1.0).sqrt() * 9.0) as i32;
            let colour = colour(kernel.series);
            chart.draw_series([Circle::new(place, radius, colour.mix(0.75).filled())])?;
            taken.push((chart.backend_coord(&place), radius, kernel));
        }
        let names = [
            (format!("f32 {} GFLOP/s", fixed(peak, 1)), (x.end, peak)),
            (format!("read {} GB/s", fixed(read, 1)), (ridge, peak)),
        ];
        for (name, end) in names {
            let (right, bottom) = chart.backend_coord(&end);
            let style = anchored(15, TEXT, HPos::Right);
            area.draw(&Text::new(name, (right - 8, bottom - 10), style))?;
        }
        numbers(area, &taken)
    })
}

fn usable(kernel: &Kernel) -> bool {
    sane(kernel.at.0) && sane(kernel.at.1)
}

/// Axes with all points and the ridge, to the next factor of two or three.
fn ranges(of: &Roofline, ridge: f64, peak: f64) -> (Range<f64>, Range<f64>) {
    let (mut x, mut y) = (ridge / 8.0..ridge * 8.0, peak / 30.0..peak * 2.0);
    for kernel in of.points.iter().filter(|kernel| usable(kernel)) {
        let (at, speed) = (kernel.at.0, kernel.at.1 / 1e9);
        x = x.start.min(at / 2.0)..x.end.max(at * 2.0);
        y = y.start.min(speed / 2.0)..y.end.max(speed * 2.0);
    }
    (x, y)
}

/// 0.01, 1, 1000: no more digits than a power of ten has.
fn plain(number: f64) -> String {
    if (1e-4..1e6).contains(&number) {
        ((number * 1e6).round() / 1e6).to_string()
    } else {
        format!("{number:.0e}")
    }
}

/// The numbers of the points, each where it lies on no other point and no other number; left out where there is no such place.
fn numbers(area: &Area, points: &[((i32, i32), i32, &Kernel)]) -> Drawn {
    let mut boxes: Vec<[i32; 4]> = points
        .iter()
        .map(|&((x, y), radius, _)| [x - radius, y - radius, x + radius, y + radius])
        .collect();
    for &((x, y), radius, kernel) in points {
        let text = kernel.number.to_string();
        let (half, away) = (4 * text.len() as i32 + 1, radius + 8);
        let side = radius + half + 2;
        let places = [
            (side, 0),
            (-side, 0),
            (0, -away),
            (0, away),
            (side, -away),
            (side, away),
            (-side, -away),
            (-side, away),
        ];
        let place = places.into_iter().find_map(|(dx, dy)| {
            let (x, y) = (x + dx, y + dy);
            let wanted = [x - half, y - 6, x + half, y + 6];
            let free = boxes.iter().all(|taken| !overlap(&wanted, taken));
            free.then_some((x, y, wanted))
        });
        if let Some((x, y, wanted)) = place {
            boxes.push(wanted);
            let style = anchored(14, TEXT, HPos::Center);
            area.draw(&Text::new(text, (x, y), style))?;
        }
    }
    Ok(())
}

fn overlap(a: &[i32; 4], b: &[i32; 4]) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: f64, deviation: f64) -> Bar {
        Bar {
            label: label.to_owned(),
            value,
            deviation,
            shown: value.to_string(),
            series: 9,
        }
    }

    #[test]
    fn a_chart_has_a_name_and_the_colours_of_the_page() {
        let svg = bars(
            "Speed \"<of>\"",
            &[bar("\"#010101\"<script>", 2.0, 0.5)],
            1.0,
        )
        .unwrap();
        let name = "Speed &quot;&lt;of&gt;&quot;";
        assert!(svg.contains(&format!("aria-label=\"{name}\"")), "{svg}");
        assert!(svg.contains(&format!("<title>{name}</title>")), "{svg}");
        assert!(svg.contains("fill=\"var(--s1)\"") && svg.contains("currentColor"));
        assert!(!svg.contains("\"#") && !svg.contains("<script"), "{svg}");
    }

    #[test]
    fn numbers_that_no_measurement_gives_are_drawn_or_left_out() {
        for value in [
            f64::NAN,
            f64::INFINITY,
            -1.0,
            0.0,
            1e300,
            1e-300,
            5e-324,
            1e17,
        ] {
            bars("x", &[bar("a", value, value), bar("b", 1.0, value)], 1.0).unwrap();
            let line = Line {
                label: String::new(),
                series: 0,
                points: vec![(1.0, value, 1.0), (2.0, 1.0, value), (1e19, 2.0, 0.0)],
            };
            lines("x", "depth", &[line]).unwrap();
            let kernel = |at| Kernel {
                number: 1,
                at,
                share: value,
                series: 0,
            };
            for (read, peak) in [(1e10, 1e10), (value, 1e10), (1e10, value)] {
                let of = Roofline {
                    bytes_per_second: read,
                    operations_per_second: peak,
                    points: vec![kernel((value, 1e9)), kernel((1.0, value))],
                };
                roofline("x", &of).unwrap();
            }
        }
    }

    #[test]
    fn names_are_shortened_in_their_middle_and_moved_apart() {
        assert_eq!(shortened("abcdefgh", 5), "ab…gh");
        assert_eq!(shortened("abcde", 5), "abcde");
        let ends = [30, 20, 90].map(|y| (y, String::new(), ()));
        let places: Vec<i32> = apart(ends.to_vec()).iter().map(|end| end.0).collect();
        assert_eq!(places, [20, 36, 90]);
    }
}
