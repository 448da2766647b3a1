//! What `lantern check` predicted on an adapter and what `lantern bench` then measured: so that a prediction comes with
//! the error of those before it.

use std::fs;

use lantern_engine::{Engine, Estimate, Precision, bench::report::Report};
use serde::{Deserialize, Serialize};

use crate::tuning;

/// Predictions that are remembered for an adapter, the newest ones.
const MOST: usize = 200;

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
    pub most: f64,
}

/// Remembers a prediction.
pub fn predicted(engine: &Engine, estimate: &Estimate, precision: Precision) {
    let mut all = read(engine);
    all.retain(|known| {
        !known.is_of(&estimate.name, estimate.file_bytes, precision) || known.measured.is_some()
    });
    all.push(Prediction {
        model: estimate.name.clone(),
        bytes: estimate.file_bytes,
        precision,
        predicted: Speeds {
            prefill: estimate.prefill_tokens_per_second,
            decode: estimate.decode_tokens_per_second,
        },
        measured: None,
    });
    let surplus = all.len().saturating_sub(MOST);
    write(engine, &all[surplus..]);
}

/// Holds a measurement against what was predicted of the same model, where anything was.
pub fn measured(engine: &Engine, report: &Report) {
    let speed = |test: &str| {
        let mut rows = report.measured.rows.iter();
        let row = rows.find(|row| row.depth == 0 && row.test.starts_with(test));
        row.map(|row| row.tokens_per_second.mean)
    };
    let (Some(prefill), Some(decode)) = (speed("pp"), speed("tg")) else {
        return;
    };
    let mut all = read(engine);
    let (name, bytes) = (&report.model.name, report.model.bytes);
    let open = all
        .iter_mut()
        .rev()
        .find(|known| known.is_of(name, bytes, report.precision));
    if let Some(known) = open {
        known.measured = Some(Speeds { prefill, decode });
        write(engine, &all);
    }
}

/// How far predictions on this adapter were off; none where none was ever measured.
pub fn past(engine: &Engine) -> Option<PastError> {
    let all = read(engine);
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
        most: errors.iter().copied().fold(0.0, f64::max),
    })
}

impl Prediction {
    fn is_of(&self, model: &str, bytes: u64, precision: Precision) -> bool {
        self.model == model && self.bytes == bytes && self.precision == precision
    }
}

fn read(engine: &Engine) -> Vec<Prediction> {
    let path = tuning::file(engine).map(|path| path.with_extension("predictions.json"));
    let text = path.ok().and_then(|path| fs::read_to_string(path).ok());
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// What cannot be kept is no loss but that of its error.
fn write(engine: &Engine, all: &[Prediction]) {
    let (Ok(path), Ok(text)) = (tuning::file(engine), serde_json::to_string_pretty(all)) else {
        return;
    };
    let _ = tuning::write(&path.with_extension("predictions.json"), text.as_bytes());
}
