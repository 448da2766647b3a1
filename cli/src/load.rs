//! From the command line's flags to a model on a GPU: the adapter that is used is always said, a software one warned of.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::DecimalBytes;
use lantern_engine::{
    CacheType, Error, Gpu, GpuOptions, LoadOptions, Model, ModelFile, Precision, Session,
};
use pollster::block_on;
use serde::Serialize;

use crate::{
    failure::Result,
    interrupt, model, notes,
    numbers::{self, counted},
    progress::Progress,
    tuning::{self, Mode},
};

/// Which GPU, the same on every verb that uses one.
#[derive(Debug, Clone, clap::Args)]
pub struct AdapterArgs {
    /// The GPU to use: part of its name, or its index in `lantern devices`
    #[arg(
        long,
        value_name = "NAME|INDEX",
        env = "LANTERN_ADAPTER",
        hide_env_values = true
    )]
    pub adapter: Option<String>,
}

/// How to load a model, the same on every verb that uses a GPU.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model and GPU")]
pub struct LoadArgs {
    #[command(flatten)]
    pub gpu: AdapterArgs,
    /// Tokens that prompt and answer may have together [default: the model's own limit, at most 4096]
    #[arg(long, value_name = "N", value_parser = numbers::from_one, allow_negative_numbers = true)]
    pub context: Option<NonZeroUsize>,
    /// `mixed` keeps keys and values in 16 bits and computes in 16 where that is faster, `exact` computes and caches in 32 bits
    #[arg(long, value_enum, default_value_t)]
    pub precision: PrecisionArg,
    /// Quantise matrices while they are loaded
    #[arg(long, value_name = "TYPE", value_parser = ModelFile::quantised_types())]
    pub quantize: Option<String>,
    /// How keys and values are kept: q8_0 takes 56 % of f16's memory, q4_0 31 % [default: f16, or f32 where --precision is exact]
    #[arg(long, value_name = "TYPE", value_parser = cache_type())]
    pub cache: Option<CacheType>,
    /// Bytes on the GPU that the model and its session may take; layers that do not fit are read from the file whenever they are needed [default: what the adapter has]
    #[arg(long, value_name = "SIZE", value_parser = gpu_memory)]
    pub gpu_memory: Option<u64>,
    /// A LoRA adapter to compute with (GGUF), and how much of it, 1 if not said; may be given several times
    #[arg(long, value_name = "FILE[=FACTOR]", value_parser = lora)]
    pub lora: Vec<(PathBuf, f32)>,
    /// Prompt tokens computed in one pass [default: the engine's choice]
    #[arg(long, value_name = "N", value_parser = numbers::from_one, allow_negative_numbers = true)]
    pub prefill_batch: Option<NonZeroUsize>,
    /// Whether to use the kernel variants that measure fastest on this adapter, and to measure them on first use
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value_t,
        env = "LANTERN_TUNING",
        hide_env_values = true
    )]
    pub tuning: Mode,
}

/// The engine's precisions, as the command line names them.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionArg {
    #[default]
    Mixed,
    Exact,
}

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Precision {
        match precision {
            PrecisionArg::Mixed => Precision::Mixed,
            PrecisionArg::Exact => Precision::Exact,
        }
    }
}

/// The engine's types of a cache, by their names.
fn cache_type() -> impl TypedValueParser<Value = CacheType> {
    let names = CacheType::ALL.map(|(name, _)| name);
    PossibleValuesParser::new(names).map(|given| {
        let mut all = CacheType::ALL.into_iter();
        let found = all.find(|(name, _)| *name == given);
        found.expect("one of the names").1
    })
}

/// `64MiB`, `1.5GB`, or a number of bytes.
fn gpu_memory(text: &str) -> std::result::Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>();
    match size {
        Ok(size) if size.0 > 0 => Ok(size.0),
        _ => Err("not a size as 64MiB, 1.5GB, or a number of bytes".to_owned()),
    }
}

/// `FILE` or `FILE=FACTOR`.
fn lora(text: &str) -> std::result::Result<(PathBuf, f32), String> {
    match text.rsplit_once('=') {
        // A file may have `=` in its name.
        Some((path, factor)) if !Path::new(text).exists() => match factor.parse::<f32>() {
            Ok(factor) if factor.is_finite() => Ok((path.into(), factor)),
            _ => Err(format!(
                "{factor:?} is no number, and there is no file {text}"
            )),
        },
        _ => Ok((text.into(), 1.0)),
    }
}

/// A model whose weights are on the GPU.
pub struct Loaded {
    /// The device it is on.
    pub gpu: Arc<Gpu>,
    /// The model.
    pub model: Model,
    /// How long opening the device and loading took.
    pub duration: Duration,
}

impl LoadArgs {
    /// Opens the model that an argument names.
    pub fn open(&self, model: Option<&str>) -> Result<ModelFile> {
        self.quantised(model::open(model)?)
    }

    /// The model with weights of the type that is asked for.
    pub fn quantised(&self, file: ModelFile) -> Result<ModelFile> {
        Ok(match &self.quantize {
            Some(stored) => file.quantised_as_read(stored)?,
            None => file,
        })
    }

    /// The engine's options.
    pub fn options(&self) -> LoadOptions {
        LoadOptions::default()
            .precision(self.precision.into())
            .cache(self.cache)
            .context(self.context.map(NonZeroUsize::get))
            .prefill_batch(self.prefill_batch.map(NonZeroUsize::get))
            .gpu_memory(self.gpu_memory)
    }
}

/// A session that computes with the LoRA adapters asked for.
pub fn session(model: &Model, args: &LoadArgs) -> Result<Session> {
    let session = block_on(model.session());
    let mut session = session.map_err(|mut error| {
        if let (Error::DoesNotFit { message, .. }, None) = (&mut error, model.streaming()) {
            *message = format!(
                "{message}; with --gpu-memory of {} or less layers come from the file and leave room, or try a smaller --context",
                DecimalBytes(model.weight_bytes())
            );
        }
        error
    })?;
    let mut loras = Vec::new();
    for (path, factor) in &args.lora {
        let file = ModelFile::open(path)?;
        let lora = block_on(model.load_lora(&file));
        let named = |error: Error| error.in_file(&path.display().to_string());
        loras.push((lora.map_err(named)?, *factor));
    }
    if !loras.is_empty() {
        block_on(session.set_loras(&loras))?;
    }
    Ok(session)
}

/// Opens the adapter and loads the weights.
pub fn load(file: &ModelFile, args: &LoadArgs) -> Result<Loaded> {
    interrupt::listen();
    // What cannot be opened is said before anything long begins.
    for (path, _) in &args.lora {
        ModelFile::open(path)?;
    }
    let start = Instant::now();
    let gpu = Arc::new(open_gpu(&args.gpu)?);
    load_onto(gpu, start, file, args, &args.options())
}

/// As [`load`], on an adapter that was opened at `start`.
pub fn load_onto(
    gpu: Arc<Gpu>,
    start: Instant,
    file: &ModelFile,
    args: &LoadArgs,
    options: &LoadOptions,
) -> Result<Loaded> {
    tuning::recall(&gpu, args.tuning == Mode::Auto);
    tuning::warn(&gpu);
    tuning::recall_pipelines(&gpu);
    let mut progress = Progress::bytes("loading", file.len());
    let mut show = |done, total| {
        progress.set(done, total);
        interrupt::control()
    };
    let model = block_on(Model::load(&gpu, file, options, &mut show))?;
    progress.finish();
    let duration = start.elapsed();
    tuning::prepare(&gpu, &model, args.tuning)?;
    tuning::keep_pipelines(&gpu);
    notes::detail(&format!(
        "loaded in {:.2} s, context {} tokens",
        duration.as_secs_f64(),
        model.context()
    ));
    if let Some(told) = model.beyond_training() {
        notes::warning(&told);
    }
    if model.tables_in_file() > 0 {
        notes::note(&format!(
            "{} of embeddings stay in the file, for all would not fit: every pass reads its tokens' rows",
            DecimalBytes(model.tables_in_file())
        ));
    }
    if let Some(streaming) = model.streaming() {
        notes::note(&format!(
            "{} of {} do not fit {}: every pass reads {} from the file",
            counted(streaming.layers, "layer"),
            model.config().layers,
            DecimalBytes(model.budget().unwrap_or(0)),
            DecimalBytes(streaming.bytes_per_pass)
        ));
    }
    Ok(Loaded {
        gpu,
        model,
        duration,
    })
}

/// Opens the adapter that the flags name.
pub fn open_gpu(args: &AdapterArgs) -> Result<Gpu> {
    open_gpu_with(args, GpuOptions::default())
}

/// Opens the GPU with options of the verb's own, where the verb has some.
pub fn open_gpu_with(args: &AdapterArgs, options: GpuOptions) -> Result<Gpu> {
    let adapter = args.adapter.clone().filter(|name| !name.trim().is_empty());
    let faults = std::env::var("LANTERN_FAULTS").unwrap_or_default(); // for tests
    let faults = faults.split_whitespace().map(str::to_owned).collect();
    let options = options.adapter(adapter).faults(faults);
    let gpu = block_on(Gpu::new(&options))?;
    let used = gpu.adapter();
    notes::note(&format!(
        "adapter: {} ({}, {})",
        used.name, used.backend, used.kind
    ));
    if used.kind == "software" {
        notes::warning(
            "this adapter computes on the CPU, which is slow; `lantern devices` lists all there are",
        );
    }
    Ok(gpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(gpu_memory("64MiB"), Ok(64 << 20));
        assert_eq!(gpu_memory("1.5 GB"), Ok(1_500_000_000));
        assert_eq!(gpu_memory("4096"), Ok(4096));
        for bad in ["", "0", "-1", "much", "64 miles", "MiB"] {
            assert!(gpu_memory(bad).is_err(), "{bad}");
        }
    }
}
