//! Before a model is downloaded or loaded: whether it fits an adapter, and how fast it will be. A model of the same shapes
//! with a few layers and random weights is run; all layers take as many times longer as there are more of them.

use std::{ops::ControlFlow, sync::Arc};

use serde::Serialize;

use super::options::BenchOptions;
use crate::{
    Config, Gpu, LoadOptions, Model, ModelFile, Result,
    graph::StateSpec,
    model::{
        layout::Layout,
        mixer,
        weights::{Matrix, PieceLimits},
    },
};

/// Layers that are run at least, where there are so many, and bytes of weights that a token then reads at least: what a
/// cache holds is faster than what a whole model is read from.
const LAYERS: u32 = 4;
const BYTES: u64 = 64 << 20;
/// Tokens of the prompt at most; a pass of it, where a pass has fewer.
const PROMPT: usize = 128;
/// Tokens that are really sampled: a token takes the same each time.
const SAMPLED: usize = 16;
const REPETITIONS: usize = 3;

/// Memory that a model would take on an adapter, and its expected speed.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// The model's name.
    pub name: String,
    /// Its family.
    pub family: String,
    /// The adapter's name.
    pub adapter: String,
    /// Bytes of its file, or files.
    pub file_bytes: u64,
    /// Bytes of its matrices on the GPU.
    pub weight_bytes: u64,
    /// Bytes of them that stay in the file where memory is short: tables, of which passes read rows.
    pub tables_bytes: u64,
    /// Bytes of the cache of a session with `context` positions.
    pub cache_bytes: u64,
    /// Bytes of it that are recurrent states, whatever the length of a sequence.
    pub state_bytes: u64,
    /// Bytes of all else: activations, logits, parameters.
    pub workspace_bytes: u64,
    /// The largest buffer that a shader sees at once, and how large it may be.
    pub largest_binding_bytes: u64,
    /// See `largest_binding_bytes`.
    pub binding_limit_bytes: u64,
    /// Bytes that there are; none where the adapter does not say, which only those that are a CPU do.
    pub memory_bytes: Option<u64>,
    /// True where it fits, maybe with tables in the file; none where the memory is not known.
    pub fits: Option<bool>,
    /// Positions that were asked for.
    pub context: usize,
    /// Positions that it was trained for.
    pub context_trained: u32,
    /// Positions that there is room for, by the adapter's limits and its memory where that is known.
    pub context_possible: usize,
    /// Tokens a second of a prompt, of as many tokens as fit a pass, 128 at most; and of tokens sampled after none.
    pub prefill_tokens_per_second: f64,
    /// See `prefill_tokens_per_second`.
    pub decode_tokens_per_second: f64,
}

impl Gpu {
    /// Estimates memory and speed of the model of `file` on this GPU; of the file only the header is read. `each` is asked
    /// now and then whether to stop.
    ///
    /// # Errors
    /// Errors of loading the model: a family or a stored type that is not run, a context that no binding holds.
    pub async fn estimate(
        self: &Arc<Gpu>,
        file: &ModelFile,
        options: &LoadOptions,
        each: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Estimate> {
        let config = Config::of(file)?;
        let layout = Layout::of(PieceLimits::of(self), file, &config)?;
        let context = file.context(options)?;
        let weight_bytes: u64 = layout.weight_bytes();
        let prefill_batch = file.prefill_batch(self, options)?;
        let shape = mixer::Shape {
            context: context as u32,
            cache: options.cache_type(),
            prefill_batch: prefill_batch as u32,
        };
        let states = mixer::states(&config, 0..config.layers, &shape);
        let cache_bytes = states.iter().map(|state| state.bytes(1)).sum();
        // Bytes of another position, of a layer at least.
        let growing = states.iter().map(StateSpec::growing_bytes).sum::<u64>();
        let position = states.iter().map(StateSpec::position_bytes).max();
        let growing = growing.max(position.unwrap_or(0)).max(1);
        let memory_bytes = self.memory_bytes();

        let tables = layout.tables_alone().map(|id| layout.matrices[id].bytes());
        let tables_bytes: u64 = tables.sum();

        let small = self.small(file, options, each).await?;
        // Packed weights may take more than those in the file.
        let workspace_bytes = small.rest_bytes + stored(&layout).saturating_sub(weight_bytes);
        let limit = self.adapter().limits.max_storage_buffer_binding_size;
        let max = self.max_context(&config, options.cache_type());
        let least = weight_bytes - tables_bytes + workspace_bytes;
        let by_memory =
            memory_bytes.map_or(u64::MAX, |memory| memory.saturating_sub(least) / growing);
        let largest = layout
            .matrices
            .iter()
            .flat_map(|matrix| matrix.pieces.iter().map(|&piece| matrix.planes(piece).1));
        let largest_state = states.iter().map(|state| state.bytes(1)).max();
        Ok(Estimate {
            adapter: self.adapter().name.clone(),
            file_bytes: file.len(),
            weight_bytes,
            tables_bytes,
            cache_bytes,
            state_bytes: config.state_bytes(),
            workspace_bytes,
            largest_binding_bytes: largest.max().unwrap_or(0).max(largest_state.unwrap_or(0)),
            binding_limit_bytes: limit,
            memory_bytes,
            fits: if context as u64 > max {
                Some(false) // loading refuses it
            } else {
                memory_bytes.map(|memory| least + cache_bytes <= memory)
            },
            context,
            context_trained: config.context,
            context_possible: max.min(by_memory) as usize,
            prefill_tokens_per_second: small.prefill,
            decode_tokens_per_second: small.decode,
            name: config.name,
            family: config.family,
        })
    }

    /// Runs a model of the same shapes with few layers.
    async fn small(
        self: &Arc<Gpu>,
        file: &ModelFile,
        options: &LoadOptions,
        each: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Small> {
        let layers = Config::of(file)?.layers;
        let one = file.synthetic_layers(1)?.len();
        let layer = file.synthetic_layers(2)?.len().saturating_sub(one).max(1);
        let enough = BYTES.saturating_sub(one).div_ceil(layer) + 1;
        let some = (enough.min(u64::from(layers)) as u32).max(LAYERS.min(layers));
        let synthetic = file.synthetic_layers(some)?;
        let prompt = PROMPT.min(file.prefill_batch(self, options)?);
        let bench = BenchOptions::default()
            .prompt(vec![prompt])
            .generated(vec![SAMPLED])
            .repetitions(REPETITIONS);
        // A short context: its cost is known from the sizes.
        let short = options.clone().context(bench.positions()).gpu_memory(None);
        let before = self.counters().gpu_bytes;
        let model = Model::load(self, &synthetic, &short, &mut |_, _| each()).await?;
        model.try_variants(f64::INFINITY, &mut |_| each()).await?;
        let mut session = model.session().await?;
        let used = self.counters().gpu_bytes - before;
        let measured = session.bench(&bench, &mut |_, _| each()).await?;
        let head = session.head_seconds().await?;
        let speed = |row: usize, units: usize, head: f64| {
            let rate = &measured.rows[row].tokens_per_second;
            rate.reckoned(units as f64, head, some, layers).mean
        };
        Ok(Small {
            rest_bytes: used.saturating_sub(stored(&model.0.layout) + model.cache_bytes()),
            prefill: speed(0, prompt, head.prompt),
            decode: speed(1, 1, head.token),
        })
    }
}

/// Bytes of matrices on the GPU.
fn stored(layout: &Layout) -> u64 {
    layout.matrices.iter().map(Matrix::stored_bytes).sum()
}

/// Memory and speeds of the whole model, reckoned from a run with few of its layers.
struct Small {
    /// Bytes of all but matrices and cache.
    rest_bytes: u64,
    prefill: f64,
    decode: f64,
}
