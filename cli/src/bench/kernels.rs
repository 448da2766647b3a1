//! `lantern bench --kernels`: the cases that tests run, timed.

use lantern_engine::KernelTime;
use pollster::block_on;

use super::{Format, report};
use crate::{
    failure::Result,
    interrupt,
    load::{self, LoadArgs},
    output,
    progress::Progress,
};

/// Times and prints.
pub fn run(names: &[String], args: &LoadArgs, format: Format) -> Result {
    interrupt::listen();
    let all = names.iter().any(|name| name == "all");
    let only = if all { &[] } else { names };
    let gpu = load::open_gpu(&args.gpu)?;
    let mut progress: Option<Progress> = None;
    let mut times: Vec<KernelTime> = Vec::new();
    let mut each = |time, total: usize| {
        times.push(time);
        let bar = progress.get_or_insert_with(|| Progress::steps("timing", total as u64));
        bar.set(times.len() as u64, total as u64);
        interrupt::control()
    };
    block_on(gpu.kernel_times(only, &mut each))?;
    if let Some(bar) = progress {
        bar.finish();
    }
    if format == Format::Json {
        return output::json(&times);
    }
    let header = ["kernel", "variant", "case", "µs", "GB/s"].map(String::from);
    let row = |time: &KernelTime| {
        vec![
            time.kernel.to_owned(),
            time.variant.to_owned(),
            time.case.clone(),
            format!("{:.1}", time.seconds * 1e6),
            format!("{:.2}", time.bytes as f64 / time.seconds / 1e9),
        ]
    };
    let rows = std::iter::once(header.to_vec()).chain(times.iter().map(row));
    report::rows(format, &rows.collect::<Vec<_>>())
}
