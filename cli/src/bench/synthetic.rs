//! `lantern bench --synthetic`: models of random weights, as many layers of them as there is memory for.

use std::{sync::Arc, time::Instant};

use lantern_engine::{Config, Error, Gpu, LoadOptions, ModelFile, bench::report::Report};
use pollster::block_on;

use super::{Args, measure};
use crate::{
    failure::{Failure, Result},
    load::{self, LoadArgs},
    notes,
};

/// Share of the memory that weights may take.
const MEMORY_SHARE: f64 = 0.6;

/// Measures as many layers of `file` as fit, and reckons the rest.
pub fn run(
    args: &Args,
    load: &LoadArgs,
    file: &ModelFile,
    options: &LoadOptions,
    gpu: &Arc<Gpu>,
) -> Result<Report> {
    let all = Config::of(file)?.layers;
    let mut layers = fitting(file, gpu)?;
    loop {
        let some = file.synthetic_layers(layers)?;
        match load::load_onto(gpu.clone(), Instant::now(), &some, load, options) {
            Ok(loaded) => {
                let mut session = block_on(loaded.model.session())?;
                let mut report = measure(args, &loaded, &mut session, &some)?;
                report.model.synthetic = true;
                report.model.bytes = file.len();
                if layers < all {
                    notes::warning(&format!(
                        "there is memory for {layers} of {all} layers: the speeds of all are reckoned from those"
                    ));
                    report.model.layers = all;
                    let head = block_on(session.head_seconds())?;
                    let files = (&some, file);
                    report.measured.reckon(head, gpu, files, options)?;
                }
                return Ok(report);
            }
            // Most adapters do not say how much memory they have; they have less than this.
            Err(Failure::Engine(Error::DoesNotFit { .. })) if layers > 1 => layers /= 2,
            Err(error) => return Err(error),
        }
    }
}

/// Layers that the adapter's memory has room for; all, where it does not say how much that is.
fn fitting(file: &ModelFile, gpu: &Gpu) -> Result<u32> {
    let all = Config::of(file)?.layers;
    let Some(memory) = gpu.memory_bytes() else {
        return Ok(all);
    };
    let layer = (file.len() - file.synthetic_layers(1)?.len()) / u64::from(all.max(2) - 1);
    let rest = file.synthetic_layers(1)?.len().saturating_sub(layer);
    let room = (memory as f64 * MEMORY_SHARE) as u64;
    let count = room.saturating_sub(rest) / layer.max(1);
    Ok((count.min(u64::from(all)) as u32).max(1))
}
