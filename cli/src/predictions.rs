//! Speeds that `lantern check` predicted on an adapter and those that `lantern bench` then measured: so that a prediction
//! comes with the error of those before it.

use std::fs;

use lantern_engine::{
    Estimate, Gpu, LoadOptions, Precision,
    bench::report::{LoadedReport, Report},
};
use serde::{Deserialize, Serialize};

use crate::tuning;

/// Predictions that are remembered for an adapter, the newest ones.
const PREDICTIONS_MAX: usize = 200;

/// Tokens a second.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Speeds {
    prefill: f64,
    decode: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Prediction {
    model: String,
    bytes: u64,
    precision: Precision,
    /// The type of its cache.
    #[serde(default)]
    cache: String,
    predicted: Speeds,
    /// None before the model is measured.
    measured: Option<Speeds>,
}

/// How far predictions on an adapter were off.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PastError {
    /// Predicted speeds that were measured afterwards.
    pub count: usize,
    /// Mean of |predicted / measured - 1|.
    pub mean: f64,
    /// The largest of them.
    pub max: f64,
}

/// Remembers a prediction.
pub fn predicted(gpu: &Gpu, estimate: &Estimate, options: &LoadOptions) {
    let mut all = read(gpu);
    let new = Prediction {
        model: estimate.name.clone(),
        bytes: estimate.file_bytes,
        precision: options.precision,
        cache: options.cache_type().name().to_owned(),
        predicted: Speeds {
            prefill: estimate.prefill_tokens_per_second,
            decode: estimate.decode_tokens_per_second,
        },
        measured: None,
    };
    all.retain(|known| known.key() != new.key() || known.measured.is_some());
    all.push(new);
    let surplus = all.len().saturating_sub(PREDICTIONS_MAX);
    write(gpu, &all[surplus..]);
}

/// Holds a measurement against what was predicted of the same model, where anything was.
pub fn measured(gpu: &Gpu, report: &Report) {
    let speed = |test: &str| {
        let mut rows = report.measured.rows.iter();
        let row = rows.find(|row| row.depth == 0 && row.test.starts_with(test));
        row.map(|row| row.tokens_per_second.mean)
    };
    let (Some(prefill), Some(decode)) = (speed("pp"), speed("tg")) else {
        return;
    };
    // What comes from the file, and what an adapter adds, is not predicted.
    let as_predicted =
        |l: &&LoadedReport| l.layers_streamed == 0 && l.tables_bytes == 0 && l.loras.is_empty();
    let Some(loaded) = report.loaded.as_ref().filter(as_predicted) else {
        return;
    };
    let mut all = read(gpu);
    let model = &report.model;
    let key = (&*model.name, model.bytes, report.precision, &*loaded.cache);
    if let Some(known) = all.iter_mut().rev().find(|known| known.key() == key) {
        known.measured = Some(Speeds { prefill, decode });
        write(gpu, &all);
    }
}

/// How far predictions on this adapter were off; none where none was ever measured.
pub fn past(gpu: &Gpu) -> Option<PastError> {
    let all = read(gpu);
    let pairs = all
        .iter()
        .filter_map(|known| Some((known.predicted, known.measured?)));
    let off = |a: f64, b: f64| (a / b - 1.0).abs();
    let errors: Vec<f64> = pairs
        .flat_map(|(p, m)| [off(p.prefill, m.prefill), off(p.decode, m.decode)])
        .collect();
    (!errors.is_empty()).then(|| PastError {
        count: errors.len(),
        mean: errors.iter().sum::<f64>() / errors.len() as f64,
        max: errors.iter().copied().fold(0.0, f64::max),
    })
}

impl Prediction {
    /// Key that a measurement must share to be held against it: model, bytes of its file, precision, type of cache.
    fn key(&self) -> (&str, u64, Precision, &str) {
        (&self.model, self.bytes, self.precision, &self.cache)
    }
}

fn read(gpu: &Gpu) -> Vec<Prediction> {
    let path = tuning::file(gpu).map(|path| path.with_extension("predictions.json"));
    let text = path.ok().and_then(|path| fs::read_to_string(path).ok());
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// Keeps the predictions of this adapter. A failure is ignored: nothing is lost but their errors.
fn write(gpu: &Gpu, all: &[Prediction]) {
    let (Ok(path), Ok(text)) = (tuning::file(gpu), serde_json::to_string_pretty(all)) else {
        return;
    };
    let _ = tuning::write(&path.with_extension("predictions.json"), text.as_bytes());
}
