//! Which charts a report has: for each model and precision its speeds, and for each profile its kernels.

use lantern_engine::bench::report::Row;
use serde::Serialize;

use super::{
    Numbered, Results,
    charts::{self, Bar, Kernel, Line, Roofline},
    shown,
    tables::{Ranked, fixed, ranked},
};
use crate::{
    failure::Result,
    results::{self, Found},
};

/// Bars of one chart; the tables have the rest.
const BARS_MAX: usize = 40;
/// Lines of one chart.
const LINES_MOST: usize = 12;
/// Kernels with bars of their own.
const KERNELS_MOST: usize = 12;

/// A chart, what it shows, and what its colours stand for.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub title: String,
    pub svg: String,
    pub caption: String,
    pub legend: Vec<(usize, String)>,
}

/// Charts under a heading.
#[derive(Debug, Serialize)]
pub struct Section {
    pub title: String,
    pub legend: Vec<(usize, String)>,
    pub figures: Vec<Figure>,
}

/// All of them.
pub fn all(results: &Results) -> Result<Vec<Section>> {
    let mut sections = Vec::new();
    for (title, group) in results.groups() {
        sections.push(Section {
            title,
            legend: legend(&group),
            figures: speeds(&group)?,
        });
    }
    for (letter, found) in &results.all {
        let figures = kernels(found)?;
        let adapter = shown(&results::adapter(&found.report));
        let title = format!("Kernels of {letter}: {adapter}");
        sections.push(Section {
            title,
            legend: Vec::new(),
            figures,
        });
    }
    sections.retain(|section| !section.figures.is_empty());
    Ok(sections)
}

/// Prefill and decode apart: they differ tenfold.
const TESTS: [(&str, &str); 2] = [("Prefill", "pp"), ("Decode", "tg")];

fn speeds(group: &[Numbered]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, prefix) in TESTS {
        let rows = rows(group, prefix);
        if rows.is_empty() {
            continue;
        }
        let speed = |&(one, row): &(&Numbered, &Row)| {
            let rate = &row.tokens_per_second;
            Bar {
                label: bar_name(one, row),
                value: rate.mean,
                deviation: rate.deviation,
                shown: format!("{} ± {}", fixed(rate.mean, 2), fixed(rate.deviation, 2)),
                series: one.index,
            }
        };
        let title = format!("{name}: tokens per second");
        let caption = "The whiskers are a deviation of the repetitions to each side.";
        figures.push(bars(title, caption, &rows, 0.0, speed)?);
        let share = |&(one, row): &(&Numbered, &Row)| {
            let percent = row.ceiling_share * 100.0;
            Bar {
                label: bar_name(one, row),
                value: percent,
                deviation: 0.0,
                shown: format!("{} % ({})", fixed(percent, 1), row.ceiling),
                series: one.index,
            }
        };
        let title = format!("{name}: percent of the ceiling");
        let caption =
            "Bytes or operations a second, of what the adapter reads or computes at most.";
        figures.push(bars(title, caption, &rows, 100.0, share)?);
        figures.extend(depths(name, &rows)?);
    }
    Ok(figures)
}

fn rows<'a>(group: &'a [Numbered<'a>], prefix: &str) -> Vec<(&'a Numbered<'a>, &'a Row)> {
    let of = |one: &'a Numbered<'a>| {
        one.found
            .report
            .measured
            .rows
            .iter()
            .map(move |row| (one, row))
    };
    let mut rows: Vec<_> = group.iter().flat_map(of).collect();
    rows.retain(|(_, row)| row.test.starts_with(prefix));
    // The same test of all results side by side, in the order of the first.
    let place = |row: &Row| (row.test.len(), row.test.clone(), row.depth);
    rows.sort_by_key(|(_, row)| place(row));
    rows
}

fn bar_name(one: &Numbered, row: &Row) -> String {
    let test = results::test_name(&shown(&row.test), row.depth);
    format!("{}: {test}", one.letter)
}

fn bars<'a>(
    title: String,
    caption: &str,
    rows: &[(&'a Numbered<'a>, &'a Row)],
    max: f64,
    bar: impl Fn(&(&'a Numbered<'a>, &'a Row)) -> Bar,
) -> Result<Figure> {
    let bars: Vec<Bar> = rows.iter().take(BARS_MAX).map(bar).collect();
    Ok(Figure {
        svg: charts::bars(&title, &bars, max)?,
        title,
        caption: format!("{caption}{}", cut(rows.len(), BARS_MAX)),
        legend: Vec::new(),
    })
}

fn cut(count: usize, max: usize) -> String {
    match count.checked_sub(max) {
        None | Some(0) => String::new(),
        Some(more) => format!(" {more} more are in the table."),
    }
}

/// Colours are of results.
fn legend(group: &[Numbered]) -> Vec<(usize, String)> {
    let entry = |one: &Numbered| {
        let adapter = shown(&results::adapter(&one.found.report));
        let name = format!("{}: {adapter}", one.letter);
        (one.index % charts::COLOURS, name)
    };
    group.iter().take(BARS_MAX).map(entry).collect()
}

/// A line for each test of each result that has several depths.
fn depths(name: &str, rows: &[(&Numbered, &Row)]) -> Result<Option<Figure>> {
    let mut lines: Vec<((usize, &str), Line)> = Vec::new();
    for &(one, row) in rows {
        let rate = &row.tokens_per_second;
        let point = (row.depth as f64, rate.mean, rate.deviation);
        let key = (one.index, row.test.as_str());
        let there = lines.iter_mut().find(|(there, _)| *there == key);
        if let Some((_, line)) = there {
            line.points.push(point);
            continue;
        }
        let line = Line {
            label: format!("{}: {}", one.letter, shown(&row.test)),
            series: one.index,
            points: vec![point],
        };
        lines.push((key, line));
    }
    let mut lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
    lines.retain(|line| line.points.iter().any(|point| point.0 > line.points[0].0));
    let more = cut(lines.len(), LINES_MOST);
    lines.truncate(LINES_MOST);
    if lines.is_empty() {
        return Ok(None);
    }
    let title = format!("{name}: tokens per second by depth");
    Ok(Some(Figure {
        svg: charts::lines(&title, "tokens in the cache before", &lines)?,
        title,
        caption: format!("Speed by what the cache holds before.{more}"),
        legend: Vec::new(),
    }))
}

fn kernels(found: &Found) -> Result<Vec<Figure>> {
    let report = &found.report;
    let all = ranked(report);
    let mut figures = Vec::new();
    for (series, of, what) in [
        (0, "token", "one decoded token"),
        (1, "pass", "one pass of a prompt"),
    ] {
        let mut rows: Vec<_> = all.iter().filter(|kernel| kernel.of == of).collect();
        rows.sort_by(|a, b| b.share.total_cmp(&a.share));
        let bar = |&&Ranked {
                       number, share, row, ..
                   }: &&Ranked| Bar {
            label: format!("{number} {}", shown(&row.label)),
            value: row.seconds * 1e3,
            deviation: 0.0,
            shown: format!(
                "{} ms, {} %",
                fixed(row.seconds * 1e3, 2),
                fixed(share * 100.0, 0)
            ),
            series,
        };
        let bars: Vec<Bar> = rows.iter().take(KERNELS_MOST).map(bar).collect();
        if bars.is_empty() {
            continue;
        }
        let title = format!("Milliseconds by kernel, of {what}");
        figures.push(Figure {
            svg: charts::bars(&title, &bars, 0.0)?,
            title,
            caption: "By timestamps of the GPU, each kernel in a pass of its own. The numbers are those of the table.".to_owned(),
            legend: Vec::new(),
        });
    }
    figures.extend(roofline(found, &all)?);
    Ok(figures)
}

fn roofline(found: &Found, all: &[Ranked]) -> Result<Option<Figure>> {
    let ceilings = &found.report.measured.ceilings;
    let point = |kernel: &Ranked| {
        let (bytes, operations) = (kernel.row.bytes as f64, kernel.row.operations as f64);
        let counted = bytes > 0.0 && operations > 0.0 && kernel.row.seconds > 0.0;
        counted.then(|| Kernel {
            number: kernel.number,
            at: (operations / bytes, operations / kernel.row.seconds),
            share: kernel.share,
            series: usize::from(kernel.of == "pass"),
        })
    };
    let points: Vec<Kernel> = all.iter().filter_map(point).collect();
    if points.is_empty() {
        return Ok(None);
    }
    let title = "Roofline".to_owned();
    let svg = charts::roofline(
        &title,
        &Roofline {
            bytes_per_second: ceilings.read_bytes_per_second,
            operations_per_second: ceilings.f32_operations_per_second,
            points,
        },
    )?;
    let figure = Figure {
        title,
        svg,
        caption: "A point is a kernel, larger the more of the time it takes; the line is what memory and arithmetic allow. The numbers are \
                  those of the table. Kernels whose operations are not counted have no point; what is over the line reads a cache."
            .to_owned(),
        legend: vec![(0, "of a decoded token".to_owned()), (1, "of a pass of a prompt".to_owned())],
    };
    Ok(Some(figure).filter(|figure| !figure.svg.is_empty()))
}
