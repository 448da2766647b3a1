//! Rows of the block that drafts further tokens, which keeps keys and values of its own.

use std::sync::Arc;

use lantern_kernels::padded;

use super::{Session, rows::Row};
use crate::{
    Error, Model, Result,
    graph::Section,
    model::forward::Ending,
    plan::{plans::Builder, run::Segment},
    resident::about::admit,
};

/// The draft block of a model, and what it keeps of one sequence.
pub struct Drafts {
    session: Session,
    /// Rows that it has.
    length: usize,
}

/// Results of a draft block for one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Drafted {
    /// Logits of the token after the row's, (vocab_size).
    pub logits: Vec<f32>,
    /// The row after the last norm, (dim), which a further draft may take in the place of the model's.
    pub hidden: Vec<f32>,
}

impl Model {
    /// The draft block with nothing in its cache.
    ///
    /// # Errors
    /// [`Error::BadInput`] where it was not loaded; see [`LoadOptions::draft`](crate::LoadOptions::draft).
    pub async fn drafts(&self) -> Result<Drafts> {
        if self.0.layout.draft.is_none() {
            return Err(Error::BadInput(
                "the model was loaded without its draft block".into(),
            ));
        }
        let builder = Builder {
            ending: Ending::Draft,
            ..self.0.builder(&[], 1)
        };
        let plans = Arc::new(builder.plans());
        Ok(Drafts {
            session: Session::of(self.0.clone(), plans, (1, None)).await?,
            length: 0,
        })
    }
}

impl Drafts {
    /// Computes rows that follow those there are: each of a token and of the row, (dim), after the last norm, that the model
    /// made of the token before it. `hidden` has these one after the other.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a token that there is not, and where there is no row for each; [`Error::ContextFull`]; before
    /// any work.
    pub async fn forward(&mut self, tokens: &[u32], hidden: &[f32]) -> Result<Vec<Drafted>> {
        let config = &self.session.model.config;
        let dim = config.dim as usize;
        let whole = hidden.len() == tokens.len() * dim && hidden.iter().all(|v| v.is_finite());
        if !whole {
            return Err(Error::BadInput(format!(
                "{} values are not {} rows of {dim} finite ones",
                hidden.len(),
                tokens.len()
            )));
        }
        let held = self.length + tokens.len();
        admit(tokens, held, config.vocab_size, self.session.model.context)?;
        let mut all = Vec::with_capacity(tokens.len());
        while all.len() < tokens.len() {
            let count = self.session.rows_with_logits(tokens.len() - all.len());
            let (tokens, hidden) = (&tokens[all.len()..], &hidden[all.len() * dim..]);
            let pass = self.pass(&tokens[..count], &hidden[..count * dim]);
            all.extend(pass.await?);
            self.length += count;
        }
        Ok(all)
    }

    /// Forgets all after the first `length` rows.
    ///
    /// # Errors
    /// [`Error::BadInput`] where there are fewer.
    pub fn rewind(&mut self, length: usize) -> Result<()> {
        if length > self.length {
            return Err(Error::BadInput(format!(
                "cannot rewind to {length}: there are {} rows",
                self.length
            )));
        }
        self.length = length;
        Ok(())
    }

    /// How many rows it has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The rows of one pass.
    async fn pass(&self, tokens: &[u32], hidden: &[f32]) -> Result<Vec<Drafted>> {
        let session = &self.session;
        let first = self.length as u32;
        let rows: Vec<Row> = (first..)
            .zip(tokens)
            .map(|(position, &token)| Row {
                token,
                position,
                sequence: 0,
            })
            .collect();
        session.write_pass(&rows).await?;
        let count = rows.len() as u32;
        let plan = session.plan_of(count);
        let dim = session.model.config.dim as usize;
        let input = plan.plan.embedded.expect("a pass begins with rows");
        let input = &session.compiled.activations[input];
        // The embedding's halves are looked up after this.
        let halves = hidden.chunks_exact(dim);
        let both: Vec<f32> = halves
            .flat_map(|half| [&vec![0.0; dim], half].concat())
            .collect();
        let gpu = &session.model.gpu;
        gpu.write(input, 0, bytemuck::cast_slice(&both));
        let sections = [
            Section::Embed,
            Section::Body,
            Section::AllLogits,
            Section::Hidden,
        ];
        let segments = sections.map(|section| Segment::section(plan, section, count));
        let max = session.operations_at_once();
        session.run(&segments, self.length, max).await?;
        let logits = session.read_all_logits(rows.len()).await?;
        let (hidden, cols) = session.read_result(plan, count).await?;
        let hidden = hidden.chunks_exact(padded(cols) as usize);
        let drafted = session.logit_rows(&logits).zip(hidden);
        Ok(drafted
            .map(|(logits, hidden)| Drafted {
                logits: logits.to_vec(),
                hidden: hidden[..dim].to_vec(),
            })
            .collect())
    }
}
