//! How what `bench` found is printed.

use indicatif::DecimalBytes;
use lantern_engine::{
    Ceilings, ProfileRow,
    bench::report::{FirstToken, Profile, Report, Row},
};

use super::Format;
use crate::{failure::Result, output};

/// Prints one report; as JSON, an object.
pub fn print(format: Format, report: Report) -> Result {
    match format {
        Format::Json => output::json(&report),
        _ => print_all(format, &[report]),
    }
}

/// Prints reports, however many; as JSON, a list of objects.
pub fn print_all(format: Format, reports: &[Report]) -> Result {
    match format {
        Format::Json => output::json(&reports),
        Format::Csv => rows(format, &csv(reports)),
        Format::Table | Format::Md => {
            for (index, report) in reports.iter().enumerate() {
                if index > 0 {
                    output::line("")?;
                }
                sections(format, report)?;
            }
            Ok(())
        }
    }
}

/// One report as tables.
fn sections(format: Format, report: &Report) -> Result {
    rows(format, &speeds(report))?;
    if let Some(Profile { decode, prefill }) = &report.measured.profile {
        for (what, found) in [("token", decode), ("pass", prefill)] {
            if !found.is_empty() {
                output::line("")?;
                rows(format, &kernels(what, found, &report.measured.ceilings))?;
            }
        }
    }
    output::line("")?;
    rows(format, &facts(report))
}

/// Rows as columns: for the eye, for Markdown, or as CSV. The first row is the header.
pub fn rows(format: Format, rows: &[Vec<String>]) -> Result {
    match format {
        Format::Csv => {
            let quoted = |cell: &String| {
                if cell.contains([',', '"', '\n']) {
                    format!("\"{}\"", cell.replace('"', "\"\""))
                } else {
                    cell.clone()
                }
            };
            let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
            output::line(&rows.iter().map(line).collect::<Vec<_>>().join("\n"))
        }
        Format::Md => {
            let line = |row: &Vec<String>| format!("| {} |", row.join(" | ").replace('\n', " "));
            let columns = rows.first().map_or(0, Vec::len);
            let mut lines: Vec<String> = rows.iter().map(line).collect();
            lines.insert(lines.len().min(1), format!("|{}", "---|".repeat(columns)));
            output::line(&lines.join("\n"))
        }
        Format::Table | Format::Json => output::table(rows),
    }
}

fn speeds(report: &Report) -> Vec<Vec<String>> {
    let header = [
        "test",
        "depth",
        "tokens/s",
        "of the ceiling",
        "expected at most",
    ];
    let row = |row: &Row| {
        let rate = &row.tokens_per_second;
        vec![
            row.test.clone(),
            row.depth.to_string(),
            format!("{:.2} ± {:.2}", rate.mean, rate.deviation),
            format!("{:.1} % ({})", row.ceiling_share * 100.0, row.ceiling),
            format!("{:.1}", row.expected_tokens_per_second),
        ]
    };
    let header = header.map(String::from).to_vec();
    std::iter::once(header)
        .chain(report.measured.rows.iter().map(row))
        .collect()
}

fn kernels(what: &str, profile: &[ProfileRow], ceilings: &Ceilings) -> Vec<Vec<String>> {
    let all: f64 = profile.iter().map(|row| row.seconds).sum();
    let header = [
        format!("kernels of a {what}"),
        "dispatches".to_owned(),
        "ms".to_owned(),
        "share".to_owned(),
        "GB/s".to_owned(),
        "of reading".to_owned(),
        "GFLOP/s".to_owned(),
        "of f32".to_owned(),
    ];
    let row = |row: &ProfileRow| {
        let (bytes, operations) = (row.bytes as f64, row.operations as f64);
        let speed = |amount: f64| amount / row.seconds.max(1e-9);
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        vec![
            row.label.clone(),
            row.dispatches.to_string(),
            format!("{:.3}", row.seconds * 1e3),
            percent(row.seconds / all.max(1e-9)),
            format!("{:.2}", speed(bytes) / 1e9),
            percent(speed(bytes) / ceilings.read_bytes_per_second),
            format!("{:.2}", speed(operations) / 1e9),
            percent(speed(operations) / ceilings.f32_operations_per_second),
        ]
    };
    std::iter::once(header.to_vec())
        .chain(profile.iter().map(row))
        .collect()
}

/// Facts beside the tables, such as model, adapter and ceilings: a name and a text each.
fn facts(report: &Report) -> Vec<Vec<String>> {
    let line = |name: &str, value: String| vec![name.to_owned(), value];
    let (model, adapter, counters) = (&report.model, &report.adapter, &report.measured.counters);
    let ceilings = &report.measured.ceilings;
    let also = |speed: Option<f64>, what: &str| {
        speed.map_or_else(String::new, |v| format!(", {:.1} in {what}", v / 1e9))
    };
    let f16 = also(ceilings.f16_operations_per_second, "f16");
    let matrix = also(ceilings.matrix_operations_per_second, "matrices");
    let mut lines = vec![
        line(
            "model",
            format!(
                "{}, {}{}",
                model.name,
                DecimalBytes(model.bytes),
                if model.layers_measured < model.layers {
                    format!(
                        "; {} of {} layers measured, the rest reckoned",
                        model.layers_measured, model.layers
                    )
                } else {
                    String::new()
                }
            ),
        ),
        line(
            "adapter",
            format!("{} ({}, {})", adapter.name, adapter.backend, adapter.kind),
        ),
        line(
            "ceilings",
            format!(
                "{:.2} GB/s read ({}), {:.1} GFLOP/s in f32{f16}{matrix}, {:.1} µs a dispatch",
                ceilings.read_bytes_per_second / 1e9,
                ceilings.read_by,
                ceilings.f32_operations_per_second / 1e9,
                ceilings.dispatch_seconds * 1e6
            ),
        ),
    ];
    if let Some(FirstToken { warm, cold }) = report.measured.time_to_first_token_ms {
        let text = format!("{warm:.0} ms warm, {cold:.0} ms with loading");
        lines.push(line("first token", text));
    }
    let a_token = format!(
        "{:.1} dispatches, {:.2} passes, {:.2} submissions, {:.2} read-backs, {:.2} buffers and {:.2} bind groups created",
        counters.dispatches_per_token,
        counters.passes_per_token,
        counters.submissions_per_token,
        counters.readbacks_per_token,
        counters.buffers_created_per_token,
        counters.bind_groups_created_per_token,
    );
    lines.push(line("a token", a_token));
    let bytes = [
        counters.weight_bytes,
        counters.cache_bytes,
        counters.gpu_bytes,
    ];
    let [weights, cache, all] = bytes.map(DecimalBytes);
    let peak = counters.host_peak_bytes.map_or_else(String::new, |bytes| {
        format!("; {} of the host at most", DecimalBytes(bytes))
    });
    let memory = format!("{all} on the GPU, {weights} of it weights, {cache} cache{peak}");
    lines.push(line("memory", memory));
    lines
}

fn csv(reports: &[Report]) -> Vec<Vec<String>> {
    let header = "test,depth,tokens_per_second,deviation,repetitions,ceiling,ceiling_share,expected_tokens_per_second,precision,backend,adapter,model";
    let row = |(report, row): (&Report, &Row)| {
        let rate = &row.tokens_per_second;
        vec![
            row.test.clone(),
            row.depth.to_string(),
            rate.mean.to_string(),
            rate.deviation.to_string(),
            rate.samples.len().to_string(),
            row.ceiling.to_string(),
            row.ceiling_share.to_string(),
            row.expected_tokens_per_second.to_string(),
            format!("{:?}", report.precision).to_lowercase(),
            report.adapter.backend.clone(),
            report.adapter.name.clone(),
            report.model.name.clone(),
        ]
    };
    let all = reports
        .iter()
        .flat_map(|report| report.measured.rows.iter().map(move |row| (report, row)));
    let header = header.split(',').map(String::from).collect();
    std::iter::once(header).chain(all.map(row)).collect()
}
