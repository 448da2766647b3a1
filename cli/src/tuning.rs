//! Which kernel variants compute right and which are fastest here: measured once for an adapter, driver and version, then
//! kept in a file.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use lantern_engine::{AdapterDescription, Engine, Error, Model, TRIAL_SECONDS, TunedRow, Tuning};
use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    files, interrupt, notes, places,
    progress::Progress,
};

/// Seconds that the first use of an adapter may take.
const SECONDS: f64 = 3.0;

/// Whether to look for the fastest variants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Use what is kept; measure where nothing is.
    #[default]
    Auto,
    /// Use each kernel's default.
    Off,
}

/// Has the engine use what is kept of its adapter: which variants compute right there, and are fastest.
pub fn recall(engine: &Engine, tuned: bool) {
    let Some(mut kept) = read(engine.adapter()) else {
        return;
    };
    if !tuned {
        kept.choices.clear();
    }
    engine.set_tuning(&kept); // passed over where it is of another driver or version
}

/// Says which variants are left out because of what is known of them.
pub fn warn(engine: &Engine) {
    for (name, wrong) in engine.tuning().trials {
        if let Some(wrong) = wrong {
            notes::warning(&format!(
                "{name} is not used: it computed wrong on this adapter ({wrong}); `lantern selftest` tries it again"
            ));
        }
    }
}

/// Tries the variants that `model` is about to use, those that were not tried here before. What computes wrong is not
/// used, and said.
pub fn try_variants(engine: &Engine, model: &Model) -> Result {
    let before = engine.tuning().trials.len();
    let mut each = |name: &str| {
        notes::detail(&format!("trying {name}"));
        interrupt::control()
    };
    let replaced = block_on(model.try_variants(TRIAL_SECONDS, &mut each));
    if engine.tuning().trials.len() > before {
        keep(engine, &engine.tuning())?; // also where there is no way on, so that the next start says so at once
    }
    for replaced in replaced? {
        notes::warning(&replaced.to_string());
    }
    Ok(())
}

/// Has the engine use the fastest variants for `model`: those that are kept, or those that are measured now.
pub fn apply(engine: &Engine, model: &Model, mode: Mode) -> Result {
    if mode == Mode::Off {
        return Ok(());
    }
    let known = engine.tuning().choices;
    if model.shapes().iter().all(|shape| known.contains_key(shape)) {
        return Ok(());
    }
    notes::note("measuring which kernels are fastest here, once for this adapter and model");
    match measure(model, SECONDS) {
        Ok((tuning, _)) => keep(engine, &tuning),
        Err(Failure::Engine(error @ Error::DoesNotFit(_))) => {
            notes::warning(&format!("the default kernels are used: {error}"));
            Ok(())
        }
        Err(error) => Err(error),
    }
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
pub fn keep(engine: &Engine, tuning: &Tuning) -> Result {
    engine.set_tuning(tuning);
    let path = file(engine)?;
    let text = serde_json::to_string_pretty(&engine.tuning())
        .map_err(|error| Failure::Message(format!("{}: {error}", path.display())))?;
    let written = write(&path, text.as_bytes());
    // What cannot be kept is measured again next time, and no reason to stop now.
    if let Err(error) = written {
        notes::warning(&format!("the measurements are not kept: {error}"));
    }
    Ok(())
}

/// Has the driver begin with the pipelines that it kept at the last start.
pub fn recall_pipelines(engine: &Engine) {
    let kept = pipelines(engine).and_then(|path| fs::read(path).ok());
    engine.set_pipeline_cache(kept.as_deref());
}

/// Keeps what the driver has compiled, where that is more than it kept before.
pub fn keep_pipelines(engine: &Engine) {
    let (Some(path), Some(now)) = (pipelines(engine), engine.pipeline_cache()) else {
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

fn pipelines(engine: &Engine) -> Option<PathBuf> {
    Some(file(engine).ok()?.with_extension("pipelines"))
}

/// Variants that computed wrong on an adapter, and what was wrong, as far as is kept.
pub fn kept_failures(adapter: &AdapterDescription) -> Vec<(String, String)> {
    let trials = read(adapter).map(|kept| kept.trials).unwrap_or_default();
    let wrong = trials
        .into_iter()
        .filter_map(|(name, wrong)| Some((name, wrong?)));
    wrong.collect()
}

/// What is kept for this adapter; none where that does not read.
fn read(adapter: &AdapterDescription) -> Option<Tuning> {
    let text = fs::read_to_string(file_of(adapter).ok()?).ok()?;
    serde_json::from_str(&text).ok()
}

/// One file for each adapter, named so that a person finds it.
pub fn file(engine: &Engine) -> Result<PathBuf> {
    file_of(engine.adapter())
}

fn file_of(adapter: &AdapterDescription) -> Result<PathBuf> {
    let name = format!("{} {}", adapter.name, adapter.backend);
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().take(80).map(letter).collect();
    Ok(places::tuning()?.join(format!("{name}.json")))
}
