//! Prefilling: many tokens through the model in passes, with the logits of the last or of all.

use std::ops::ControlFlow;

use lantern_kernels::{call, padded};
use web_time::Instant;

use super::Session;
use crate::{
    Error, Result, Unsupported,
    graph::{Purpose, SNAPSHOT_INTERVAL, Section},
    plan::{lowering::ALL_LOGITS_ROWS, run::Segment},
    resident::about::admit,
};

/// Seconds that a submission takes at about most: drivers take a GPU that is busy for seconds for hung, and a screen that
/// it also draws stands still meanwhile.
const SUBMISSION_SECONDS: f64 = 0.1;

/// Token of a row that was given in the place of an embedding's.
const EMBEDDED: u32 = u32::MAX;

/// Token that such a row has for embeddings of layers, as Gemma 3n's and 4's rows of images do.
const PADDING: u32 = 0;

/// Input of a pass's rows, and the plan that computes them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One token, by the plan for one row.
    Decoded,
    /// Tokens.
    Tokens,
    /// Rows that were given in the place of an embedding's.
    Embedded,
}

impl Session {
    /// Adds tokens to the session. `progress(done, total)` counts tokens after every pass; breaking it ends in
    /// [`Error::Aborted`], with the passes done so far kept.
    ///
    /// # Errors
    /// [`Error::ContextFull`] and [`Error::BadInput`] before any work.
    pub async fn prefill(
        &mut self,
        tokens: &[u32],
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<()> {
        self.token_plans()?;
        self.admit(tokens, tokens.len())?;
        self.push_tokens(tokens, tokens.len() == 1);
        self.compute(progress).await?;
        if tokens.len() > 1 {
            self.keep_states(Purpose::Prompt);
        }
        Ok(())
    }

    /// Adds rows of the residual stream, (rows, dim), in the place of embedded tokens: what a vision tower makes of an
    /// image. They take a position each.
    ///
    /// # Errors
    /// [`Error::ContextFull`], and [`Error::BadInput`] where there are no whole rows, before any work;
    /// [`Error::Unsupported`] where the model streams.
    pub async fn prefill_embedded(
        &mut self,
        rows: &[f32],
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<()> {
        self.token_plans()?;
        let dim = self.model.config.dim as usize;
        let whole = rows.len().is_multiple_of(dim) && rows.iter().all(|v| v.is_finite());
        if !whole {
            return Err(Error::BadInput(format!(
                "{} values are not rows of {dim} finite ones",
                rows.len()
            )));
        }
        if self.model.stream.is_some() {
            return Err(Error::unsupported(
                Unsupported::Streaming,
                "embedded rows are not run here while layers stream",
            ));
        }
        let first = self.tokens.len();
        self.admit(&[], rows.len() / dim)?;
        self.push_tokens(&vec![EMBEDDED; rows.len() / dim], false);
        let positions = first..;
        let rows = rows.chunks_exact(dim).map(Box::from);
        self.embedded.extend(positions.zip(rows));
        self.compute(progress).await?;
        self.keep_states(Purpose::Prompt);
        Ok(())
    }

    /// Adds tokens as [`Session::prefill`] does, and hands out the logits, (vocab_size), after every token:
    /// `sink(position, logits)`.
    ///
    /// # Errors
    /// As [`Session::prefill`].
    pub async fn prefill_all(
        &mut self,
        tokens: &[u32],
        sink: &mut dyn FnMut(usize, &[f32]) -> ControlFlow<()>,
    ) -> Result<()> {
        self.token_plans()?;
        self.admit(tokens, tokens.len())?;
        if !self.tokens.is_empty() {
            self.compute_pending().await?;
        }
        self.push_tokens(tokens, false);
        self.restore_states();
        while self.cached < self.tokens.len() {
            let count = self.rows_with_logits(self.tokens.len() - self.cached);
            let first = self.cached;
            self.write_rows(first, count).await?;
            let segments = self.all_logits_segments(count);
            self.run(&segments, first, self.operations_at_once())
                .await?;
            let logits = self.read_all_logits(count).await?;
            self.advance(count);
            self.fresh = true;
            for (row, logits) in self.logit_rows(&logits).enumerate() {
                check_finite(logits, first + row + 1)?;
                if sink(first + row, logits).is_break() {
                    self.rewind(self.cached)?;
                    return Err(Error::Aborted);
                }
            }
        }
        self.keep_states(Purpose::Prompt);
        Ok(())
    }

    /// Logits, (vocab_size), after the last token.
    ///
    /// # Errors
    /// [`Error::BadInput`] where the session is empty, [`Error::NotFinite`] where the logits are not finite.
    pub async fn logits(&mut self) -> Result<Vec<f32>> {
        self.token_plans()?;
        self.compute_pending().await?;
        let gpu = &self.model.gpu;
        let count = self.model.config.vocab_size as usize;
        let mut commands = gpu.commands();
        let (logits, readback) = (&self.memory.logits, &self.memory.readback);
        commands.copy((logits, 0), (readback, 0), count as u64 * 4);
        commands.submit();
        let words = gpu.map_words(readback, count).await?;
        let logits: Vec<f32> = bytemuck::cast_vec(words);
        check_finite(&logits, self.tokens.len())?;
        Ok(logits)
    }

    /// Computes what is missing of the states and the logits up to the last token: one that was sampled, or what a rewind
    /// has left to be computed again.
    pub(super) async fn compute_pending(&mut self) -> Result<()> {
        let held = self.tokens.len();
        if held == 0 {
            return Err(Error::BadInput(
                "the session is empty: prefill a token first".into(),
            ));
        }
        if self.fresh && self.cached == held {
            return Ok(());
        }
        let (gpu, logits) = (&self.model.gpu, &self.memory.logits);
        if self.cached == held && self.memory.states.restore_with_logits(gpu, held, logits) {
            self.fresh = true;
            return Ok(());
        }
        self.cached = self.memory.states.reachable(self.cached.min(held - 1));
        self.compute(&mut |_, _| ControlFlow::Continue(())).await
    }

    /// Computes all tokens that the states have not seen.
    async fn compute(
        &mut self,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<()> {
        self.restore_states();
        let (total, first) = (self.tokens.len() - self.cached, self.cached);
        while self.cached < self.tokens.len() {
            let (count, kind) = self.next_rows();
            let last = self.cached + count == self.tokens.len();
            self.pass(count, kind, last).await?;
            if progress(self.cached - first, total).is_break() && !last {
                self.rewind(self.cached)?;
                return Err(Error::Aborted);
            }
        }
        Ok(())
    }

    /// Takes the states to where they can be had at or before what is cached.
    fn restore_states(&mut self) {
        self.cached = self.memory.states.reachable(self.cached);
        self.memory.states.go_back(&self.model.gpu, self.cached);
    }

    /// The rows of the next pass: as many as are computed alike, and fit one.
    fn next_rows(&self) -> (usize, Kind) {
        let kind = |position: usize| {
            if self.embedded.contains_key(&position) {
                Kind::Embedded
            } else if self.decoded[position] {
                Kind::Decoded
            } else {
                Kind::Tokens
            }
        };
        let first = kind(self.cached);
        let max = if first == Kind::Decoded {
            1
        } else {
            self.model.prefill_batch
        };
        let alike = (self.cached..self.tokens.len()).take(max);
        (alike.take_while(|&at| kind(at) == first).count(), first)
    }

    /// Computes the next `count` rows, with their last logits where `last`.
    async fn pass(&mut self, count: usize, kind: Kind, last: bool) -> Result<()> {
        let first = self.cached;
        if kind == Kind::Embedded {
            self.write_embedded(first, count);
        }
        self.write_rows(first, count).await?;
        let rows = count as u32;
        let segments = match kind {
            Kind::Decoded => vec![Segment::whole(self.decode_at(first), rows)],
            _ => self.prefill_segments(rows, kind == Kind::Embedded, last),
        };
        let start = Instant::now();
        let operations = self
            .run(&segments, first, self.operations_at_once())
            .await?;
        self.fresh = last || kind == Kind::Decoded;
        self.advance(count);
        self.model.gpu.wait().await?;
        if kind != Kind::Decoded {
            self.operations_per_second =
                operations as f64 / start.elapsed().as_secs_f64().max(1e-6);
        }
        if first / SNAPSHOT_INTERVAL < self.cached / SNAPSHOT_INTERVAL {
            self.keep_states(Purpose::Interval);
        }
        Ok(())
    }

    /// Operations of one submission.
    pub(super) fn operations_at_once(&self) -> u64 {
        (self.operations_per_second * SUBMISSION_SECONDS) as u64
    }

    /// The states have seen `count` rows more.
    fn advance(&mut self, count: usize) {
        self.cached += count;
        self.written = self.written.max(self.cached);
        self.memory.states.set_seen(self.cached);
    }

    /// Keeps a copy of the recurrent states as they are now, if there are any.
    fn keep_states(&mut self, purpose: Purpose) {
        if !self.memory.states.is_recurrent() {
            return;
        }
        let memory = &mut self.memory;
        let mut commands = self.model.gpu.commands();
        let logits = self.fresh.then_some(&memory.logits);
        memory.states.keep(&mut commands, purpose, logits);
        commands.submit();
    }

    /// Refuses tokens that the vocabulary does not have, and more rows than there is room for.
    fn admit(&self, tokens: &[u32], rows: usize) -> Result<()> {
        let (config, context) = (&self.model.config, self.model.context);
        admit(tokens, self.tokens.len() + rows, config.vocab_size, context)
    }

    pub(super) fn push_tokens(&mut self, tokens: &[u32], decoded: bool) {
        self.tokens.extend_from_slice(tokens);
        self.sampled.resize(self.tokens.len(), false);
        self.decoded.resize(self.tokens.len(), decoded);
    }

    /// Writes the rows of the next pass: `count` tokens from `position` on.
    pub(super) async fn write_rows(&self, position: usize, count: usize) -> Result<()> {
        self.write_rows_after(position, count, 0).await
    }

    /// Writes the rows of the next pass, after `sampled` tokens that this answer already has.
    pub(super) async fn write_rows_after(
        &self,
        position: usize,
        count: usize,
        sampled: usize,
    ) -> Result<()> {
        let tokens = self.tokens[position..][..count].iter();
        let tokens: Vec<u32> = tokens
            .map(|&t| if t == EMBEDDED { PADDING } else { t })
            .collect();
        let tokens = self.table_rows(&tokens).await?;
        let rows = (position as u32..).zip(tokens);
        let rows: Vec<_> = rows.map(|(position, token)| (token, position, 0)).collect();
        let mut words = call::rows(&rows);
        if let Some(last) = words.last_mut() {
            *last = sampled as u32; // the row that is sampled after
        }
        let gpu = &self.model.gpu;
        gpu.write(&self.memory.rows, 0, bytemuck::cast_slice(&words));
        Ok(())
    }

    /// Writes `count` given rows from `position` on to where the embedding's would be; the stream is kept without the
    /// factor on what layers add to it.
    fn write_embedded(&self, position: usize, count: usize) {
        let config = &self.model.config;
        let stride = padded(config.dim) as usize;
        let mut all = vec![0f32; count * stride];
        for (row, at) in all.chunks_exact_mut(stride).zip(position..) {
            for (to, from) in row.iter_mut().zip(&self.embedded[&at]) {
                *to = from / config.scales.residual;
            }
        }
        let buffer = self.plan_of(count as u32).plan.embedded;
        let buffer = buffer.expect("a pass begins with embedded rows");
        let buffer = &self.compiled.activations[buffer];
        let gpu = &self.model.gpu;
        gpu.write(buffer, 0, bytemuck::cast_slice(&all));
    }

    /// Rows whose logits are computed at once, of `left`.
    pub(super) fn rows_with_logits(&self, left: usize) -> usize {
        left.min(ALL_LOGITS_ROWS as usize)
            .min(self.model.prefill_batch)
    }

    /// A pass of `count` rows with all their logits.
    pub(super) fn all_logits_segments(&self, count: usize) -> Vec<Segment<'_>> {
        let sections = [
            Section::Embed,
            Section::Body,
            Section::AllLogits,
            Section::LastLogits,
        ];
        let plan = self.plan_of(count as u32);
        let segment = |section| Segment::section(plan, section, count as u32);
        sections.map(segment).into()
    }

    /// The logits of a pass of `count` rows, (count, padded vocab_size).
    pub(super) async fn read_all_logits(&self, count: usize) -> Result<Vec<f32>> {
        let gpu = &self.model.gpu;
        let words = count * padded(self.model.config.vocab_size) as usize;
        let (logits, readback) = (&self.memory.all_logits, &self.memory.all_readback);
        let mut commands = gpu.commands();
        commands.copy((logits, 0), (readback, 0), words as u64 * 4);
        commands.submit();
        let words = gpu.map_words(readback, words).await?;
        Ok(bytemuck::cast_vec(words))
    }

    /// Each row of what [`Session::read_all_logits`] has read, (vocab_size).
    pub(super) fn logit_rows<'l>(
        &self,
        logits: &'l [f32],
    ) -> impl Iterator<Item = &'l [f32]> + use<'l> {
        let count = self.model.config.vocab_size;
        let rows = logits.chunks_exact(padded(count) as usize);
        rows.map(move |row| &row[..count as usize])
    }
}

/// Refuses logits after `tokens` tokens that are not finite.
fn check_finite(logits: &[f32], tokens: usize) -> Result<()> {
    if logits.iter().all(|logit| logit.is_finite()) {
        return Ok(());
    }
    Err(not_finite(tokens))
}

/// The error of logits after `tokens` tokens that are not finite.
pub(super) fn not_finite(tokens: usize) -> Error {
    Error::NotFinite(format!(
        "after {tokens} tokens the model's logits are not finite: exact precision may do, or the file is damaged; `lantern plan --check` names the op where it begins"
    ))
}
