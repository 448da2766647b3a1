//! The tables of a report, as text and numbers: the page and the Markdown show the same.

use lantern_engine::{
    ProfileRow,
    bench::report::{Report, Row},
};
use serde::Serialize;

use super::{Results, shown};
use crate::results::{self, Found};

/// Columns with names, and what they are about.
#[derive(Debug, Serialize)]
pub struct Table {
    pub title: &'static str,
    pub note: &'static str,
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// Text of a cell, and the number in it to sort by.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    pub text: String,
    pub number: Option<f64>,
}

/// All of them; those without rows are left out.
pub fn all(results: &Results) -> Vec<Table> {
    let tables = [
        setups(results),
        speeds(results),
        depths(results),
        ceilings(results),
        counters(results),
        kernels(results),
    ];
    let some = |table: &Table| !table.rows.is_empty();
    tables.into_iter().filter(some).collect()
}

/// A number with so many digits; as a power of ten where it is beyond all measure.
pub fn fixed(number: f64, digits: usize) -> String {
    if number.abs() < 1e15 {
        format!("{number:.digits$}")
    } else {
        format!("{number:.digits$e}")
    }
}

fn text(text: &str) -> Cell {
    let text = shown(text);
    Cell { text, number: None }
}

fn number(number: f64, digits: usize) -> Cell {
    Cell {
        text: fixed(number, digits),
        number: Some(number).filter(|number| number.is_finite()),
    }
}

fn percent(share: f64) -> Cell {
    let mut cell = number(share * 100.0, 1);
    cell.text.push_str(" %");
    cell
}

fn megabytes(bytes: u64) -> Cell {
    number(bytes as f64 / 1e6, 1)
}

fn optional<T>(value: Option<T>, cell: impl FnOnce(T) -> Cell) -> Cell {
    value.map_or_else(|| text(""), cell)
}

/// Titles of the columns in `after`, behind those that say what the row is of.
fn header(results: &Results, after: &[&str]) -> Vec<String> {
    let mixed: &[&str] = if results.mixed {
        &["model", "loaded"]
    } else {
        &[]
    };
    let parts = [&["result", "adapter"], mixed, after];
    parts.concat().into_iter().map(String::from).collect()
}

fn start(results: &Results, letter: &str, found: &Found) -> Vec<Cell> {
    let mut cells = vec![text(letter), text(&found.report.adapter.name)];
    if results.mixed {
        cells.push(text(&found.report.model.name));
        cells.push(text(&results::loading(&found.report)));
    }
    cells
}

/// A table with a row for each result, or with several: what stands in `rows`, after the columns of [`start`].
fn table(
    results: &Results,
    title: &'static str,
    note: &'static str,
    columns: &[&str],
    rows: impl Fn(&Report) -> Vec<Vec<Cell>>,
) -> Table {
    let full = |(letter, found): &(String, &Found)| {
        let start = start(results, letter, found);
        let with = |cells: Vec<Cell>| [start.clone(), cells].concat();
        rows(&found.report).into_iter().map(with).collect()
    };
    let rows: Vec<Vec<Vec<Cell>>> = results.all.iter().map(full).collect();
    Table {
        title,
        note,
        header: header(results, columns),
        rows: rows.concat(),
    }
}

fn setups(results: &Results) -> Table {
    let header =
        "result,file,model,weights,loaded,adapter,backend,kind,driver,system,Lantern,measured";
    let row = |(letter, found): &(String, &Found)| {
        let report = &found.report;
        let (adapter, host, model) = (&report.adapter, &report.host, &report.model);
        let browser = host.browser.iter().map(String::as_str);
        let system = [host.os.as_str(), host.arch.as_str()]
            .into_iter()
            .chain(browser);
        vec![
            text(letter),
            text(&found.file.display().to_string()),
            text(&model.name),
            text(&model.weights_xxh3),
            text(&results::loading(report)),
            text(&adapter.name),
            text(&adapter.backend),
            text(&adapter.kind),
            text(format!("{} {}", adapter.driver, adapter.driver_info).trim()),
            text(&system.collect::<Vec<_>>().join(", ")),
            text(&report.lantern),
            text(&report.measured_at),
        ]
    };
    Table {
        title: "Results",
        note: "What was measured, and on what. The letters name the results in all that follows.",
        header: header.split(',').map(String::from).collect(),
        rows: results.all.iter().map(row).collect(),
    }
}

fn speeds(results: &Results) -> Table {
    let note = "pp: tokens of a prompt prefilled. tg: tokens generated. Depth: tokens in the cache before. The ceiling is what the adapter reads \
                or computes a second at most; expected at most: the speed if every dispatch reached it.";
    let columns = [
        "test",
        "depth",
        "tokens/s",
        "±",
        "samples",
        "of the ceiling",
        "ceiling",
        "expected at most",
    ];
    let row = |row: &Row| {
        let rate = &row.tokens_per_second;
        vec![
            text(&row.test),
            number(row.depth as f64, 0),
            number(rate.mean, 2),
            number(rate.deviation, 2),
            number(rate.samples.len() as f64, 0),
            percent(row.ceiling_share),
            text(&row.ceiling.to_string()),
            number(row.expected_tokens_per_second, 1),
        ]
    };
    let rows = |report: &Report| report.measured.rows.iter().map(row).collect();
    table(results, "Tokens per second", note, &columns, rows)
}

/// Each test over its depths, where it has several.
fn depths(results: &Results) -> Table {
    let note = "The speed of a test at each depth, and what is left of that at its least depth.";
    let columns = ["test", "depth", "tokens/s", "of the first"];
    let rows = |report: &Report| {
        let rows = &report.measured.rows;
        let shallowest = |row: &Row| {
            let same = || rows.iter().filter(|other| other.test == row.test);
            let min = same().min_by_key(|other| other.depth)?;
            same().any(|other| other.depth > min.depth).then_some(min)
        };
        let cells = |row: &Row| {
            let min = shallowest(row)?;
            let mean = row.tokens_per_second.mean;
            Some(vec![
                text(&row.test),
                number(row.depth as f64, 0),
                number(mean, 2),
                percent(mean / min.tokens_per_second.mean),
            ])
        };
        let mut sorted: Vec<&Row> = rows.iter().collect();
        sorted.sort_by(|a, b| (&a.test, a.depth).cmp(&(&b.test, b.depth)));
        sorted.into_iter().filter_map(cells).collect()
    };
    table(results, "By depth", note, &columns, rows)
}

fn ceilings(results: &Results) -> Table {
    let note = "What the adapter can do at all, by kernels that do nothing else.";
    let columns = [
        "GB/s read",
        "read by",
        "f32 GFLOP/s",
        "f16 GFLOP/s",
        "matrix GFLOP/s",
        "µs a dispatch",
    ];
    let rows = |report: &Report| {
        let ceilings = &report.measured.ceilings;
        vec![vec![
            number(ceilings.read_bytes_per_second / 1e9, 2),
            text(&ceilings.read_by),
            number(ceilings.f32_operations_per_second / 1e9, 1),
            optional(ceilings.f16_operations_per_second, |speed| {
                number(speed / 1e9, 1)
            }),
            optional(ceilings.matrix_operations_per_second, |speed| {
                number(speed / 1e9, 1)
            }),
            number(ceilings.dispatch_seconds * 1e6, 1),
        ]]
    };
    table(results, "Ceilings of the adapter", note, &columns, rows)
}

fn counters(results: &Results) -> Table {
    let note = "Counts are of a decoded token. First token: from a prompt to the first token of its answer; cold: with opening the device \
                and loading.";
    let columns = [
        "dispatches",
        "submissions",
        "read-backs",
        "MB on the GPU",
        "MB weights",
        "MB cache",
        "MB host at most",
        "pipelines",
        "ms to load",
        "ms to first token",
        "ms cold",
        "kernels tested",
    ];
    let rows = |report: &Report| {
        let (counters, first) = (
            &report.measured.counters,
            report.measured.time_to_first_token_ms,
        );
        let tested = report.selftest.as_ref().map(|test| {
            let (passed, failed) = (test.passed, test.failed.len());
            let of = match test.whole {
                Some(false) => " at the start",
                _ => "",
            };
            format!("{passed} passed, {failed} failed{of}")
        });
        vec![vec![
            number(counters.dispatches_per_token, 1),
            number(counters.submissions_per_token, 2),
            number(counters.readbacks_per_token, 2),
            megabytes(counters.gpu_bytes),
            megabytes(counters.weight_bytes),
            megabytes(counters.cache_bytes),
            optional(counters.host_peak_bytes, megabytes),
            number(counters.pipelines_compiled as f64, 0),
            number(report.measured.load_ms, 0),
            optional(first, |first| number(first.warm, 0)),
            optional(first, |first| number(first.cold, 0)),
            optional(tested, |tested| text(&tested)),
        ]]
    };
    table(results, "Counts, memory, times", note, &columns, rows)
}

/// A kernel of a profile.
#[derive(Debug, Clone, Copy)]
pub struct Ranked<'a> {
    /// Its number in the table and in the roofline.
    pub number: usize,
    /// `token` or `pass`.
    pub of: &'static str,
    /// Share of the time of all.
    pub share: f64,
    pub row: &'a ProfileRow,
}

/// The kernels of a result, numbered: those of a decoded token, then those of a pass of a prompt.
pub fn ranked(report: &Report) -> Vec<Ranked<'_>> {
    let mut ranked = Vec::new();
    if let Some(profile) = &report.measured.profile {
        for (of, rows) in [("token", &profile.decode), ("pass", &profile.prefill)] {
            let all: f64 = rows.iter().map(|row| row.seconds).sum();
            for row in rows {
                ranked.push(Ranked {
                    number: ranked.len() + 1,
                    of,
                    share: row.seconds / all.max(1e-9),
                    row,
                });
            }
        }
    }
    ranked
}

fn kernels(results: &Results) -> Table {
    let note = "Kernels of one decoded token, and of one pass of a prompt. FLOP/byte is over the bytes that a kernel reads at least; the \
                numbers are those of the rooflines.";
    let columns = [
        "of a",
        "#",
        "kernel",
        "dispatches",
        "ms",
        "share",
        "GB/s",
        "of reading",
        "GFLOP/s",
        "of f32",
        "FLOP/byte",
    ];
    let rows = |report: &Report| {
        let ceilings = &report.measured.ceilings;
        let cells = |ranked: Ranked| {
            let row = ranked.row;
            let a_second = |amount: u64| amount as f64 / row.seconds.max(1e-9);
            let (bytes, operations) = (a_second(row.bytes), a_second(row.operations));
            let intensity = (row.bytes > 0).then(|| row.operations as f64 / row.bytes as f64);
            vec![
                text(ranked.of),
                number(ranked.number as f64, 0),
                text(&row.label),
                number(row.dispatches as f64, 0),
                number(row.seconds * 1e3, 3),
                percent(ranked.share),
                number(bytes / 1e9, 2),
                percent(bytes / ceilings.read_bytes_per_second),
                number(operations / 1e9, 2),
                percent(operations / ceilings.f32_operations_per_second),
                optional(intensity, |intensity| number(intensity, 2)),
            ]
        };
        ranked(report).into_iter().map(cells).collect()
    };
    table(results, "By kernel", note, &columns, rows)
}
