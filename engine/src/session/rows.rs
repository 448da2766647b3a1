//! Several sequences in the same passes: rows name their sequence, and each gets the logits that it would get alone.

use std::sync::Arc;

use lantern_kernels::call;

use super::Session;
use crate::{Error, Model, Result, Unsupported};

/// A row of a pass: a token at a position of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The token.
    pub token: u32,
    /// Its position in its sequence, from 0.
    pub position: u32,
    /// The sequence, from 0.
    pub sequence: u32,
}

/// Sequences whose rows are computed together; each has the model's context to itself.
pub struct Sequences {
    session: Session,
    /// Rows that each sequence has.
    lengths: Vec<u32>,
}

impl Model {
    /// Room for `count` sequences whose rows are computed in the same passes.
    ///
    /// # Errors
    /// [`Error::BadInput`] for none, [`Error::Unsupported`] where the model streams, [`Error::DoesNotFit`] where their
    /// states do not fit the GPU.
    pub async fn sequences(&self, count: u32) -> Result<Sequences> {
        if count == 0 {
            return Err(Error::BadInput("there are no sequences to compute".into()));
        }
        if self.0.stream.is_some() {
            return Err(Error::unsupported(
                Unsupported::Streaming,
                "several sequences are not run here while layers stream",
            ));
        }
        let plans = Arc::new(self.0.builder(&[], count).plans());
        Ok(Sequences {
            session: Session::of(self.0.clone(), plans, count).await?,
            lengths: vec![0; count as usize],
        })
    }
}

impl Sequences {
    /// Computes rows in their order, and returns the logits, (vocab_size), after each. Rows of a sequence follow those that
    /// it has; a row at position 0 begins it anew.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a token, a sequence or a position that cannot be, [`Error::ContextFull`]; before any work.
    /// Where the work itself fails, or is given up, the sequences of `rows` have none of their rows any more.
    pub async fn forward(&mut self, rows: &[Row]) -> Result<Vec<Vec<f32>>> {
        let lengths = self.lengths_after(rows)?;
        for row in rows {
            self.lengths[row.sequence as usize] = 0;
        }
        let session = &self.session;
        let mut all = Vec::with_capacity(rows.len());
        let mut left = rows;
        while !left.is_empty() {
            let (now, later) = left.split_at(session.rows_with_logits(left.len()));
            let words = now
                .iter()
                .map(|row| (row.token, row.position, row.sequence));
            let words = call::rows(&words.collect::<Vec<_>>());
            let gpu = &session.model.gpu;
            gpu.write(&session.memory.rows, 0, bytemuck::cast_slice(&words));
            let segments = session.all_logits_segments(now.len());
            let furthest = now.iter().map(|row| row.position).max().unwrap_or(0);
            let max = session.operations_at_once();
            session.run(&segments, furthest as usize, max).await?;
            let logits = session.read_all_logits(now.len()).await?;
            all.extend(session.logit_rows(&logits).map(<[f32]>::to_vec));
            left = later;
        }
        self.lengths = lengths;
        Ok(all)
    }

    /// How many rows each sequence has after these, or what is wrong with them.
    fn lengths_after(&self, rows: &[Row]) -> Result<Vec<u32>> {
        let mut lengths = self.lengths.clone();
        let (config, context) = (&self.session.model.config, self.session.model.context);
        for &Row {
            token,
            position,
            sequence,
        } in rows
        {
            let known = lengths.len();
            let Some(length) = lengths.get_mut(sequence as usize) else {
                return Err(Error::BadInput(format!(
                    "there is no sequence {sequence}: there are {known}, from 0"
                )));
            };
            crate::resident::about::admit(
                &[token],
                position as usize + 1,
                config.vocab_size,
                context,
            )?;
            if position != *length && position != 0 {
                return Err(Error::BadInput(format!(
                    "sequence {sequence} has {length} rows: the next is at position {length} or 0, not {position}"
                )));
            }
            *length = position + 1;
        }
        Ok(lengths)
    }
}
