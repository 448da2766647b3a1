//! Perplexity of a text that may be longer than the context.

use std::ops::ControlFlow;

use crate::{Error, Result, Session};

/// How well a model predicts a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Perplexity {
    /// Negative log-likelihood of the predicted tokens, nats.
    pub nll_sum: f64,
    /// Tokens that were predicted: all but the first of each chunk.
    pub count: usize,
    /// Chunks of at most the context's length.
    pub chunks: usize,
}

impl Perplexity {
    /// `exp(nll_sum / count)`.
    pub fn perplexity(&self) -> f64 {
        (self.nll_sum / self.count as f64).exp()
    }
}

impl Session {
    /// Perplexity of `tokens`, in chunks as long as the context, each from an empty session. `progress(done, total)` counts
    /// tokens; breaking it ends in [`Error::Aborted`].
    ///
    /// # Errors
    /// [`Error::BadInput`] for less than two tokens, or a context of one.
    pub async fn perplexity(
        &mut self,
        tokens: &[u32],
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Perplexity> {
        let context = self.context();
        if tokens.len() < 2 || context < 2 {
            let message = "a perplexity takes two tokens or more, and a context of as many";
            return Err(Error::BadInput(message.to_owned()));
        }
        let (mut nll_sum, mut count, mut chunks) = (0.0, 0, 0);
        for chunk in tokens.chunks(context) {
            let before = chunks * context;
            let mut told = |done: usize| progress(before + done, tokens.len());
            nll_sum += self.nll(chunk, &mut told).await?;
            count += chunk.len() - 1;
            chunks += 1;
        }
        Ok(Perplexity {
            nll_sum,
            count,
            chunks,
        })
    }
}
