//! Several sequences in the same passes: rows name their sequence, and each gets the logits that it would get alone.

use std::sync::Arc;

use lantern_kernels::call;

use super::{Session, no_logits};
use crate::{Error, Model, Result, Unsupported, graph::Paging, plan::plans::Builder};

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
    lengths: Lengths,
}

/// Rows that each sequence has.
#[derive(Clone)]
pub(super) struct Lengths(Vec<u32>);

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
        Ok(Sequences {
            session: self.session_of_several(count, None).await?,
            lengths: Lengths::new(count),
        })
    }

    /// A session that keeps the state of `count` sequences, in the blocks of a paged cache where one is given.
    pub(super) async fn session_of_several(
        &self,
        count: u32,
        paging: Option<Paging>,
    ) -> Result<Session> {
        if self.0.stream.is_some() {
            return Err(Error::unsupported(
                Unsupported::Streaming,
                "several sequences are not run here while layers stream",
            ));
        }
        if self.0.layout.head.is_none() {
            return Err(no_logits());
        }
        let builder = Builder {
            block: paging.map(|paging| paging.block),
            ..self.0.builder(&[], count)
        };
        let plans = Arc::new(builder.plans());
        Session::of(self.0.clone(), plans, (count, paging)).await
    }
}

impl Session {
    /// Writes the rows of the next pass.
    pub(super) async fn write_pass(&self, rows: &[Row]) -> Result<()> {
        let tokens: Vec<u32> = rows.iter().map(|row| row.token).collect();
        let tokens = self.table_rows(&tokens).await?;
        let rows = rows.iter().zip(tokens);
        let rows = rows.map(|(row, token)| (token, row.position, row.sequence));
        let mut words = call::rows(&rows.collect::<Vec<_>>());
        words[1] = self.tables_start();
        let gpu = &self.model.gpu;
        gpu.write(&self.memory.rows, 0, bytemuck::cast_slice(&words));
        Ok(())
    }
}

impl Session {
    /// The row from which on tables of blocks lie behind those of a pass.
    pub(super) fn tables_start(&self) -> u32 {
        self.compiled.prefill.plan.rows
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
        let session = &self.session;
        let lengths = self.lengths.after(rows, session)?;
        self.lengths.forget(rows);
        let mut all = Vec::with_capacity(rows.len());
        let mut left = rows;
        while !left.is_empty() {
            let (now, later) = left.split_at(session.rows_with_logits(left.len()));
            session.write_pass(now).await?;
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
}

impl Lengths {
    /// No rows of any of `count` sequences.
    pub fn new(count: u32) -> Lengths {
        Lengths(vec![0; count as usize])
    }

    /// Forgets the rows of the sequences that `rows` are of: they are about to be computed.
    pub fn forget(&mut self, rows: &[Row]) {
        for row in rows {
            self.0[row.sequence as usize] = 0;
        }
    }

    /// How many rows each sequence has after these, or what is wrong with them.
    pub fn after(&self, rows: &[Row], session: &Session) -> Result<Lengths> {
        let Lengths(mut lengths) = self.clone();
        let (config, context) = (&session.model.config, session.model.context);
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
        Ok(Lengths(lengths))
    }
}
