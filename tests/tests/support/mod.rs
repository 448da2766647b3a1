//! Helpers that several tests need.

pub mod adapters;
pub mod changes;
pub mod copies;
pub mod default_model;
pub mod encoder_folders;
pub mod gguf;
pub mod hugging_face;
pub mod later_cases;
pub mod later_folders;
pub mod lora;
pub mod models;
pub mod newer_cases;
pub mod newer_folders;
pub mod python;
pub mod shapes;
pub mod shared;
pub mod vocabulary;

/// Normalised mean squared error: sum((a-b)²) / sum(b²), b the reference.
pub fn nmse(got: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(got.len(), wanted.len());
    let error: f64 = got
        .iter()
        .zip(wanted)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    let size: f64 = wanted.iter().map(|b| f64::from(*b).powi(2)).sum();
    if error == 0.0 { 0.0 } else { error / size }
}
