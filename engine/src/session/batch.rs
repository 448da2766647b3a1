//! Sequences that go on in the same passes: each has a prompt, computed in slices, and then a token at a time with those of
//! the others. Whoever calls this decides whose turn it is.

use std::{ops::ControlFlow, path::Path};

use super::{
    Session, kept::Kept, prefill::not_finite, rows::Row, sampler::SamplerOptions,
    shared::SharedCache,
};
use crate::{
    Error, Model, Result,
    graph::{Paging, Section},
    plan::{lowering::ALL_LOGITS_ROWS, run::Segment},
    text::Next,
};

/// Positions of a block at most.
const BLOCK_MAX: u32 = 1024;

/// Sequences of one model, each with at most the model's context, in a cache that they share: a beginning that was computed
/// once is not computed again.
pub struct Batch {
    session: Session,
    cache: SharedCache,
    sequences: Vec<Sequence>,
    /// The sequences whose next rows lie on the GPU, as the last pass sampled them, and how many passes did so since the CPU
    /// wrote them.
    sampled: (Vec<u32>, usize),
}

/// Options of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchOptions {
    /// Sequences that go on in the same passes: 16 at most.
    pub sequences: u32,
    /// Positions of a block of the cache.
    pub block: u32,
    /// Positions of all sequences together; none: as many contexts as there are sequences, or what memory there is.
    pub positions: Option<usize>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        BatchOptions {
            sequences: 4,
            block: 32,
            positions: None,
        }
    }
}

impl BatchOptions {
    /// Lets so many sequences go on.
    #[must_use]
    pub fn sequences(mut self, sequences: u32) -> Self {
        self.sequences = sequences;
        self
    }

    /// Keeps the cache in blocks of so many positions.
    #[must_use]
    pub fn block(mut self, positions: u32) -> Self {
        self.block = positions;
        self
    }

    /// Keeps so many positions of all sequences together.
    #[must_use]
    pub fn positions(mut self, positions: usize) -> Self {
        self.positions = Some(positions);
        self
    }
}

/// Tokens of a sequence, and what of them is computed.
#[derive(Clone, Default)]
struct Sequence {
    tokens: Vec<u32>,
    /// Flags of the tokens that were sampled.
    sampled: Vec<bool>,
    /// Tokens of the prompt.
    prompt: usize,
    /// Tokens that the states have seen.
    cached: usize,
    /// The likeliest token is taken, whatever was seen.
    greedy: bool,
}

impl Model {
    /// Room for `count` sequences that go on in the same passes.
    ///
    /// # Errors
    /// As [`Model::batch_with`].
    pub async fn batch(&self, count: u32) -> Result<Batch> {
        self.batch_with(&BatchOptions::default().sequences(count))
            .await
    }

    /// Room for sequences that go on in the same passes.
    ///
    /// # Errors
    /// [`Error::BadInput`] for none or more than 16, or blocks of no positions; [`Error::Unsupported`] where the model streams
    /// or has no logits, [`Error::DoesNotFit`] where the states of one sequence do not fit the GPU.
    pub async fn batch_with(&self, options: &BatchOptions) -> Result<Batch> {
        let (count, block) = (options.sequences, options.block);
        if !(1..=ALL_LOGITS_ROWS).contains(&count) {
            return Err(Error::BadInput(format!(
                "1 to {ALL_LOGITS_ROWS} sequences go on in the same passes, not {count}"
            )));
        }
        if !(1..=BLOCK_MAX).contains(&block) {
            return Err(Error::BadInput(format!(
                "blocks of a cache have 1 to {BLOCK_MAX} positions, not {block}"
            )));
        }
        // Two at least: there the plans are that sample after each row.
        let room = count.max(2);
        let context = self.0.context as u64;
        let specs = self.0.builder(&[], room).states();
        let max_binding = self.0.gpu.adapter().limits.max_storage_buffer_binding_size;
        let mut positions = options
            .positions
            .map_or(context * u64::from(count), |positions| positions as u64)
            .max(context);
        loop {
            let sizes = (self.0.context as u32, room);
            let paging = Paging::new((block, positions), sizes, &specs, max_binding);
            let made = self.batch_in(paging, room, count).await;
            match made {
                Err(Error::DoesNotFit { .. }) if positions > context => {
                    positions = (positions / 2).max(context);
                }
                made => return made,
            }
        }
    }

    async fn batch_in(&self, paging: Paging, room: u32, count: u32) -> Result<Batch> {
        let session = self.session_of_several(room, Some(paging)).await?;
        Ok(Batch {
            cache: SharedCache::new(&session, paging, room).await?,
            session,
            sequences: (0..count).map(|_| Sequence::default()).collect(),
            sampled: (Vec::new(), 0),
        })
    }
}

impl Batch {
    /// How many sequences there are.
    pub fn count(&self) -> u32 {
        self.sequences.len() as u32
    }

    /// Tokens that each sequence can hold.
    pub fn context(&self) -> usize {
        self.session.context()
    }

    /// The tokens of a sequence.
    pub fn tokens(&self, sequence: u32) -> &[u32] {
        &self.sequences[sequence as usize].tokens
    }

    /// Counts the tokens of a prompt, from its first on, that need not be computed again.
    pub fn known(&self, tokens: &[u32]) -> usize {
        match tokens.len() {
            0 => 0,
            count => self.cache.known(tokens, count - 1),
        }
    }

    /// Blocks of the cache that sequences hold, and all.
    pub fn blocks(&self) -> (usize, usize) {
        self.cache.used()
    }

    /// Keeps blocks and states in files of this folder, of up to so many bytes: those that [`Batch::save`] writes. A beginning
    /// that they are of is not computed again, in another program neither.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder can be neither read nor made.
    pub async fn keep_in(&mut self, folder: &Path, bytes_max: u64) -> Result<()> {
        self.cache.keep_in(&self.session, folder, bytes_max).await
    }

    /// Writes a block, or a copy of states, that no sequence holds and the folder does not have. False where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written; whatever the device reports.
    pub async fn save(&mut self) -> Result<bool> {
        self.cache.save(&self.session).await
    }

    /// Files that could not be read since this was last asked, and why.
    pub fn refused_files(&mut self) -> Vec<Error> {
        let kept = self.cache.kept.as_mut();
        kept.map(Kept::refused).unwrap_or_default()
    }

    /// Whether there is room for these tokens, and for one more, beside what sequences hold.
    pub fn has_room(&self, tokens: &[u32]) -> bool {
        let pass = self.session.model.prefill_batch;
        self.cache.has_room(tokens, pass)
    }

    /// Gives a sequence a new prompt, and how its tokens are sampled; what is known of the prompt, from any sequence, is not
    /// computed again. `constrained`: the caller says before each token which may follow. Returns how many tokens are known.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a token that there is not, or no tokens; [`Error::ContextFull`]. Then nothing is changed.
    pub fn start(
        &mut self,
        sequence: u32,
        prompt: &[u32],
        sampler: &SamplerOptions,
        constrained: bool,
    ) -> Result<usize> {
        sampler.validate()?;
        let (config, context) = (&self.session.model.config, self.context());
        if prompt.is_empty() {
            return Err(Error::BadInput("the prompt has no tokens".into()));
        }
        crate::resident::about::admit(prompt, prompt.len(), config.vocab_size, context)?;
        let held = prompt.iter().map(|&token| (token, false));
        let (gpu, sampling) = (&self.session.model.gpu, &self.session.memory.sampling);
        sampling.write(gpu, sequence, (sampler, constrained), held)?;
        self.release(sequence);
        let known = self.cache.begin_with_files(&self.session, sequence, prompt);
        self.sequences[sequence as usize] = Sequence {
            tokens: prompt.to_vec(),
            sampled: vec![false; prompt.len()],
            prompt: prompt.len(),
            cached: known,
            greedy: sampler.is_greedy() && !constrained,
        };
        Ok(known)
    }

    /// Ends a sequence. What it has computed stays known until the room is needed.
    pub fn release(&mut self, sequence: u32) {
        self.pause(sequence);
        self.sequences[sequence as usize] = Sequence::default();
    }

    /// Lets go of what a sequence has computed, to make room for others: it has its tokens to compute again, as far as they
    /// are not known any more.
    pub fn pause(&mut self, sequence: u32) {
        let own = &mut self.sequences[sequence as usize];
        let computed = &own.tokens[..own.cached];
        self.cache.release(&self.session, sequence, computed);
        own.cached = 0;
        self.sampled.0.clear();
    }

    /// Gives `to`, in the place of what it holds, all that `from` holds: nothing is computed or copied until they differ. How
    /// its next tokens are sampled is as in [`Batch::start`].
    ///
    /// # Errors
    /// [`Error::BadInput`] where a bias is for a token that there is not; then nothing is changed.
    pub fn fork(
        &mut self,
        (from, to): (u32, u32),
        sampler: &SamplerOptions,
        constrained: bool,
    ) -> Result<()> {
        sampler.validate()?;
        let own = self.sequences[from as usize].clone();
        let held = own.tokens.iter().copied().zip(own.sampled.iter().copied());
        let (gpu, sampling) = (&self.session.model.gpu, &self.session.memory.sampling);
        sampling.write(gpu, to, (sampler, constrained), held)?;
        if from != to {
            self.release(to);
            self.cache.fork(&self.session, from, to);
        }
        self.sequences[to as usize] = Sequence {
            greedy: sampler.is_greedy() && !constrained,
            ..own
        };
        self.sampled.0.clear();
        Ok(())
    }

    /// Says which tokens a sequence may have next, where it was started as constrained.
    pub fn allow(&self, sequence: u32, next: &Next<'_>) {
        let (gpu, sampling) = (&self.session.model.gpu, &self.session.memory.sampling);
        sampling.allow(gpu, sequence, next);
    }

    /// Adds tokens to a sequence that were not sampled from its logits, but count as if they were.
    ///
    /// # Errors
    /// [`Error::ContextFull`], [`Error::BadInput`] for a token that there is not; then nothing is changed.
    pub fn force(&mut self, sequence: u32, tokens: &[u32]) -> Result<()> {
        let (config, context) = (&self.session.model.config, self.context());
        let own = &mut self.sequences[sequence as usize];
        let all = own.tokens.len() + tokens.len();
        crate::resident::about::admit(tokens, all, config.vocab_size, context)?;
        own.tokens.extend(tokens);
        own.sampled.resize(all, true);
        let held = own.tokens.iter().copied();
        let held = held.zip(own.sampled.iter().copied());
        let (gpu, sampling) = (&self.session.model.gpu, &self.session.memory.sampling);
        sampling.write_seen(gpu, sequence, held);
        self.sampled.0.clear();
        Ok(())
    }

    /// Tokens of a sequence that are not computed.
    pub fn pending(&self, sequence: u32) -> usize {
        let own = &self.sequences[sequence as usize];
        own.tokens.len() - own.cached
    }

    /// Computes up to `rows` of a sequence's tokens that are not. With the last of them it samples the next token, which it
    /// returns, and adds to the sequence.
    ///
    /// # Errors
    /// [`Error::CacheFull`] where other sequences hold the room that it needs; then nothing is changed.
    /// [`Error::NotFinite`], and whatever the device reports; then the sequence holds nothing any more.
    pub async fn prefill(&mut self, sequence: u32, rows: usize) -> Result<Option<u32>> {
        let prefilled = self.slice(sequence, rows).await;
        if !matches!(prefilled, Ok(_) | Err(Error::CacheFull { .. })) {
            self.cache.drop(sequence);
            self.sequences[sequence as usize] = Sequence::default();
        }
        prefilled
    }

    async fn slice(&mut self, sequence: u32, rows: usize) -> Result<Option<u32>> {
        self.sampled.0.clear();
        let session = &self.session;
        let own = &mut self.sequences[sequence as usize];
        own.cached += if own.cached == 0 {
            self.cache.begin_with_files(session, sequence, &own.tokens)
        } else {
            self.cache.adopt(session, sequence, &own.tokens)
        };
        let first = own.cached;
        let count = rows.clamp(1, session.model.prefill_batch);
        let stop = self.cache.stop(first, own.prompt);
        let count = count.min(own.tokens.len() - first).min(stop - first);
        self.cache.grow(session, sequence, first + count)?;
        let own = &self.sequences[sequence as usize];
        let last = first + count == own.tokens.len();
        let pass = own.tokens[first..][..count].iter().zip(first as u32..);
        let pass = pass.map(|(&token, position)| Row {
            token,
            position,
            sequence,
        });
        session.write_pass(&pass.collect::<Vec<_>>()).await?;
        let segments = session.prefill_segments(count as u32, false, last);
        session
            .run(&segments, first, session.operations_at_once())
            .await?;
        let token = if last {
            Some(self.sample_last(sequence).await?)
        } else {
            session.model.gpu.wait().await?;
            None
        };
        let own = &mut self.sequences[sequence as usize];
        own.cached += count;
        let computed = &own.tokens[..own.cached];
        let keep = own.cached == stop || own.cached == own.prompt;
        self.cache.wrote(&self.session, sequence, computed, keep);
        own.push(token);
        Ok(token)
    }

    /// Samples after the last row of a pass.
    async fn sample_last(&self, sequence: u32) -> Result<u32> {
        let session = &self.session;
        let plans = session.token_plans()?;
        let greedy = self.sequences[sequence as usize].greedy;
        let plan = if greedy { &plans.greedy } else { &plans.sample };
        let sampled = session.sample(plan, 1, 0).await?;
        sampled[0].ok_or_else(|| not_finite(self.tokens(sequence).len()))
    }

    /// Begins to compute the last token of each of these sequences, which are the only ones that are not: the GPU works on it
    /// while the caller finds out what may follow.
    ///
    /// # Errors
    /// [`Error::CacheFull`] where there is no room for these tokens, before any work; whatever the device reports.
    pub async fn begin(&mut self, sequences: &[u32]) -> Result<()> {
        let row = |&sequence: &u32| {
            let own = &self.sequences[sequence as usize];
            let position = own.tokens.len() - 1;
            assert_eq!(own.cached, position, "a sequence has its prompt computed");
            Row {
                token: own.tokens[position],
                position: position as u32,
                sequence,
            }
        };
        let rows: Vec<Row> = sequences.iter().map(row).collect();
        let session = &self.session;
        for row in &rows {
            let end = row.position as usize + 1;
            self.cache.grow(session, row.sequence, end)?;
        }
        if self.sampled.0 != sequences || session.model.layout.looks_up() {
            session.write_pass(&rows).await?;
            self.sampled = (sequences.to_vec(), 0);
        }
        let count = rows.len() as u32;
        let segments = if let [row] = rows[..] {
            vec![Segment::whole(session.decode_at(row.position as usize), 1)]
        } else {
            let plan = session.plan_of(count);
            let sections = [Section::Embed, Section::Body, Section::AllLogits];
            sections
                .map(|section| Segment::section(plan, section, count))
                .to_vec()
        };
        let furthest = rows.iter().map(|row| row.position).max().unwrap_or(0);
        session.run(&segments, furthest as usize, u64::MAX).await?;
        Ok(())
    }

    /// Samples the next token of each of the sequences that [`Batch::begin`] began to compute, and adds it to them.
    ///
    /// # Errors
    /// Whatever the device reports. A sequence whose logits are not finite has none for a token.
    pub async fn finish(&mut self) -> Result<Vec<(u32, Option<u32>)>> {
        let session = &self.session;
        let plans = session.token_plans()?;
        let sequences = self.sampled.0.clone();
        let mut own = sequences.iter().map(|&one| &self.sequences[one as usize]);
        let greedy = own.all(|one| one.greedy);
        let (likeliest, by_chance) = if sequences.len() == 1 {
            (Some(&plans.greedy), Some(&plans.sample))
        } else {
            (plans.greedy_rows.as_ref(), plans.sample_rows.as_ref())
        };
        let plan = if greedy { likeliest } else { by_chance };
        let plan = plan.expect("several sequences have such plans");
        let tokens = session
            .sample(plan, sequences.len(), self.sampled.1)
            .await?;
        self.sampled.1 += 1;
        let mut all = Vec::with_capacity(tokens.len());
        for (&sequence, token) in sequences.iter().zip(tokens) {
            let own = &mut self.sequences[sequence as usize];
            own.cached = own.tokens.len();
            self.cache.wrote(session, sequence, &own.tokens, false);
            own.push(token);
            all.push((sequence, token));
        }
        Ok(all)
    }

    /// Computes all of a sequence's prompt, and returns its first token.
    ///
    /// # Errors
    /// [`Error::Aborted`] where `each(done, total)` breaks, and those of [`Batch::prefill`].
    pub async fn prefill_all(
        &mut self,
        sequence: u32,
        each: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<u32> {
        let total = self.pending(sequence);
        loop {
            if let Some(token) = self.prefill(sequence, usize::MAX).await? {
                return Ok(token);
            }
            if each(total - self.pending(sequence), total).is_break() {
                return Err(Error::Aborted);
            }
        }
    }
}

impl Sequence {
    fn push(&mut self, token: Option<u32>) {
        self.tokens.extend(token);
        self.sampled.resize(self.tokens.len(), true);
    }
}
