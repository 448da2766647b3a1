//! Models that tests run, and their references.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use lantern_engine::{Gpu, LoadOptions, Model, ModelFile, SamplerOptions, Session};
use lantern_kernels::Shader;
use pollster::block_on;
use serde::Deserialize;

/// Content of a reference's JSON.
#[derive(Deserialize)]
pub struct Reference {
    #[serde(default)]
    pub text: String,
    pub tokens: Vec<u32>,
    pub greedy: Vec<u32>,
    pub margin: Vec<f32>,
    /// Continuation of the same prompt from position 0, where the other is from a later one.
    #[serde(default)]
    zero: Option<Continuation>,
    #[serde(default)]
    pub nll_sum: f64,
    #[serde(default)]
    pub nll_count: usize,
}

/// The likeliest tokens, and by how much each is.
#[derive(Deserialize)]
struct Continuation {
    greedy: Vec<u32>,
    margin: Vec<f32>,
}

impl Reference {
    /// The first sampled token that differs where the reference is sure of it: a margin below 1e-3 ends the comparison.
    pub fn first_wrong(&self, sampled: &[u32]) -> Option<usize> {
        let sure = self
            .margin
            .iter()
            .position(|&m| m < 1e-3)
            .unwrap_or(self.greedy.len());
        (0..sure.min(sampled.len())).find(|&i| sampled[i] != self.greedy[i])
    }
}

/// The project's copy of the references of `kind`.
pub fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("reference")
        .join(kind)
}

/// The reference beside `path`, which ends in anything.
pub fn reference(path: &Path) -> Reference {
    let text = fs::read_to_string(path.with_extension("json")).unwrap();
    let mut reference: Reference = serde_json::from_str(&text).unwrap();
    if let Some(zero) = reference.zero.take() {
        (reference.greedy, reference.margin) = (zero.greedy, zero.margin);
    }
    reference
}

/// The logits beside `path`, of a prompt that begins at position 0 where there are others, too.
pub fn logits(path: &Path) -> Vec<f32> {
    let zero = path.with_extension("zero.f32");
    let of_prompt = path.with_extension("f32");
    let bytes = fs::read(if zero.exists() { zero } else { of_prompt }).unwrap();
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

pub fn load(gpu: &Arc<Gpu>, path: &Path, options: &LoadOptions) -> Model {
    load_file(gpu, &ModelFile::open(path).unwrap(), options)
}

pub fn load_file(gpu: &Arc<Gpu>, file: &ModelFile, options: &LoadOptions) -> Model {
    block_on(Model::load(gpu, file, options, &mut |_, _| {
        ControlFlow::Continue(())
    }))
    .unwrap()
}

/// Asserts that the plans of a token and of a pass of 64 use the variants that `gpu` was asked for: at least one
/// dispatch has each of them, and each kernel that runs in one of them does.
pub fn assert_forced(gpu: &Gpu, path: &Path, options: &LoadOptions, names: &[&str]) {
    let file = ModelFile::open(path).unwrap();
    let plans = [1, 64].map(|width| file.plan(gpu, options, width).unwrap());
    let mut missing = names.to_vec();
    for dispatch in plans.iter().flat_map(|plan| &plan.dispatches) {
        let Shader {
            kernel, variant, ..
        } = &dispatch.shader;
        let mut forced = kernel.variants.iter().filter(|v| gpu.supports(v));
        let forced = forced.any(|v| names.contains(&v.name));
        let label = dispatch.shader.label();
        assert_eq!(forced, names.contains(&variant.name), "{names:?}: {label}");
        missing.retain(|name| *name != variant.name);
    }
    assert!(missing.is_empty(), "no dispatch has {missing:?}");
}

pub fn prefill(session: &mut Session, tokens: &[u32]) {
    block_on(session.prefill(tokens, &mut |_, _| ControlFlow::Continue(()))).unwrap();
}

/// Feeds `tokens`; the logits after each.
pub fn prefill_all(session: &mut Session, tokens: &[u32]) -> Vec<f32> {
    let mut all = Vec::new();
    block_on(session.prefill_all(tokens, &mut |_, row| {
        all.extend_from_slice(row);
        ControlFlow::Continue(())
    }))
    .unwrap();
    all
}

pub fn generate(session: &mut Session, count: usize, sampler: &SamplerOptions) -> Vec<u32> {
    let mut sampled = Vec::new();
    block_on(session.generate(count, sampler, &mut |token| {
        sampled.push(token);
        ControlFlow::Continue(())
    }))
    .unwrap();
    sampled
}
