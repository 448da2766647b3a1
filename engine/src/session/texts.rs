//! Passes over many texts at once, which end in rows of texts in the place of logits.
//!
//! A pass is filled with texts, one behind the other. The cells of a text's keys and values lie behind those of the text
//! before it, too: a sequence has few cells, and where a text has more tokens it goes on in those of the sequences after its
//! own, which have no text. So a short text takes little memory, and a long one finds as much as there is.

use std::{mem, ops::ControlFlow, sync::Arc};

use lantern_kernels::{call, padded};
use web_time::Instant;

use super::{Session, rows::Row};
use crate::{
    Error, Model, Result, Unsupported,
    graph::Section,
    model::{config::Pooling, forward::Ending},
    plan::{
        plans::Builder,
        run::{CompiledPlan, Segment},
    },
};

/// Cells of a sequence: a text takes whole ones.
const CELLS: u32 = 8;

/// A text's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// How many tokens the text has.
    pub tokens: usize,
    /// Columns of a row.
    pub dim: usize,
    /// The rows, (rows, dim): one, or one for each token where nothing is pooled.
    pub values: Vec<f32>,
}

/// Memory and plans of passes over texts, with room for those of some length.
pub(crate) struct Texts {
    session: Session,
    pooling: Pooling,
    /// Cells of a sequence, and how many sequences there are.
    cells: u32,
    sequences: u32,
}

/// A part of a text in a pass.
struct Part {
    text: usize,
    rows: usize,
    sequence: u32,
    /// Whether it is the last.
    ends: bool,
}

/// Rows of the next pass.
#[derive(Default)]
struct Pass {
    rows: Vec<Row>,
    parts: Vec<Part>,
    /// Sequences that are taken.
    taken: u32,
}

impl Texts {
    /// Room for texts of up to `longest` tokens, of which passes end in these rows.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where their states do not fit the GPU; [`Error::Unsupported`] for scores of a model without a
    /// classifier, and where the model streams in passes that are too narrow.
    pub async fn new(model: &Model, pooling: Pooling, longest: usize) -> Result<Texts> {
        let loaded = &model.0;
        let (config, layout) = (&loaded.config, &loaded.layout);
        if pooling == Pooling::Rank && layout.pooler.classifier().is_none() {
            return Err(Error::unsupported(
                Unsupported::Tensor,
                "this model has no classifier: it makes embeddings (`lantern embed`), and scores no texts",
            ));
        }
        let ending = Ending::Rows(pooling);
        let own = loaded.prefill_batch;
        let rows = if config.causal { own } else { own.max(longest) };
        if rows > own && layout.looks_up() {
            return Err(Error::unsupported(
                Unsupported::Streaming,
                format!(
                    "weights of this model come from the file, in passes of {own} tokens, and one must have all {longest} of a text: load it with a prefill batch of as many"
                ),
            ));
        }
        let recurrent = |builder: &Builder<'_>| {
            let mut states = builder.states().into_iter();
            states.any(|state| state.is_recurrent())
        };
        let usual = loaded.builder(&[], 1);
        let (cells, sequences) = if recurrent(&usual) && config.causal {
            (longest as u32, 1) // a state for each sequence is too much for many
        } else {
            let max = loaded.gpu.max_context(config, loaded.cache);
            let cells = (2 * rows.max(longest)) as u64;
            let cells = cells.min(max).max(longest as u64) as u32;
            (CELLS, cells.div_ceil(CELLS))
        };
        let builder = Builder {
            ending,
            context: cells,
            prefill_batch: rows as u32,
            sequences,
            ..usual
        };
        let plans = Arc::new(builder.plans());
        Ok(Texts {
            session: Session::of(loaded.clone(), plans, (sequences, None)).await?,
            pooling,
            cells,
            sequences,
        })
    }

    /// The pooling that it was made for, and the longest text that it has room for.
    pub fn room(&self) -> (Pooling, usize) {
        let session = &self.session;
        let cells = (self.cells * self.sequences) as usize;
        let longest = if session.model.config.causal {
            cells
        } else {
            cells.min(session.compiled.prefill.plan.rows as usize)
        };
        (self.pooling, longest)
    }

    /// The rows of each text. `each(done, total)` counts tokens; breaking it ends in [`Error::Aborted`].
    ///
    /// # Errors
    /// [`Error::NotFinite`] where a text's rows are not finite; what the device meets.
    ///
    /// # Panics
    /// For a text of no tokens, or of more than there is room for.
    pub async fn compute(
        &mut self,
        texts: &[Vec<u32>],
        each: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<Embedding>> {
        let max = self.session.compiled.prefill.plan.rows as usize;
        let total = texts.iter().map(Vec::len).sum();
        let mut all: Vec<Embedding> = texts
            .iter()
            .map(|tokens| Embedding {
                tokens: tokens.len(),
                dim: 0,
                values: vec![],
            })
            .collect();
        let mut done = 0;
        let mut pass = Pass::default();
        for (text, tokens) in texts.iter().enumerate() {
            let wanted = (tokens.len() as u32).div_ceil(self.cells);
            assert!(0 < wanted && wanted <= self.sequences, "text {text}");
            let left = max - pass.rows.len();
            if tokens.len() > left || wanted > self.sequences - pass.taken {
                done += self.run(mem::take(&mut pass), &mut all).await?;
                if each(done, total).is_break() {
                    return Err(Error::Aborted);
                }
            }
            let sequence = pass.taken;
            pass.taken += wanted;
            let mut start = 0;
            for part in tokens.chunks(max) {
                let ends = start + part.len() == tokens.len();
                pass.push(part, start as u32, (text, sequence), ends);
                start += part.len();
                if tokens.len() > max {
                    done += self.run(mem::take(&mut pass), &mut all).await?;
                    if each(done, total).is_break() {
                        return Err(Error::Aborted);
                    }
                }
            }
        }
        done += self.run(pass, &mut all).await?;
        let _ = each(done, total); // nothing is left to stop
        Ok(all)
    }

    /// Computes a pass and keeps the rows of its texts; how many tokens it has.
    async fn run(&mut self, pass: Pass, all: &mut [Embedding]) -> Result<usize> {
        if pass.rows.is_empty() {
            return Ok(0);
        }
        let (values, cols) = self.pass(&pass).await?;
        let mut rows = values.chunks_exact(padded(cols) as usize);
        let row = |row: &[f32]| row[..cols as usize].to_vec();
        for part in &pass.parts {
            let embedding = &mut all[part.text];
            embedding.dim = cols as usize;
            if self.pooling == Pooling::None {
                let own = rows.by_ref().take(part.rows);
                embedding.values.extend(own.flat_map(row));
            } else if part.ends {
                let mut rows = values.chunks_exact(padded(cols) as usize);
                let own = rows.nth(part.sequence as usize);
                embedding.values = row(own.expect("each sequence has a row"));
            }
            let classifier = self.session.model.layout.pooler.classifier();
            if self.pooling == Pooling::Rank && classifier.is_some_and(|c| c.softmax) && part.ends {
                softmax(&mut embedding.values);
            }
            if !embedding.values.iter().all(|value| value.is_finite()) {
                return Err(Error::NotFinite(format!(
                    "text {} becomes numbers that are not finite: exact precision may do, or the file is damaged",
                    part.text + 1
                )));
            }
        }
        Ok(pass.rows.len())
    }

    /// Computes a pass: the rows that it ends in, and their columns.
    async fn pass(&mut self, pass: &Pass) -> Result<(Vec<f32>, u32)> {
        let session = &self.session;
        session.write_pass(&pass.rows).await?;
        let count = pass.rows.len() as u32;
        let plan = session.plan_of(count);
        // Sequences are numbered from 0, though not all have a text.
        let last = pass.parts.iter().map(|part| part.sequence).max();
        let sequences = last.map_or(0, |last| last + 1);
        let mut segments: Vec<_> = [Section::Embed, Section::Body, Section::Hidden]
            .map(|section| Segment::section(plan, section, count))
            .into();
        segments.push(Segment::section(plan, Section::Pool, sequences));
        let furthest = pass.rows.iter().map(|row| row.position).max().unwrap_or(0);
        let max = session.operations_at_once();
        let start = Instant::now();
        let operations = session.run(&segments, furthest as usize, max).await?;
        let after = Segment::section(plan, Section::Pooled, sequences);
        if !after.dispatches.is_empty() {
            let rows = vec![(0, 0, 0); sequences as usize];
            let gpu = &session.model.gpu;
            gpu.write(
                &session.memory.rows,
                0,
                bytemuck::cast_slice(&call::rows(&rows)),
            );
            session.run(&[after], 0, max).await?;
        }
        let rows = match self.pooling {
            Pooling::None => count,
            _ => sequences,
        };
        let read = session.read_result(plan, rows).await?;
        let seconds = start.elapsed().as_secs_f64().max(1e-6);
        self.session.operations_per_second = operations as f64 / seconds;
        Ok(read)
    }
}

impl Pass {
    /// Adds a part of a text, from its token number `start` on.
    fn push(&mut self, tokens: &[u32], start: u32, (text, sequence): (usize, u32), ends: bool) {
        let rows = (start..).zip(tokens).map(|(position, &token)| Row {
            token,
            position,
            sequence,
        });
        self.rows.extend(rows);
        self.parts.push(Part {
            text,
            rows: tokens.len(),
            sequence,
            ends,
        });
    }
}

impl Session {
    /// The first `rows` rows that a pass of `plan` has ended in, (rows, padded cols), and their columns.
    pub(super) async fn read_result(
        &self,
        plan: &CompiledPlan,
        rows: u32,
    ) -> Result<(Vec<f32>, u32)> {
        let (buffer, cols) = plan.plan.result.expect("such a pass ends in rows");
        let words = (rows * padded(cols)) as usize;
        let (from, to) = (
            &self.compiled.activations[buffer],
            &self.memory.all_readback,
        );
        let gpu = &self.model.gpu;
        let mut commands = gpu.commands();
        commands.copy((from, 0), (to, 0), words as u64 * 4);
        commands.submit();
        let words = gpu.map_words(to, words).await?;
        Ok((bytemuck::cast_vec(words), cols))
    }
}

/// Probabilities of logits.
fn softmax(values: &mut [f32]) {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps = values.iter().map(|&v| f64::from(v - max).exp());
    let exps: Vec<f64> = exps.collect();
    let sum: f64 = exps.iter().sum();
    for (value, exp) in values.iter_mut().zip(exps) {
        *value = (exp / sum) as f32;
    }
}
