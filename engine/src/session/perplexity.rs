//! How well a model predicts a text.

use std::ops::ControlFlow;

use super::Session;
use crate::Result;

impl Session {
    /// The negative log-likelihood of `tokens` after the first, in nats, from an empty session. `progress(done)` counts
    /// tokens; breaking it ends in [`Error::Aborted`](crate::Error::Aborted).
    pub async fn nll(
        &mut self,
        tokens: &[u32],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<f64> {
        self.rewind(0)?;
        let mut sum = 0.0;
        let mut done = 0;
        let mut sink = |_, logits: &[f32]| {
            done += 1;
            if let Some(next) = tokens.get(done) {
                sum -= log_probability(logits, *next as usize);
            }
            progress(done)
        };
        self.prefill_all(tokens, &mut sink).await?;
        Ok(sum)
    }
}

/// Log-softmax at `token`, in f64, with the largest logit taken out so that nothing overflows.
fn log_probability(logits: &[f32], token: usize) -> f64 {
    let Some(logit) = logits.get(token) else {
        return f64::NAN; // refused before prefill: no such token
    };
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits
        .iter()
        .map(|logit| (f64::from(*logit) - max).exp())
        .sum();
    f64::from(*logit) - max - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::log_probability;

    #[test]
    fn log_softmax_survives_large_logits() {
        let expected = -(1.0 + (-1.0_f64).exp()).ln();
        assert!((log_probability(&[1001.0, 1000.0], 0) - expected).abs() < 1e-12);
        assert!(log_probability(&[0.0], 1).is_nan());
    }
}
