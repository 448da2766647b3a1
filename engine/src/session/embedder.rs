//! Passes that end in rows in the place of logits: what a model makes of each token, or of each sequence.

use std::sync::Arc;

use lantern_kernels::padded;

use super::{
    Session,
    rows::{Lengths, Row},
};
use crate::{
    Error, Model, Result,
    graph::Section,
    plan::{
        plans::{Builder, Ending},
        run::Segment,
    },
};

/// Sequences of which each pass gives rows of the residual stream.
pub struct Embedder {
    session: Session,
    lengths: Lengths,
}

impl Model {
    /// Room for `count` sequences whose rows, after the last norm, are read.
    ///
    /// # Errors
    /// [`Error::BadInput`] for none, [`Error::DoesNotFit`] where their states do not fit the GPU.
    pub async fn embedder(&self, count: u32) -> Result<Embedder> {
        if count == 0 {
            return Err(Error::BadInput("there are no sequences to compute".into()));
        }
        let builder = Builder {
            ending: Ending::Hidden,
            ..self.0.builder(&[], count)
        };
        let plans = Arc::new(builder.plans());
        let session = Session::of(self.0.clone(), plans, count).await?;
        let lengths = Lengths::new(count);
        Ok(Embedder { session, lengths })
    }
}

impl Embedder {
    /// Computes the rows of one pass in their order, and returns what each is after the last norm, (dim). Rows of a
    /// sequence follow those that it has; a row at position 0 begins it anew.
    ///
    /// # Errors
    /// [`Error::BadInput`] for more rows than a pass has, and for a token, a sequence or a position that cannot be.
    pub async fn forward(&mut self, rows: &[Row]) -> Result<Vec<Vec<f32>>> {
        let session = &self.session;
        let max = session.model.prefill_batch;
        if rows.is_empty() || rows.len() > max {
            return Err(Error::BadInput(format!(
                "{} rows are not a pass of 1 to {max}",
                rows.len()
            )));
        }
        let lengths = self.lengths.after(rows, session)?;
        self.lengths.forget(rows);
        session.write_pass(rows).await?;
        let count = rows.len() as u32;
        let plan = session.plan_of(count);
        let sections = [Section::Embed, Section::Body, Section::Hidden];
        let segments = sections.map(|section| Segment::section(plan, section, count));
        let furthest = rows.iter().map(|row| row.position).max().unwrap_or(0);
        let max = session.operations_at_once();
        session.run(&segments, furthest as usize, max).await?;
        let result = plan.plan.result.expect("such a pass ends in rows");
        let cols = session.model.config.dim;
        let words = rows.len() * padded(cols) as usize;
        let readback = &session.memory.all_readback;
        let mut commands = session.model.gpu.commands();
        let from = &session.compiled.activations[result];
        commands.copy((from, 0), (readback, 0), words as u64 * 4);
        commands.submit();
        let words = session.model.gpu.map_words(readback, words).await?;
        let all: Vec<f32> = bytemuck::cast_vec(words);
        self.lengths = lengths;
        let rows = all.chunks_exact(padded(cols) as usize);
        Ok(rows.map(|row| row[..cols as usize].to_vec()).collect())
    }
}
