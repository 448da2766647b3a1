//! How tokens are sampled. The sampling itself is the kernels `argmax` and `sample`.

use std::fmt;

use lantern_kernels::sampler::{HAS_BIAS, HAS_GRAMMAR, Sampler};
use serde::Serialize;

use crate::{Error, Result};

/// A setting of [`SamplerOptions`] that is a number.
struct Setting {
    /// Its name, as llama.cpp has it.
    name: &'static str,
    /// The name for people.
    label: &'static str,
    min: f32,
    max: f32,
    get: fn(&SamplerOptions) -> f32,
    set: fn(&mut SamplerOptions, f32),
}

/// Declares the options: for each setting its type, the value that changes nothing, the name for people and its bounds.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $kind:ident = $neutral:literal, $label:literal, $min:literal..=$max:literal;)*) => {
        /// How tokens are sampled, by llama.cpp's names and in its order: bias, penalties, top-n-sigma, top-k, typical-p,
        /// top-p, min-p, XTC, then temperature. Mirostat stands in the place of what is between penalties and temperature.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[non_exhaustive]
        pub struct SamplerOptions {
            $($(#[$doc])* pub $name: $kind,)*
            /// Added to the logits of these tokens; `-inf` rules one out.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub logit_bias: Vec<(u32, f32)>,
            /// Seed of chance; equal ones sample the same on the same adapter.
            pub seed: u64,
        }

        const SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            label: $label,
            min: $min as f32,
            max: $max as f32,
            get: |options| options.$name as f32,
            set: |options, value| options.$name = value as $kind,
        },)*];

        impl SamplerOptions {
            /// Always the likeliest token.
            pub const fn greedy() -> SamplerOptions {
                SamplerOptions {
                    $($name: $neutral,)*
                    logit_bias: Vec::new(),
                    seed: 0,
                }
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(mut self, $name: $kind) -> Self {
                    self.$name = $name;
                    self
                }
            )*
        }
    };
}

settings! {
    /// Divides logits: 0 always takes the likeliest; larger is more varied.
    temperature: f32 = 0.0, "temperature", 0.0..=100.0;
    /// Entropy changes the temperature by so much at most, down where the model is certain; 0 for not at all.
    dynatemp_range: f32 = 0.0, "dynamic temperature range", 0.0..=100.0;
    /// Exponent of the entropy's share in that.
    dynatemp_exponent: f32 = 1.0, "dynamic temperature exponent", 0.01..=100.0;
    /// The so many likeliest stay; 0 for all.
    top_k: u32 = 0, "top-k", 0..=0xffff_ffffu32;
    /// The likeliest that make up this mass stay; 1 for all.
    top_p: f32 = 1.0, "top-p", 0.0..=1.0;
    /// Tokens at least this likely relative to the likeliest stay; 0 for all.
    min_p: f32 = 0.0, "min-p", 0.0..=1.0;
    /// Tokens about as surprising as the average stay, as few as make up this mass; 1 for all.
    typical_p: f32 = 1.0, "typical-p", 0.0..=1.0;
    /// Tokens within so many standard deviations of the largest logit stay; 0 for all.
    top_n_sigma: f32 = 0.0, "top-n-sigma", 0.0..=100.0;
    /// Probability that XTC leaves out the likeliest tokens; 0 for never.
    xtc_probability: f32 = 0.0, "XTC probability", 0.0..=1.0;
    /// XTC leaves out tokens at least this likely, but for the least likely of them; above 0.5 it does nothing.
    xtc_threshold: f32 = 0.1, "XTC threshold", 0.0..=1.0;
    /// Version of mirostat: 2, or 0 for none.
    mirostat: u32 = 0, "mirostat", 0..=2;
    /// Surprise that mirostat aims at, in bits a token.
    mirostat_tau: f32 = 5.0, "mirostat tau", 0.01..=100.0;
    /// How fast mirostat gets there.
    mirostat_eta: f32 = 0.1, "mirostat eta", 0.0..=1.0;
    /// Divides positive logits of tokens seen, multiplies negative ones; 1 for none.
    repeat_penalty: f32 = 1.0, "repeat penalty", 0.01..=100.0;
    /// Subtracted for each time that a token was sampled.
    frequency_penalty: f32 = 0.0, "frequency penalty", -100.0..=100.0;
    /// Subtracted once from tokens sampled.
    presence_penalty: f32 = 0.0, "presence penalty", -100.0..=100.0;
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

/// Settings that matter at temperature 0, too.
const MATTER_COLD: [&str; 3] = ["repeat_penalty", "frequency_penalty", "presence_penalty"];

/// Settings that change something, for people.
impl fmt::Display for SamplerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off = SamplerOptions::greedy();
        write!(f, "temperature {}", self.temperature)?;
        let cold = self.temperature == 0.0;
        for setting in &SETTINGS[1..] {
            let value = (setting.get)(self);
            let matters = !cold || MATTER_COLD.contains(&setting.name);
            #[expect(clippy::float_cmp, reason = "off is one very number")]
            if matters && value != (setting.get)(&off) {
                write!(f, ", {} {value}", setting.label)?;
            }
        }
        match self.logit_bias.len() {
            0 => Ok(()),
            count => write!(f, ", a bias for {count} tokens"),
        }
    }
}

impl SamplerOptions {
    /// Adds to the logit of a token; `-inf` rules it out.
    #[must_use]
    pub fn bias(mut self, token: u32, bias: f32) -> Self {
        self.logit_bias.push((token, bias));
        self
    }

    /// Samples from this seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Names of the settings that are numbers, as llama.cpp has them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SETTINGS.iter().map(|setting| setting.name)
    }

    /// Changes the setting of this name.
    ///
    /// # Errors
    /// [`Error::BadInput`] where there is no such setting, or it cannot have this value.
    pub fn set(&mut self, name: &str, value: f64) -> Result<()> {
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        let unknown = || Error::BadInput(format!("there is no setting {name} of a sampler"));
        let setting = setting.ok_or_else(unknown)?;
        (setting.set)(self, value as f32);
        setting.check(value as f32)
    }

    /// Refuses what makes no sense, naming it.
    pub fn validate(&self) -> Result<()> {
        let mut settings = SETTINGS.iter();
        settings.try_for_each(|setting| setting.check((setting.get)(self)))?;
        if self.mirostat == 1 {
            return Err(Error::BadInput(
                "mirostat 1 is not done here; its successor is mirostat 2".into(),
            ));
        }
        match self.logit_bias.iter().find(|(_, bias)| bias.is_nan()) {
            Some((token, _)) => Err(Error::BadInput(format!(
                "the bias of token {token} is not a number"
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
            && self.logit_bias.is_empty()
    }

    /// As the kernel has them. At temperature 0 nothing but bias, penalties and grammar makes a difference.
    pub(crate) fn sampler(&self, has_grammar: bool) -> Sampler {
        let mut flags = 0;
        if has_grammar {
            flags |= HAS_GRAMMAR;
        }
        if !self.logit_bias.is_empty() {
            flags |= HAS_BIAS;
        }
        let penalties = Sampler {
            flags,
            temperature: 0.0,
            repeat_penalty: self.repeat_penalty,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            seed_low: self.seed as u32,
            seed_high: (self.seed >> 32) as u32,
            ..Sampler::NEUTRAL
        };
        if self.temperature == 0.0 {
            return penalties;
        }
        let mirostat_tau = match self.mirostat {
            0 => 0.0,
            _ => self.mirostat_tau,
        };
        Sampler {
            temperature: self.temperature,
            dynatemp_range: self.dynatemp_range,
            dynatemp_exponent: self.dynatemp_exponent,
            top_k: self.top_k,
            top_n_sigma: self.top_n_sigma,
            typical_p: self.typical_p,
            top_p: self.top_p,
            min_p: self.min_p,
            xtc_probability: if self.xtc_threshold > 0.5 {
                0.0
            } else {
                self.xtc_probability
            },
            xtc_threshold: self.xtc_threshold,
            mirostat_tau,
            mirostat_eta: self.mirostat_eta,
            mirostat_mu: 2.0 * mirostat_tau,
            ..penalties
        }
    }
}

impl Setting {
    fn check(&self, value: f32) -> Result<()> {
        let (label, min, max) = (self.label, self.min, self.max);
        if (min..=max).contains(&value) {
            return Ok(());
        }
        Err(Error::BadInput(format!(
            "{label} {value} is not between {min} and {max}"
        )))
    }
}
