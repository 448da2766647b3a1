//! TEMPORARY signatures while the engine is written: this file goes away when the real modules have them.
#![allow(missing_docs, unused_variables, clippy::unused_async, clippy::needless_pass_by_value)]
use std::{ops::ControlFlow, sync::Arc};

use serde::Serialize;

use crate::{Result, file::ModelFile, text::{ChatTemplate, Tokenizer}};

/// One adapter, as `lantern devices` lists it.
#[derive(Debug, Clone, Serialize)]
pub struct AdapterDescription {
    pub index: usize,
    pub name: String,
    pub backend: String,        // "vulkan", "metal", "dx12", "gl", "browser"
    pub kind: String,           // "discrete", "integrated", "software", "virtual", "other"
    pub driver: String,
    pub driver_info: String,
    pub limits: AdapterLimits,
    pub features: AdapterFeatures,
}
#[derive(Debug, Clone, Serialize)]
pub struct AdapterLimits {
    pub max_storage_buffer_binding_size: u64,
    pub max_buffer_size: u64,
    pub max_compute_invocations_per_workgroup: u32,
    pub max_compute_workgroup_storage_size: u32,
    pub max_storage_buffers_per_shader_stage: u32,
}
#[derive(Debug, Clone, Serialize)]
pub struct AdapterFeatures {
    pub shader_f16: bool,
    pub subgroups: bool,
    pub subgroup_size: (u32, u32), // least and most
    pub timestamps: bool,
}

#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Name (part of it, any case) or index of the adapter; None: LANTERN_ADAPTER is the caller's job, then discrete before integrated before software.
    pub adapter: Option<String>,
}
pub struct Engine;
impl Engine {
    pub async fn adapters() -> Vec<AdapterDescription> { todo!() }
    pub async fn new(options: &EngineOptions) -> Result<Engine> { todo!() }
    pub fn adapter(&self) -> &AdapterDescription { todo!() }
    pub fn counters(&self) -> Counters { todo!() }
}
/// Counted since the engine was made.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Counters {
    pub dispatches: u64, pub passes: u64, pub submissions: u64, pub readbacks: u64,
    pub buffers_created: u64, pub bind_groups_created: u64, pub pipelines_compiled: u64,
    pub gpu_bytes: u64,
}

impl ModelFile {
    pub fn config(&self) -> Result<Config> { todo!() }
    pub fn tokenizer(&self) -> Result<Tokenizer> { todo!() }
    /// None where the file has no template.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>> { todo!() }
}
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    pub family: String, pub name: String, pub layers: u32, pub width: u32, pub heads: u32, pub kv_heads: u32, pub head_size: u32,
    pub ffn_width: u32, pub vocabulary: u32, pub context: u32, pub rope_base: f32, pub norm_epsilon: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Precision { #[default] Default, Exact }
#[derive(Debug, Clone)]
pub struct LoadOptions { pub precision: Precision, /** None: the model's own, at most 4096 */ pub context: Option<usize>, /** tokens a prefill pass */ pub chunk: Option<usize> }
pub struct Model;
impl Model {
    /// `progress(done, total)` in bytes of weights; Break stops with Error::Aborted.
    pub async fn load(engine: &Arc<Engine>, file: &ModelFile, options: &LoadOptions, progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>) -> Result<Model> { todo!() }
    pub fn config(&self) -> &Config { todo!() }
    pub fn context(&self) -> usize { todo!() }
    /// The dispatches of one decoded token (width 1) or of a prefill pass, one line each.
    pub fn plan_text(&self, width: usize) -> Result<String> { todo!() }
    pub fn session(&self) -> Result<Session> { todo!() }
    pub fn weight_bytes(&self) -> u64 { todo!() }
}

/// Positions and their cache. Sessions of a model are independent.
pub struct Session;
impl Session {
    pub fn position(&self) -> usize { todo!() }
    pub fn tokens(&self) -> &[u32] { todo!() }
    pub fn context(&self) -> usize { todo!() }
    /// Prefill: `progress(done, total)` in tokens after every chunk; Break stops with Error::Aborted after that chunk.
    pub async fn feed(&mut self, tokens: &[u32], progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>) -> Result<()> { todo!() }
    /// As feed, and hands out the logits (n_vocab) after every token, in order: sink(position, logits).
    pub async fn feed_all(&mut self, tokens: &[u32], sink: &mut dyn FnMut(usize, &[f32]) -> ControlFlow<()>) -> Result<()> { todo!() }
    /// Logits after the last token fed.
    pub async fn logits(&mut self) -> Result<Vec<f32>> { todo!() }
    /// Draws up to `count` tokens after the last one fed, feeding each; `each(token)` sees every one as it comes, Break stops after it.
    /// Stops by itself when the context is full.
    pub async fn generate(&mut self, count: usize, sampler: &SamplerOptions, each: &mut dyn FnMut(u32) -> ControlFlow<()>) -> Result<Generated> { todo!() }
    /// Forgets all after the first `position` tokens.
    pub fn rewind(&mut self, position: usize) -> Result<()> { todo!() }
    /// A second session with the same tokens and cache.
    pub async fn fork(&self) -> Result<Session> { todo!() }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Generated { /** `count` tokens were drawn */ Count, /** the callback said so */ Stopped, /** no room in the context */ ContextFull }

/// temperature 0 is greedy. Order: penalties, top-k, top-p, min-p, temperature.
#[derive(Debug, Clone, Serialize)]
pub struct SamplerOptions {
    pub temperature: f32, pub top_k: u32, pub top_p: f32, pub min_p: f32,
    pub repeat_penalty: f32, pub frequency_penalty: f32, pub presence_penalty: f32,
    pub seed: u64,
}
impl SamplerOptions { pub fn validate(&self) -> Result<()> { todo!() } }
