//! Whole models against the references: programs that nobody here wrote, on 32-bit floats.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use lantern_engine::{Engine, EngineOptions, LoadOptions, Model, ModelFile, Precision, SamplerOptions};
use pollster::block_on;
use serde::Deserialize;
use crate::support::{adapters, nmse};

/// What a reference's JSON holds.
#[derive(Deserialize)]
struct Reference {
    tokens: Vec<u32>,
    greedy: Vec<u32>,
    margin: Vec<f32>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference")
}

fn floats(path: &Path) -> Vec<f32> {
    fs::read(path).unwrap().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn load(engine: &Arc<Engine>, path: &Path, precision: Precision) -> Model {
    let file = ModelFile::open(path).unwrap();
    let options = LoadOptions { precision, ..LoadOptions::default() };
    block_on(Model::load(engine, &file, &options, &mut |_, _| ControlFlow::Continue(()))).unwrap()
}

/// NMSE of all logits, and the first greedy token that differs where the reference is sure of it.
fn compare(engine: &Arc<Engine>, path: &Path, precision: Precision) -> (f64, Option<usize>) {
    let model = load(engine, path, precision);
    let text = fs::read_to_string(path.with_extension("json")).unwrap();
    let reference: Reference = serde_json::from_str(&text).unwrap();
    let mut session = block_on(model.session()).unwrap();
    let mut logits = Vec::new();
    block_on(session.feed_all(&reference.tokens, &mut |_, row| {
        logits.extend_from_slice(row);
        ControlFlow::Continue(())
    }))
    .unwrap();
    let error = nmse(&logits, &floats(&path.with_extension("f32")));
    let mut drawn = Vec::new();
    block_on(session.generate(reference.greedy.len(), &SamplerOptions::greedy(), &mut |token| {
        drawn.push(token);
        ControlFlow::Continue(())
    }))
    .unwrap();
    let sure = reference.margin.iter().position(|&m| m < 1e-3).unwrap_or(reference.greedy.len());
    (error, (0..sure).find(|&i| drawn[i] != reference.greedy[i]))
}

/// Compares every file; NMSE at most `most`.
fn check(files: &[PathBuf], precision: Precision, most: f64) {
    let mut failures = Vec::new();
    for adapter in adapters::all() {
        let engine = Arc::new(adapters::engine(&adapter, EngineOptions { checked: true, ..EngineOptions::default() }));
        for path in files {
            let (error, differs) = compare(&engine, path, precision);
            println!("{:<40} {:<24} NMSE {error:.2e}", adapter.name, path.file_stem().unwrap().display());
            if error > most || differs.is_some() {
                let name = path.file_stem().unwrap().display();
                failures.push(format!("{}: {name}: NMSE {error:.2e}, greedy differs at {differs:?}", adapter.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn files(kind: &str, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| folder().join(kind).join(format!("{name}.gguf"))).collect()
}

const FAMILIES: &[&str] = &["llama", "llama-mha-tied", "llama3-rope-factors", "llama-yarn", "llama-linear-rope"];
const FORMATS: &[&str] = &["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"];

#[test]
fn families_exact() {
    check(&files("families", FAMILIES), Precision::Exact, 1e-6);
}

#[test]
fn families_default() {
    check(&files("families", FAMILIES), Precision::Default, 1e-4);
}

#[test]
fn formats_exact() {
    check(&files("formats", FORMATS), Precision::Exact, 1e-6);
}

#[test]
fn formats_default() {
    check(&files("formats", FORMATS), Precision::Default, 1e-4);
}
