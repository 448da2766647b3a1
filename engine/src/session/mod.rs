//! Sessions: positions and their cache on the GPU. Feeding prefills, generating decodes; both advance the same cache.

mod cache;
pub mod decode;
mod perplexity;
mod prefill;
pub mod profile;
mod readback;
pub mod sampler;
pub mod saved;
mod stream;
pub mod trial;
pub mod tune;

use std::sync::Arc;

use cache::Cache;
use lantern_kernels::{
    call::{SAMPLED, rows, rows_bytes},
    padded,
};
use readback::ReadbackBatching;
use web_time::Instant;

use crate::{
    Ceilings, Error, Result,
    gpu::{buffer::Buffer, pipeline::BindingResource},
    model::{block::MatrixId, load::Loaded, lora::Lora},
    plan::{
        build::{LONG, Rows, Width},
        cost::Load,
        dispatch::{Binding, Slot},
        run::{CompiledPlan, Lookup},
    },
};

/// Tokens that the ring of sampled tokens holds.
const RING: usize = 64;

/// Operations a second before any were measured: those of a slow CPU.
const OPERATIONS_PER_SECOND: f64 = 1e10;

/// Positions and their cache. Sessions of a model are independent of each other.
pub struct Session {
    pub(crate) model: Arc<Loaded>,
    tokens: Vec<u32>,
    /// Which of `tokens` were sampled here, and not prefilled.
    sampled: Vec<bool>,
    /// How many of `tokens` are in the cache; the last may be missing.
    cached: usize,
    /// Positions from 0 on that were written since the cache was empty: rings have lost what lies far before.
    written: usize,
    /// The logits are those after the last token.
    fresh: bool,
    buffers: Buffers,
    /// What is computed beside the model's layers, and the factor on each.
    loras: Vec<(Lora, f32)>,
    plans: Plans,
    greedy: CompiledPlan,
    sample: CompiledPlan,
    every: Option<Box<prefill::Every>>,
    batching: ReadbackBatching,
    /// How fast the last prefill pass was: so much is submitted at once.
    operations_per_second: f64,
}

/// The plans that read weights.
struct Plans {
    /// One token, with its logits.
    decode: CompiledPlan,
    /// The same far into the context, where that is another plan.
    decode_long: Option<CompiledPlan>,
    /// Many tokens, without.
    prefill: CompiledPlan,
    /// The logits of the last of them.
    head: CompiledPlan,
}

/// What belongs to one session on the GPU.
struct Buffers {
    cache: Cache,
    slots: Vec<(Slot, Buffer)>,
    /// One sampled token, or the last logits, on their way to the CPU.
    readback: Buffer,
}

/// A session's buffers together with the model's.
struct Bound<'s> {
    model: &'s Loaded,
    buffers: &'s Buffers,
    loras: &'s [(Lora, f32)],
}

impl Bound<'_> {
    /// A plane of a piece of a matrix; those of LoRAs have the numbers after the model's own.
    fn weights(&self, id: MatrixId, piece: usize, name: &str) -> BindingResource<'_> {
        let own = self.model.layout.matrices.len();
        let Some(mut left) = id.checked_sub(own) else {
            return self.model.weights(id, piece, name);
        };
        for (lora, _) in self.loras {
            let count = lora.0.matrices.len();
            if left < count {
                return lora.0.weights(left, piece, name);
            }
            left -= count;
        }
        panic!("there is no matrix {id}")
    }
}

impl Lookup for Bound<'_> {
    fn find(&self, binding: Binding, name: &str) -> BindingResource<'_> {
        match binding {
            Binding::Weights(matrix, piece) => self.weights(matrix, piece, name),
            Binding::Vector(index) => self.model.vector(index),
            Binding::Keys(layer) => self.buffers.cache.keys(layer).into(),
            Binding::Values(layer) => self.buffers.cache.values(layer).into(),
            Binding::Slot(slot) => {
                let shared = self.model.slot(slot);
                shared.unwrap_or_else(|| self.buffers.slot(slot).into())
            }
        }
    }
}

impl Plans {
    async fn new(model: &Loaded, buffers: &Buffers, loras: &[(Lora, f32)]) -> Result<Plans> {
        let builder = model.builder_with(loras);
        let prefill = Width::Prefill(model.prefill_batch as u32);
        let bound = Bound {
            model,
            buffers,
            loras,
        };
        let ready = async |plan| CompiledPlan::new(&model.gpu, plan, &bound).await;
        Ok(Plans {
            decode: ready(builder.step(Width::Decode)).await?,
            decode_long: if builder.splits() {
                Some(ready(builder.step(Width::DecodeLong)).await?)
            } else {
                None
            },
            prefill: ready(builder.body(prefill)).await?,
            head: ready(builder.head(prefill, Rows::Last)).await?,
        })
    }
}

impl Buffers {
    /// Slots that LoRAs of up to `rank` need.
    async fn make_room(&mut self, model: &Loaded, rank: u32) -> Result<()> {
        // Each expert that a token uses has rows of its own.
        let top_k = model.config.experts.map_or(1, |experts| experts.top_k);
        let rows = model.prefill_batch.next_multiple_of(8) as u64 * u64::from(top_k);
        let row = |width: u32| rows * u64::from(padded(width)) * 4;
        let both = row(2 * model.config.ffn_dim);
        for (slot, size) in [
            (Slot::Rank, row(rank)),
            (Slot::GateUp, both),
            (Slot::Delta, both),
        ] {
            let there = self
                .slots
                .iter()
                .position(|(s, buffer)| *s == slot && buffer.size >= size);
            if there.is_none() && rank > 0 {
                self.slots.retain(|(s, _)| *s != slot);
                let buffer = model.gpu.storage_or_uniform(slot.name(), size).await?;
                self.slots.push((slot, buffer));
            }
        }
        Ok(())
    }

    async fn new(model: &Loaded) -> Result<Buffers> {
        let logits_bytes = u64::from(padded(model.config.vocab_size)) * 4;
        let sizes = [
            (Slot::Rows, rows_bytes(model.prefill_batch as u64)),
            (Slot::Sampled, RING as u64 * 4),
            (Slot::Logits, logits_bytes),
            (Slot::Scores, logits_bytes),
            (Slot::Seen, logits_bytes),
            (Slot::Parts, model.builder().parts_bytes()),
        ];
        let mut slots = Vec::new();
        for (slot, size) in sizes {
            slots.push((slot, model.gpu.storage(slot.name(), size).await?));
        }
        let readback = model.gpu.readback("readback", logits_bytes).await?;
        Ok(Buffers {
            cache: Cache::new(model).await?,
            slots,
            readback,
        })
    }

    fn slot(&self, slot: Slot) -> &Buffer {
        let found = self.slots.iter().find(|(s, _)| *s == slot);
        &found
            .unwrap_or_else(|| panic!("a session has no slot {slot:?}"))
            .1
    }
}

impl Session {
    pub(crate) async fn new(model: Arc<Loaded>) -> Result<Session> {
        let buffers = Buffers::new(&model).await?;
        let plans = Plans::new(&model, &buffers, &[]).await?;
        let builder = model.builder();
        let bound = Bound {
            model: &model,
            buffers: &buffers,
            loras: &[],
        };
        let neutral = sampler::SamplerOptions::greedy().params(model.config.vocab_size);
        let greedy = CompiledPlan::new(&model.gpu, builder.greedy(), &bound).await?;
        let sample = CompiledPlan::new(&model.gpu, builder.sample(&neutral), &bound).await?;
        let mut session = Session {
            model,
            tokens: vec![],
            sampled: vec![],
            cached: 0,
            written: 0,
            fresh: false,
            buffers,
            loras: vec![],
            plans,
            greedy,
            sample,
            every: None,
            batching: ReadbackBatching::new(0.0),
            operations_per_second: OPERATIONS_PER_SECOND,
        };
        session.every = Some(Box::new(session.make_every(&[]).await?));
        session.batching = ReadbackBatching::new(session.reading_seconds().await?);
        Ok(session)
    }

    /// Computes with these LoRAs from now on, each with a factor on what it adds; with none, as the model is. The
    /// session becomes empty, for its cache was made with others.
    ///
    /// # Errors
    /// [`Error::BadInput`] where one was loaded for another model; then nothing is changed.
    pub async fn set_loras(&mut self, loras: &[(Lora, f32)]) -> Result<()> {
        let model = self.model.clone();
        if !loras
            .iter()
            .all(|(lora, factor)| lora.is_for(&model) && factor.is_finite())
        {
            return Err(Error::BadInput(
                "a LoRA adapter is of another model, or its factor is no number".into(),
            ));
        }
        let rank = loras.iter().map(|(lora, _)| lora.0.rank()).max();
        self.buffers.make_room(&model, rank.unwrap_or(0)).await?;
        let plans = Plans::new(&model, &self.buffers, loras).await?;
        self.every = Some(Box::new(self.make_every(loras).await?));
        (self.plans, self.loras) = (plans, loras.to_vec());
        self.rewind(0)
    }

    /// The plan of one token at `position`.
    fn decode_at(&self, position: usize) -> &CompiledPlan {
        let far = self.plans.decode_long.as_ref();
        far.filter(|_| position >= LONG as usize)
            .unwrap_or(&self.plans.decode)
    }

    /// Bytes of weights that a decoded token reads: what its dispatches bind, the embedding's one row left out.
    pub fn weight_bytes_read(&self) -> u64 {
        let dispatches = &self.plans.decode.plan.dispatches;
        dispatches.iter().map(|d| d.cost.bytes).sum()
    }

    /// What one more token takes at `position`, and how long that is on an adapter that reaches its ceilings all the time.
    pub fn decode_load(&self, position: usize, ceilings: &Ceilings) -> (Load, f64) {
        let (plan, position) = (&self.decode_at(position).plan, position as u32);
        (plan.load(1, position), plan.seconds(1, position, ceilings))
    }

    /// The same for a prompt of `tokens` from `position` on, in passes as wide as this model's are.
    pub fn prefill_load(&self, tokens: usize, position: usize, ceilings: &Ceilings) -> (Load, f64) {
        let (head, prefill_batch) = (&self.plans.head.plan, self.model.prefill_batch);
        let mut all = (head.load(1, 0), head.seconds(1, 0, ceilings));
        for start in (0..tokens).step_by(prefill_batch) {
            let (count, place) = (
                prefill_batch.min(tokens - start) as u32,
                (position + start) as u32,
            );
            let plan = &self.plans.prefill.plan;
            all.0 = all.0.and(plan.load(count, place));
            all.1 += plan.seconds(count, place, ceilings);
        }
        all
    }

    /// Seconds that it takes to read a word from the GPU when that has nothing else to do.
    async fn reading_seconds(&self) -> Result<f64> {
        let gpu = &self.model.gpu;
        gpu.wait().await?;
        let mut min = f64::MAX;
        for _ in 0..2 {
            let start = Instant::now();
            let mut encoder = gpu.encoder();
            let (ring, readback) = (self.buffers.slot(Slot::Sampled), &self.buffers.readback);
            encoder.copy_buffer_to_buffer(&ring.raw, 0, &readback.raw, 0, 4);
            gpu.submit(encoder);
            gpu.map_words(readback, 1).await?;
            min = min.min(start.elapsed().as_secs_f64());
        }
        Ok(min)
    }

    /// Samples so many tokens (at most 16) before reading them from the GPU; none: as suits what a reading costs here.
    pub fn set_tokens_per_readback(&mut self, tokens: Option<usize>) {
        self.batching.fix(tokens);
    }

    /// The most tokens that were sampled for one reading so far.
    pub fn tokens_per_readback(&self) -> usize {
        self.batching.largest()
    }

    /// Takes the tokens from `position` on for ones that were sampled here, as penalties count them: an answer goes on that
    /// was begun in another session.
    pub fn mark_sampled(&mut self, position: usize) {
        self.sampled
            .iter_mut()
            .skip(position)
            .for_each(|d| *d = true);
    }

    /// How many tokens it holds.
    pub fn position(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens it holds.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens it can hold.
    pub fn context(&self) -> usize {
        self.model.context
    }

    /// Forgets all after the first `position` tokens.
    pub fn rewind(&mut self, position: usize) -> Result<()> {
        let held = self.tokens.len();
        if position > held {
            return Err(Error::BadInput(format!(
                "cannot rewind to {position}: the session holds {held} tokens"
            )));
        }
        if position < held {
            self.tokens.truncate(position);
            self.sampled.truncate(position);
            self.cached = self.cached.min(position);
            self.fresh = false;
            self.keep_rings();
        }
        Ok(())
    }

    /// Where a ring has lost positions that the next token attends to, all are computed again.
    fn keep_rings(&mut self) {
        let model = &self.model;
        let lost = |layer| {
            let Some(window) = model.config.window_of(layer) else {
                return false;
            };
            let kept_from = self.written.saturating_sub(model.cells(layer));
            // The last token may be computed again, too.
            kept_from > self.cached.saturating_sub(window as usize + 1)
        };
        if (0..model.config.layers).any(lost) {
            (self.cached, self.written) = (0, 0);
        }
    }

    /// A second session with the same tokens and cache.
    pub async fn fork(&self) -> Result<Session> {
        let mut fork = Session::new(self.model.clone()).await?;
        if !self.loras.is_empty() {
            fork.set_loras(&self.loras).await?;
        }
        let gpu = &self.model.gpu;
        let mut encoder = gpu.encoder();
        self.buffers
            .cache
            .copy_to(&fork.buffers.cache, &mut encoder);
        let (from, to) = (
            self.buffers.slot(Slot::Logits),
            fork.buffers.slot(Slot::Logits),
        );
        encoder.copy_buffer_to_buffer(&from.raw, 0, &to.raw, 0, from.size);
        gpu.submit(encoder);
        gpu.wait().await?;
        fork.tokens.clone_from(&self.tokens);
        fork.sampled.clone_from(&self.sampled);
        (fork.cached, fork.written, fork.fresh) = (self.cached, self.written, self.fresh);
        Ok(fork)
    }

    /// Writes the rows of the next pass: tokens from `position` on, after `sampled` tokens of this generation.
    fn write_rows(&self, tokens: impl Iterator<Item = u32>, position: usize, sampled: usize) {
        let row = |(i, token)| (token, (position + i) as u32, 0);
        let mut rows = rows(&tokens.enumerate().map(row).collect::<Vec<_>>());
        rows[SAMPLED] = sampled as u32;
        let buffer = &self.buffers.slot(Slot::Rows).raw;
        let queue = &self.model.gpu.queue;
        queue.write_buffer(buffer, 0, bytemuck::cast_slice(&rows));
    }
}
