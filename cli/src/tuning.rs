//! Which kernel variants compute right and which are fastest here: measured once for an adapter, driver and version, then
//! kept in a file.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use lantern_engine::{
    AdapterDescription, Gpu, Model, OpenEvent, PrepareOptions, TRIAL_SECONDS, TUNING_SECONDS,
    Trial, TunedRow, Tuning,
};
use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    files, interrupt, notes, places,
    progress::Progress,
};

/// Whether to look for the fastest variants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Use what is kept; measure where nothing is.
    #[default]
    Auto,
    /// Use each kernel's default.
    Off,
}

/// Has the GPU use what is kept of its adapter: which variants compute right there, and are fastest.
pub fn recall(gpu: &Gpu, tuned: bool) {
    let Some(mut kept) = read(gpu.adapter()) else {
        return;
    };
    if !tuned {
        kept.choices.clear();
    }
    gpu.set_tuning(&kept); // passed over where it is of another driver or version
}

/// Says which variants are left out because of what is known of them.
pub fn warn(gpu: &Gpu) {
    for (name, wrong) in gpu.tuning().trials {
        if let Some(wrong) = wrong {
            notes::warning(&format!(
                "{name} is not used: it computed wrong on this adapter ({wrong}); `lantern selftest` tries it again"
            ));
        }
    }
}

/// Tries the variants that `model` is about to use and finds the fastest, those left out that are kept. What computes
/// wrong is not used, and said.
pub fn prepare(gpu: &Gpu, model: &Model, mode: Mode) -> Result {
    let known = gpu.tuning();
    let options = PrepareOptions::default()
        .trial(Trial::Seconds(TRIAL_SECONDS))
        .tuning_seconds((mode == Mode::Auto).then_some(TUNING_SECONDS));
    let mut bar: Option<Progress> = None;
    let mut each = |event: OpenEvent<'_>| {
        match event {
            OpenEvent::Trying(name) => notes::detail(&format!("trying {name}")),
            OpenEvent::Replaced(replaced) => notes::warning(&replaced.to_string()),
            OpenEvent::Tuning { total: 0, .. } => notes::note(
                "measuring which kernels are fastest here, once for this adapter and model",
            ),
            OpenEvent::Tuning { done, total } => {
                let bar = bar.get_or_insert_with(|| Progress::steps("tuning", total as u64));
                bar.set(done as u64, total as u64);
            }
            OpenEvent::NotTuned(error) => {
                notes::warning(&format!("the default kernels are used: {error}"));
            }
            _ => {}
        }
        interrupt::control()
    };
    let prepared = block_on(model.prepare(&options, &mut each));
    if let Some(bar) = bar {
        bar.finish();
    }
    let found = gpu.tuning();
    if found != known {
        keep(gpu, &found)?; // also where there is no way on, so that the next start says so at once
    }
    Ok(prepared?)
}

/// Measures for about so many seconds.
pub fn measure(model: &Model, seconds: f64) -> Result<(Tuning, Vec<TunedRow>)> {
    let mut bar: Option<Progress> = None;
    let mut rows: Vec<TunedRow> = Vec::new();
    let mut each = |row: TunedRow, shapes: usize| -> ControlFlow<()> {
        if rows.last().is_none_or(|last| last.shape != row.shape) {
            let bar = bar.get_or_insert_with(|| Progress::steps("tuning", shapes as u64));
            bar.set(rows.len() as u64, shapes as u64);
        }
        rows.push(row);
        interrupt::control()
    };
    let tuning = block_on(model.tune(seconds, &mut each))?;
    if let Some(bar) = bar {
        bar.finish();
    }
    Ok((tuning, rows))
}

/// Uses choices and writes them to their file, beside those for other models.
pub fn keep(gpu: &Gpu, tuning: &Tuning) -> Result {
    gpu.set_tuning(tuning);
    let path = file(gpu)?;
    let text = serde_json::to_string_pretty(&gpu.tuning())
        .map_err(|error| Failure::Message(format!("{}: {error}", path.display())))?;
    let written = write(&path, text.as_bytes());
    // What cannot be kept is measured again next time, and no reason to stop now.
    if let Err(error) = written {
        notes::warning(&format!("the measurements are not kept: {error}"));
    }
    Ok(())
}

/// Has the driver begin with the pipelines that it kept at the last start.
pub fn recall_pipelines(gpu: &Gpu) {
    let kept = pipelines(gpu).and_then(|path| fs::read(path).ok());
    gpu.set_pipeline_cache(kept.as_deref());
}

/// Keeps what the driver has compiled, where that is more than it kept before.
pub fn keep_pipelines(gpu: &Gpu) {
    let (Some(path), Some(now)) = (pipelines(gpu), gpu.pipeline_cache()) else {
        return;
    };
    let before = fs::metadata(&path).map_or(0, |kept| kept.len());
    if now.len() as u64 > before {
        let _ = write(&path, &now); // what cannot be kept is compiled again
    }
}

/// Writes a file beside those that are kept of adapters.
pub fn write(path: &Path, bytes: &[u8]) -> Result {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| Failure::io(folder, error))?;
    files::write_whole(path, |out| {
        out.write_all(bytes)
            .map_err(|error| Failure::io(path, error))
    })
}

fn pipelines(gpu: &Gpu) -> Option<PathBuf> {
    Some(file(gpu).ok()?.with_extension("pipelines"))
}

/// Variants that computed wrong on an adapter, and what was wrong, as far as is kept.
pub fn kept_failures(adapter: &AdapterDescription) -> Vec<(String, String)> {
    let trials = read(adapter).map(|kept| kept.trials).unwrap_or_default();
    let wrong = trials
        .into_iter()
        .filter_map(|(name, wrong)| Some((name, wrong?)));
    wrong.collect()
}

/// Reads the tuning that is kept for this adapter; none where that does not read.
fn read(adapter: &AdapterDescription) -> Option<Tuning> {
    let text = fs::read_to_string(file_of(adapter).ok()?).ok()?;
    serde_json::from_str(&text).ok()
}

/// One file for each adapter, named so that a person finds it.
pub fn file(gpu: &Gpu) -> Result<PathBuf> {
    file_of(gpu.adapter())
}

fn file_of(adapter: &AdapterDescription) -> Result<PathBuf> {
    let name = format!("{} {}", adapter.name, adapter.backend);
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().take(80).map(letter).collect();
    Ok(places::tuning()?.join(format!("{name}.json")))
}
