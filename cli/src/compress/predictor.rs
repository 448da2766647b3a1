//! Distribution that a model expects of the next token, in passes that depend on nothing but the tokens so far: one token
//! each, and where the context is full a new start from its last quarter.

use std::ops::ControlFlow;

use constriction::stream::model::DefaultContiguousCategoricalEntropyModel;
use lantern_engine::{Model, Session};
use pollster::block_on;

use crate::{
    failure::{Failure, Result},
    load::{self, LoadArgs},
};

/// The chance that every token keeps, by the coder's precision of 24 bits.
const MIN_CHANCE: f64 = 1.0 / (1 << 24) as f64;
/// Bits of the coder's state, beside the code.
const CODER_BITS: f64 = 64.0;

/// A model on its way through a text.
pub struct Predictor {
    session: Session,
    vocab_size: usize,
    way: String,
}

impl Predictor {
    pub fn new(model: &Model, bos: Option<u32>, args: &LoadArgs) -> Result<Predictor> {
        let mut predictor = Predictor {
            session: load::session(model, args)?,
            vocab_size: model.config().vocab_size as usize,
            way: format!(
                "precision {:?}, cache {:?}, context {}, {} LoRA adapters",
                model.precision(),
                model.cache_type(),
                model.context(),
                args.lora.len()
            ),
        };
        bos.map_or(Ok(()), |bos| predictor.push(bos))?;
        Ok(predictor)
    }

    /// Whatever changes what is computed, beside model and adapter.
    pub fn way(&self) -> String {
        self.way.clone()
    }

    /// The most tokens that so many bytes of code may stand for: since every other keeps its chance, even the likeliest token
    /// takes a little of a bit.
    pub fn tokens_in(&self, bytes: usize) -> f64 {
        let others = (self.vocab_size - 1) as f64 * MIN_CHANCE;
        let bits = -(1.0 - others).log2();
        (bytes as f64 * 8.0 + CODER_BITS) / bits.max(f64::MIN_POSITIVE)
    }

    /// The distribution of the next token; nothing is expected before the first.
    pub fn expected(&mut self) -> Result<DefaultContiguousCategoricalEntropyModel> {
        let likely: Vec<f64> = if self.session.position() == 0 {
            vec![1.0; self.vocab_size]
        } else {
            let logits = block_on(self.session.logits())?;
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            logits.iter().map(|v| f64::from(v - max).exp()).collect()
        };
        // Every token keeps LEAST_CHANCE.
        DefaultContiguousCategoricalEntropyModel::from_floating_point_probabilities_fast(
            &likely, None,
        )
        .map_err(|()| {
            Failure::Message("the model's logits are not finite; try --precision exact".to_owned())
        })
    }

    /// The token that came.
    pub fn push(&mut self, token: u32) -> Result {
        if self.session.position() == self.session.context() {
            let tokens = self.session.tokens();
            let kept = tokens[tokens.len() - tokens.len() / 4..].to_vec();
            self.session.rewind(0)?;
            for token in kept {
                self.prefill(token)?;
            }
        }
        self.prefill(token)
    }

    fn prefill(&mut self, token: u32) -> Result {
        Ok(block_on(
            self.session
                .prefill(&[token], &mut |_, _| ControlFlow::Continue(())),
        )?)
    }
}
