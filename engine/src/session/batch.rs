//! Sequences that go on in the same passes: each has a prompt, computed in slices, and then a token at a time with those of
//! the others. Whoever calls this decides whose turn it is.

use std::ops::ControlFlow;

use super::{Session, prefill::not_finite, rows::Row, sampler::SamplerOptions};
use crate::{
    Error, Model, Result,
    gpu::buffer::Buffer,
    graph::Section,
    plan::{lowering::ALL_LOGITS_ROWS, run::Segment},
    text::Next,
};

/// Sequences of one model, each with the model's context to itself.
pub struct Batch {
    session: Session,
    sequences: Vec<Sequence>,
    /// The sequences whose next rows lie on the GPU, as the last pass sampled them, and how many passes did so since the CPU
    /// wrote them.
    sampled: (Vec<u32>, usize),
    /// Cells of a head, on their way from one sequence to another.
    between: Buffer,
}

/// Tokens of a sequence, and what of them is computed.
#[derive(Default)]
struct Sequence {
    tokens: Vec<u32>,
    /// Flags of the tokens that were sampled.
    sampled: Vec<bool>,
    /// Tokens that the states have seen.
    cached: usize,
    /// Positions from 0 on that were written since the states were empty.
    written: usize,
    /// The likeliest token is taken, whatever was seen.
    greedy: bool,
}

impl Model {
    /// Room for `count` sequences that go on in the same passes.
    ///
    /// # Errors
    /// [`Error::BadInput`] for none or more than 16, [`Error::Unsupported`] where the model streams or has no logits,
    /// [`Error::DoesNotFit`] where their states do not fit the GPU.
    pub async fn batch(&self, count: u32) -> Result<Batch> {
        if !(1..=ALL_LOGITS_ROWS).contains(&count) {
            return Err(Error::BadInput(format!(
                "1 to {ALL_LOGITS_ROWS} sequences go on in the same passes, not {count}"
            )));
        }
        // Two at least: there the plans are that sample after each row.
        let room = count.max(2);
        let session = self.session_of_several(room).await?;
        let bytes = session.memory.states.head_bytes();
        Ok(Batch {
            between: self.0.gpu.storage("cells on their way", bytes).await?,
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

    /// How many of these tokens a sequence need not compute again.
    pub fn kept(&self, sequence: u32, tokens: &[u32]) -> usize {
        let own = &self.sequences[sequence as usize];
        let pairs = tokens.iter().zip(&own.tokens);
        let common = pairs.take_while(|(new, old)| new == old).count();
        let wanted = common.min(own.cached).min(tokens.len().saturating_sub(1));
        let states = &self.session.memory.states;
        // A recurrent state has seen what it has seen.
        let elsewhere = states.is_recurrent() && own.cached != wanted;
        if elsewhere || states.rings_have_lost(own.written, wanted) {
            return 0;
        }
        wanted
    }

    /// Gives a sequence a new prompt, and how its tokens are sampled; what it holds of the prompt is kept. `constrained`: the
    /// caller says before each token which may follow. Returns how many tokens were kept.
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
        let kept = self.kept(sequence, prompt);
        let held = prompt.iter().map(|&token| (token, false));
        let (gpu, sampling) = (&self.session.model.gpu, &self.session.memory.sampling);
        sampling.write(gpu, sequence, (sampler, constrained), held)?;
        let own = &mut self.sequences[sequence as usize];
        own.tokens = prompt.to_vec();
        own.sampled = vec![false; prompt.len()];
        own.cached = kept;
        if kept == 0 {
            own.written = 0;
        }
        own.greedy = sampler.is_greedy() && !constrained;
        self.sampled.0.clear();
        Ok(kept)
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
    /// [`Error::NotFinite`], and whatever the device reports; then the sequence holds nothing any more.
    pub async fn prefill(&mut self, sequence: u32, rows: usize) -> Result<Option<u32>> {
        let prefilled = self.slice(sequence, rows).await;
        if prefilled.is_err() {
            self.sequences[sequence as usize] = Sequence::default();
        }
        prefilled
    }

    async fn slice(&mut self, sequence: u32, rows: usize) -> Result<Option<u32>> {
        self.sampled.0.clear();
        let session = &self.session;
        let own = &self.sequences[sequence as usize];
        let count = rows.clamp(1, session.model.prefill_batch);
        let count = count.min(own.tokens.len() - own.cached);
        let first = own.cached;
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
        own.written = own.written.max(own.cached);
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
    /// Whatever the device reports.
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
            own.written = own.written.max(own.cached);
            own.push(token);
            all.push((sequence, token));
        }
        Ok(all)
    }

    /// Copies what `from` has computed of these tokens to `to`, where that is more than `to` has itself, so that a beginning
    /// that they share is computed once. Returns how many tokens `to` keeps.
    pub fn share(&mut self, from: u32, to: u32, tokens: &[u32]) -> usize {
        let own = self.kept(to, tokens);
        let theirs = self.kept(from, tokens);
        let states = &self.session.memory.states;
        if theirs <= own || from == to || states.is_recurrent() || states.has_rings() {
            return own;
        }
        let mut commands = self.session.model.gpu.commands();
        states.copy_cells(&mut commands, &self.between, (from, to), theirs);
        commands.submit();
        let tokens = self.sequences[from as usize].tokens[..theirs].to_vec();
        self.sequences[to as usize] = Sequence {
            sampled: vec![false; theirs],
            cached: theirs,
            written: theirs,
            tokens,
            greedy: false,
        };
        self.sampled.0.clear();
        theirs
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
