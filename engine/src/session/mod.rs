//! Sessions: rows and the state that layers keep of them. Prefilling and decoding both advance the same state.

pub mod batch;
pub mod check;
mod constrained;
mod copies;
pub mod decode;
pub mod drafts;
mod folder;
mod keeping;
mod kept;
pub(crate) mod memory;
mod pages;
mod perplexity;
mod prefill;
pub mod profile;
mod readback;
pub mod rows;
pub mod sampler;
pub(crate) mod sampling;
pub mod saved;
mod shared;
mod states;
mod stream;
pub mod texts;
pub mod trial;
pub mod tune;

use std::{collections::BTreeMap, sync::Arc};

use memory::{Bound, Compiled, CompiledTokens, Memory};
use readback::ReadbackBatching;
use web_time::Instant;

use crate::{
    Ceilings, Error, Result, Unsupported,
    graph::{Paging, Section},
    plan::{
        cost::Load,
        lowering::LONG,
        plans::Plans,
        run::{CompiledPlan, Segment},
    },
    resident::{
        load::{Loaded, Model},
        lora::Lora,
    },
};

/// Operations a second before any were measured: those of a slow CPU.
const OPERATIONS_PER_SECOND: f64 = 1e10;

/// A sequence of tokens, and what a model's layers keep of it on the GPU. Sessions of a model are independent of each other.
pub struct Session {
    pub(crate) model: Arc<Loaded>,
    tokens: Vec<u32>,
    /// Which of `tokens` were sampled here, and not prefilled.
    sampled: Vec<bool>,
    /// Which of `tokens` the plan for one row computes, and computes again after a rewind: so that both are equal bit for bit.
    decoded: Vec<bool>,
    /// Rows that were given in the place of an embedding's, by position; their tokens mean nothing.
    embedded: BTreeMap<usize, Box<[f32]>>,
    /// How many of `tokens` the states have seen; the last may be missing.
    cached: usize,
    /// Positions from 0 on that were written since the states were empty: rings have lost what lies far before.
    written: usize,
    /// The logits are those after the last token.
    fresh: bool,
    memory: Memory,
    /// LoRAs that are computed beside the model's layers, and the factor on each.
    loras: Vec<(Lora, f32)>,
    compiled: Compiled,
    batching: ReadbackBatching,
    /// How fast the last prefill pass was: so much is submitted at once.
    operations_per_second: f64,
}

impl Model {
    /// A session with an empty cache.
    pub async fn session(&self) -> Result<Session> {
        Session::new(self.0.clone()).await
    }
}

impl Session {
    pub(crate) async fn new(model: Arc<Loaded>) -> Result<Session> {
        let plans = model.plans();
        Session::of(model, plans, (1, None)).await
    }

    /// A session that keeps the state of several sequences, in the blocks of a paged cache where they share one.
    pub(crate) async fn of(
        model: Arc<Loaded>,
        plans: Arc<Plans>,
        room: (u32, Option<Paging>),
    ) -> Result<Session> {
        let memory = Memory::new(&model, &plans, room).await?;
        let compiled = Compiled::new(&model, &memory, &[], &plans).await?;
        let mut session = Session {
            model,
            tokens: vec![],
            sampled: vec![],
            decoded: vec![],
            embedded: BTreeMap::new(),
            cached: 0,
            written: 0,
            fresh: false,
            memory,
            loras: vec![],
            compiled,
            batching: ReadbackBatching::new(0.0),
            operations_per_second: OPERATIONS_PER_SECOND,
        };
        session.batching = ReadbackBatching::new(session.reading_seconds().await?);
        Ok(session)
    }

    /// Computes with these LoRAs from now on, each with a factor on what it adds; with none, as the model is. The
    /// session becomes empty, for its state was made with others.
    ///
    /// # Errors
    /// [`Error::BadInput`] where one was loaded for another model, [`Error::DoesNotFit`] where there is no memory for what
    /// they compute; then nothing is changed.
    pub async fn set_loras(&mut self, loras: &[(Lora, f32)]) -> Result<()> {
        let model = self.model.clone();
        let fits = |(lora, factor): &(Lora, f32)| lora.is_for(&model) && factor.is_finite();
        if !loras.iter().all(fits) {
            return Err(Error::BadInput(
                "a LoRA is of another model, or its factor is not a finite number".into(),
            ));
        }
        let plans = if loras.is_empty() {
            model.plans()
        } else {
            let layouts = loras.iter().map(|(lora, factor)| (lora.layout(), *factor));
            let layouts: Vec<_> = layouts.collect();
            Arc::new(model.builder(&layouts, 1).plans())
        };
        self.compiled = Compiled::new(&model, &self.memory, loras, &plans).await?;
        self.loras = loras.to_vec();
        self.rewind(0)?;
        Ok(())
    }

    /// A session's memory and the model's, for plans that are not the session's own.
    fn bound(&self) -> Bound<'_> {
        Bound {
            model: &self.model,
            memory: &self.memory,
            activations: &self.compiled.activations,
            loras: &self.loras,
        }
    }

    /// The plan of one row at `position`.
    fn decode_at(&self, position: usize) -> &CompiledPlan {
        let Some(tokens) = &self.compiled.tokens else {
            return self.plan_of(1);
        };
        let far = tokens.decode_long.as_ref();
        far.filter(|_| position >= LONG as usize)
            .unwrap_or(&tokens.decode)
    }

    /// The plans that bring tokens.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the model has no logits.
    fn token_plans(&self) -> Result<&CompiledTokens> {
        self.compiled.tokens.as_ref().ok_or_else(no_logits)
    }

    /// The plan of a pass of `rows` rows.
    fn plan_of(&self, rows: u32) -> &CompiledPlan {
        let small = self.compiled.small.as_ref();
        small
            .filter(|small| rows <= small.plan.rows)
            .unwrap_or(&self.compiled.prefill)
    }

    /// A pass of `rows` rows, from tokens or from rows that were given, with the logits of the last, or what else passes
    /// end in, where wanted.
    fn prefill_segments(&self, rows: u32, embedded: bool, ending: bool) -> Vec<Segment<'_>> {
        let sections = [
            (!embedded).then_some(Section::Embed),
            Some(Section::Body),
            ending.then_some(Section::LastLogits),
            ending.then_some(Section::Hidden),
            ending.then_some(Section::Pool),
            ending.then_some(Section::Pooled),
        ];
        let segment = |section| Segment::section(self.plan_of(rows), section, rows);
        sections.into_iter().flatten().map(segment).collect()
    }

    /// Bytes of weights that a decoded token reads: what its dispatches bind, the embedding's one row left out.
    pub fn weight_bytes_read(&self) -> u64 {
        let dispatches = &self.decode_at(0).plan.dispatches;
        dispatches.iter().map(|d| d.cost.bytes).sum()
    }

    /// Work of one more token at `position`, and its seconds on an adapter that reaches its ceilings all the time.
    pub fn decode_load(&self, position: usize, ceilings: &Ceilings) -> (Load, f64) {
        let (plan, position) = (&self.decode_at(position).plan, position as u32);
        (plan.load(1, position), plan.seconds(1, position, ceilings))
    }

    /// Work of a prompt of `tokens` from `position` on, in passes as wide as this model's are, and its seconds on an
    /// adapter that reaches its ceilings all the time.
    pub fn prefill_load(&self, tokens: usize, position: usize, ceilings: &Ceilings) -> (Load, f64) {
        let prefill_batch = self.model.prefill_batch;
        let (mut load, mut seconds) = (Load::default(), 0.0);
        for start in (0..tokens).step_by(prefill_batch) {
            let (count, place) = (
                prefill_batch.min(tokens - start) as u32,
                (position + start) as u32,
            );
            let last = start + prefill_batch >= tokens;
            for segment in self.prefill_segments(count, false, last) {
                for dispatch in &segment.compiled.plan.dispatches[segment.dispatches] {
                    let own = dispatch.load(count, place);
                    load = load.and(own);
                    seconds += own.seconds(ceilings);
                }
            }
        }
        (load, seconds)
    }

    /// Seconds that it takes to read a word from the GPU when that has nothing else to do.
    async fn reading_seconds(&self) -> Result<f64> {
        let gpu = &self.model.gpu;
        gpu.wait().await?;
        let mut min = f64::MAX;
        for _ in 0..2 {
            let start = Instant::now();
            let mut commands = gpu.commands();
            let (ring, readback) = (&self.memory.sampling.sampled, &self.memory.readback);
            commands.copy((ring, 0), (readback, 0), 4);
            commands.submit();
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
        let flags = self.sampled.iter_mut().skip(position);
        flags.for_each(|flag| *flag = true);
    }

    /// How many tokens it holds.
    pub fn position(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens it holds; where rows were given in their place, `u32::MAX`.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens it can hold.
    pub fn context(&self) -> usize {
        self.model.context
    }

    /// Forgets all after the first `position` tokens. Returns how many of those the states still have: the next pass
    /// computes the others again, by itself. They are all where every layer keeps its state by position; a recurrent state
    /// is taken from the nearest copy that was kept of it.
    ///
    /// # Errors
    /// [`Error::BadInput`] where the session holds fewer.
    pub fn rewind(&mut self, position: usize) -> Result<usize> {
        let held = self.tokens.len();
        if position > held {
            return Err(Error::BadInput(format!(
                "cannot rewind to {position}: the session holds {held} tokens"
            )));
        }
        if position < held {
            self.tokens.truncate(position);
            self.sampled.truncate(position);
            self.decoded.truncate(position);
            self.embedded.split_off(&position);
            self.cached = self.cached.min(position);
            self.fresh = false;
            self.memory.states.forget_beyond(position);
            self.drop_lost_rings();
        }
        self.cached = self.memory.states.reachable(self.cached);
        Ok(self.cached)
    }

    /// Where a ring has lost positions that the next token attends to, all are computed again.
    fn drop_lost_rings(&mut self) {
        if self
            .memory
            .states
            .rings_have_lost(self.written, self.cached)
        {
            (self.cached, self.written) = (0, 0);
        }
    }

    /// A second session with the same tokens and states.
    pub async fn fork(&self) -> Result<Session> {
        let mut fork = Session::new(self.model.clone()).await?;
        if !self.loras.is_empty() {
            fork.set_loras(&self.loras).await?;
        }
        let gpu = &self.model.gpu;
        let mut commands = gpu.commands();
        self.memory
            .states
            .copy_to(&mut fork.memory.states, &mut commands);
        let (from, to) = (&self.memory.logits, &fork.memory.logits);
        commands.copy((from, 0), (to, 0), from.size);
        commands.submit();
        gpu.wait().await?;
        fork.tokens.clone_from(&self.tokens);
        fork.sampled.clone_from(&self.sampled);
        fork.decoded.clone_from(&self.decoded);
        fork.embedded.clone_from(&self.embedded);
        (fork.cached, fork.written, fork.fresh) = (self.cached, self.written, self.fresh);
        Ok(fork)
    }
}

/// The error of a call for logits of a model that has none.
fn no_logits() -> Error {
    Error::unsupported(
        Unsupported::Logits,
        "this model has no logits, and makes no text: it makes embeddings (`lantern embed`)",
    )
}
