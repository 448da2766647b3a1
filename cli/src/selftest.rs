//! `lantern selftest`: every kernel variant that an adapter can run, against its CPU reference.

use lantern_engine::{AdapterDescription, Gpu, SelfTestRow};
use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    interrupt,
    load::{self, AdapterArgs},
    output,
    progress::Progress,
    tuning,
};

/// `selftest`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kernels to run, all where none is named
    #[arg(value_name = "KERNEL")]
    kernels: Vec<String>,
    /// Run on every adapter of this machine, one after the other
    #[arg(long, conflicts_with = "adapter")]
    all: bool,
    /// Print a JSON array, an object for each adapter
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gpu: AdapterArgs,
}

/// Result of the self-test on one adapter.
#[derive(serde::Serialize)]
struct Report {
    adapter: AdapterDescription,
    passed: usize,
    failed: usize,
    rows: Vec<SelfTestRow>,
}

/// Runs and prints; an error where a variant failed.
pub fn run(args: &Args) -> Result {
    interrupt::listen();
    let adapters = if args.all {
        let all = block_on(Gpu::adapters());
        all.iter().map(|a| Some(a.index.to_string())).collect()
    } else {
        vec![args.gpu.adapter.clone()]
    };
    let mut reports = Vec::new();
    for adapter in adapters {
        let report = test(&AdapterArgs { adapter }, &args.kernels)?;
        if !args.json {
            print(&report, !reports.is_empty())?;
        }
        reports.push(report);
    }
    if args.json {
        output::json(&reports)?;
    }
    match reports.iter().map(|report| report.failed).sum() {
        0 => Ok(()),
        failed => Err(Failure::Message(format!(
            "{failed} kernel variants computed wrong; they are not used from now on"
        ))),
    }
}

fn test(gpu: &AdapterArgs, kernels: &[String]) -> Result<Report> {
    let (adapter, rows) = rows(gpu, kernels)?;
    let failed = rows.iter().filter(|row| !row.failures.is_empty()).count();
    Ok(Report {
        adapter,
        passed: rows.len() - failed,
        failed,
        rows,
    })
}

/// Tests an adapter, with progress, and keeps what was found; all kernels where none is named.
pub fn rows(
    gpu: &AdapterArgs,
    kernels: &[String],
) -> Result<(AdapterDescription, Vec<SelfTestRow>)> {
    let gpu = load::open_gpu(gpu)?;
    tuning::recall(&gpu, true);
    let mut rows: Vec<SelfTestRow> = Vec::new();
    let mut progress: Option<Progress> = None;
    let mut each = |row, total: usize| {
        rows.push(row);
        let bar = progress.get_or_insert_with(|| Progress::steps("testing", total as u64));
        bar.set(rows.len() as u64, total as u64);
        interrupt::control()
    };
    block_on(gpu.selftest(kernels, &mut each))?;
    if let Some(bar) = progress {
        bar.finish();
    }
    tuning::keep(&gpu, &gpu.tuning())?;
    Ok((gpu.adapter().clone(), rows))
}

fn print(report: &Report, further: bool) -> Result {
    if further {
        output::line("")?;
    }
    let (adapter, passed, failed) = (&report.adapter, report.passed, report.failed);
    let header = ["kernel", "variant", "cases", "NMSE", "result"].map(String::from);
    let row = |row: &SelfTestRow| {
        let known = row
            .known
            .as_ref()
            .map_or_else(String::new, |k| format!("; {k}"));
        let result = match row.failures.first() {
            None => "pass".to_owned(),
            Some(first) => format!("FAIL ({}): {first}{known}", row.failures.len()),
        };
        vec![
            row.kernel.clone(),
            row.variant.clone(),
            row.cases.to_string(),
            format!("{:.1e}", row.nmse),
            result,
        ]
    };
    let rows = std::iter::once(header.to_vec()).chain(report.rows.iter().map(row));
    output::table(&rows.collect::<Vec<_>>())?;
    output::line(&format!("{}: {passed} pass, {failed} fail", adapter.name))
}
