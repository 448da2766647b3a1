//! Small models against the references: programs that nobody here wrote, on 32-bit floats.

use std::{path::Path, sync::Arc};

use lantern_engine::{Engine, EngineOptions, LoadOptions, Precision, SamplerOptions};

use crate::support::{
    adapters,
    models::{feed_all, folder, generate, load, logits, reference},
    nmse,
};

/// NMSE of all logits, and the first greedy token that differs where the reference is sure of it.
fn compare(engine: &Arc<Engine>, path: &Path, precision: Precision) -> (f64, Option<usize>) {
    let model = load(
        engine,
        path,
        &LoadOptions {
            precision,
            ..LoadOptions::default()
        },
    );
    let reference = reference(path);
    let mut session = pollster::block_on(model.session()).unwrap();
    let error = nmse(&feed_all(&mut session, &reference.tokens), &logits(path));
    let drawn = generate(
        &mut session,
        reference.greedy.len(),
        &SamplerOptions::greedy(),
    );
    assert_eq!(drawn.len(), reference.greedy.len());
    (error, reference.first_wrong(&drawn))
}

/// Compares every file on every adapter; NMSE at most `most`.
fn check(kind: &str, names: &[&str], precision: Precision, most: f64) {
    let mut failures = Vec::new();
    for adapter in adapters::all() {
        let engine = Arc::new(adapters::engine(
            &adapter,
            EngineOptions {
                checked: true,
                ..EngineOptions::default()
            },
        ));
        for name in names {
            let path = folder(kind).join(format!("{name}.gguf"));
            let (error, differs) = compare(&engine, &path, precision);
            println!("{:<40} {name:<24} NMSE {error:.2e}", adapter.name);
            if error > most || differs.is_some() {
                failures.push(format!(
                    "{}: {name}: NMSE {error:.2e}, greedy differs at {differs:?}",
                    adapter.name
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

const FAMILIES: &[&str] = &[
    "llama",
    "llama-mha-tied",
    "llama3-rope-factors",
    "llama-yarn",
    "llama-linear-rope",
];
const FORMATS: &[&str] = &["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"];

#[test]
fn families_exact() {
    check("families", FAMILIES, Precision::Exact, 1e-6);
}

#[test]
fn families_default() {
    check("families", FAMILIES, Precision::Default, 1e-4);
}

#[test]
fn formats_exact() {
    check("formats", FORMATS, Precision::Exact, 1e-6);
}

#[test]
fn formats_default() {
    check("formats", FORMATS, Precision::Default, 1e-4);
}
