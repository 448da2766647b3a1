//! How tokens are sampled. The sampling itself is the kernels `argmax` and `sample`.

use std::fmt;

use lantern_kernels::sample::Params;
use serde::Serialize;

use crate::{Error, Result};

/// How tokens are sampled: penalties, then top-k, top-p, min-p, then temperature, as llama.cpp orders them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SamplerOptions {
    /// 0 always takes the likeliest; larger is more varied.
    pub temperature: f32,
    /// The so many likeliest stay; 0 for all.
    pub top_k: u32,
    /// The likeliest that make up this mass stay; 1 for all.
    pub top_p: f32,
    /// Tokens at least this likely relative to the likeliest stay; 0 for all.
    pub min_p: f32,
    /// Divides positive logits of tokens seen, multiplies negative ones; 1 for none.
    pub repeat_penalty: f32,
    /// Subtracted for each time that a token was sampled.
    pub frequency_penalty: f32,
    /// Subtracted once from tokens sampled.
    pub presence_penalty: f32,
    /// Seed of chance; equal ones sample the same on the same adapter.
    pub seed: u64,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        SamplerOptions {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            ..SamplerOptions::greedy()
        }
    }
}

/// Settings that change something, for people.
impl fmt::Display for SamplerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off = SamplerOptions::greedy();
        write!(f, "temperature {}", self.temperature)?;
        let cold = self.temperature == 0.0;
        for (name, value, off, matters) in [
            ("top-k", self.top_k as f32, off.top_k as f32, !cold),
            ("top-p", self.top_p, off.top_p, !cold),
            ("min-p", self.min_p, off.min_p, !cold),
            (
                "repeat penalty",
                self.repeat_penalty,
                off.repeat_penalty,
                true,
            ),
            (
                "frequency penalty",
                self.frequency_penalty,
                off.frequency_penalty,
                true,
            ),
            (
                "presence penalty",
                self.presence_penalty,
                off.presence_penalty,
                true,
            ),
        ] {
            #[expect(clippy::float_cmp, reason = "off is one very number")]
            if matters && value != off {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

impl SamplerOptions {
    /// Always the likeliest token.
    pub const fn greedy() -> SamplerOptions {
        SamplerOptions {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repeat_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            seed: 0,
        }
    }

    /// Samples at this temperature; 0 always takes the likeliest.
    #[must_use]
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// Leaves the so many likeliest; 0 leaves all.
    #[must_use]
    pub fn top_k(mut self, top_k: u32) -> Self {
        self.top_k = top_k;
        self
    }

    /// Leaves the likeliest that make up this mass; 1 leaves all.
    #[must_use]
    pub fn top_p(mut self, top_p: f32) -> Self {
        self.top_p = top_p;
        self
    }

    /// Leaves those at least this likely relative to the likeliest; 0 leaves all.
    #[must_use]
    pub fn min_p(mut self, min_p: f32) -> Self {
        self.min_p = min_p;
        self
    }

    /// Divides positive logits of tokens seen by this, and multiplies negative ones.
    #[must_use]
    pub fn repeat_penalty(mut self, repeat_penalty: f32) -> Self {
        self.repeat_penalty = repeat_penalty;
        self
    }

    /// Subtracts this from the logit of a token for each time that it was sampled.
    #[must_use]
    pub fn frequency_penalty(mut self, frequency_penalty: f32) -> Self {
        self.frequency_penalty = frequency_penalty;
        self
    }

    /// Subtracts this once from the logits of tokens sampled.
    #[must_use]
    pub fn presence_penalty(mut self, presence_penalty: f32) -> Self {
        self.presence_penalty = presence_penalty;
        self
    }

    /// Samples from this seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Refuses what makes no sense, naming it.
    pub fn validate(&self) -> Result<()> {
        let checks = [
            ("temperature", self.temperature, 0.0, 100.0),
            ("top-p", self.top_p, 0.0, 1.0),
            ("min-p", self.min_p, 0.0, 1.0),
            ("repeat penalty", self.repeat_penalty, 0.01, 100.0),
            ("frequency penalty", self.frequency_penalty, -100.0, 100.0),
            ("presence penalty", self.presence_penalty, -100.0, 100.0),
        ];
        match checks
            .iter()
            .find(|(_, v, min, max)| !(min..=max).contains(&v))
        {
            Some((name, v, min, max)) => Err(Error::BadInput(format!(
                "{name} {v} is not between {min} and {max}"
            ))),
            None => Ok(()),
        }
    }

    /// The likeliest token as it is, without a look at penalties.
    #[expect(clippy::float_cmp, reason = "1 is what is given to have no penalty")]
    pub(crate) fn is_greedy(&self) -> bool {
        self.temperature == 0.0
            && self.repeat_penalty == 1.0
            && self.frequency_penalty == 0.0
            && self.presence_penalty == 0.0
    }

    /// As the kernel has them; temperature 0 keeps only the likeliest.
    pub(crate) fn params(&self, vocab_size: u32) -> Params {
        let cold = self.temperature == 0.0;
        Params {
            vocab_size,
            top_k: if cold { 1 } else { self.top_k },
            top_p: self.top_p,
            min_p: self.min_p,
            temperature: if cold { 1.0 } else { self.temperature },
            repeat_penalty: self.repeat_penalty,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            seed_low: self.seed as u32,
            seed_high: (self.seed >> 32) as u32,
        }
    }
}
