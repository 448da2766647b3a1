//! The flags that choose how tokens are sampled, shared by run and chat.

use std::hash::{BuildHasher, Hasher, RandomState};

use lantern_engine::{CompletionOptions, ModelFile, SamplerOptions};

use crate::{
    failure::{Failure, Result},
    notes, numbers,
};

/// How tokens are sampled, how many, and what ends the text.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Tokens to generate [default: until the text ends or the context is full]
    #[arg(short = 'n', long = "tokens", value_name = "N", value_parser = numbers::from_zero, allow_negative_numbers = true)]
    count: Option<usize>,
    /// Text that ends the answer, and is no part of it; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    stop: Vec<String>,
    /// Go on after tokens that end the text
    #[arg(long)]
    ignore_end: bool,
    /// Take texts of control tokens in the prompt, as <|im_end|>, for those tokens, not for text
    #[arg(long)]
    special: bool,
    /// Always take the most likely token (the same as --temperature 0)
    #[arg(long)]
    greedy: bool,
    /// 0 is greedy; higher is more daring [default: the model's own, or 0.8]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Sample from the K most likely tokens; 0 is all [default: the model's own, or 40]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    top_k: Option<u32>,
    /// Sample from the fewest tokens that have this probability together; 1 is all [default: the model's own, or 0.95]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Leave out tokens less likely than this share of the most likely one; 0 is none [default: the model's own, or 0.05]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// Divide the logits of tokens that were there by this; 1 is off [default: the model's own, or 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    repeat_penalty: Option<f32>,
    /// Take this off a token's logit for every time it was there; 0 is off
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    frequency_penalty: f32,
    /// Take this off the logits of tokens that were there; 0 is off
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    presence_penalty: f32,
    /// The same seed gives the same text on the same adapter [default: random, shown by -v]
    #[arg(long, value_name = "N", value_parser = numbers::seed, allow_negative_numbers = true)]
    seed: Option<u64>,
}

impl SamplingArgs {
    /// Refuses flags that make no sense, before a model is looked for.
    pub fn validate(&self) -> Result {
        if self.stop.iter().any(String::is_empty) {
            return Err(Failure::Usage(
                "--stop needs a text that is not empty".to_owned(),
            ));
        }
        let alone = self.over(&SamplerOptions::default());
        let sound = alone.validate();
        sound.map_err(|error| Failure::Usage(error.to_string()))
    }

    /// The engine's options of a completion: what the flags say, and else what the model's authors advise.
    pub fn completion(&self, file: &ModelFile) -> Result<CompletionOptions> {
        let advised = file.completion_options()?;
        let seed = self.seed.unwrap_or_else(random_seed);
        let sampler = self.over(&advised.sampler).seed(seed);
        notes::detail(&format!("sampling: {sampler}, seed {seed}"));
        let options = advised
            .sampler(sampler)
            .max_tokens(self.count)
            .ignore_end(self.ignore_end)
            .special(self.special);
        Ok(self.stop.iter().fold(options, CompletionOptions::stop))
    }

    /// A sampler with the numbers that the flags give, and else those of another.
    fn over(&self, sampler: &SamplerOptions) -> SamplerOptions {
        let cold = self.greedy.then_some(0.0);
        SamplerOptions::default()
            .temperature(cold.or(self.temperature).unwrap_or(sampler.temperature))
            .top_k(self.top_k.unwrap_or(sampler.top_k))
            .top_p(self.top_p.unwrap_or(sampler.top_p))
            .min_p(self.min_p.unwrap_or(sampler.min_p))
            .repeat_penalty(self.repeat_penalty.unwrap_or(sampler.repeat_penalty))
            .frequency_penalty(self.frequency_penalty)
            .presence_penalty(self.presence_penalty)
    }
}

/// The standard library seeds its hash maps from the system's random numbers; 32 bits of one such seed are short enough to type.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}
