//! The flags that choose how tokens are sampled, shared by run and chat.

use std::hash::{BuildHasher, Hasher, RandomState};

use lantern_engine::{CompletionOptions, SamplerOptions};

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
    /// 0 is greedy; higher is more daring
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.8,
        allow_negative_numbers = true
    )]
    temperature: f32,
    /// Sample from the K most likely tokens; 0 is all
    #[arg(
        long,
        value_name = "K",
        default_value_t = 40,
        allow_negative_numbers = true
    )]
    top_k: u32,
    /// Sample from the fewest tokens that have this probability together; 1 is all
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.95,
        allow_negative_numbers = true
    )]
    top_p: f32,
    /// Leave out tokens less likely than this share of the most likely one; 0 is none
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.05,
        allow_negative_numbers = true
    )]
    min_p: f32,
    /// Divide the logits of tokens that were there by this; 1 is off
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    repeat_penalty: f32,
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
    /// The engine's options of a completion, checked.
    pub fn completion(&self) -> Result<CompletionOptions> {
        let options = CompletionOptions::default()
            .sampler(self.options()?)
            .max_tokens(self.count)
            .ignore_end(self.ignore_end)
            .special(self.special);
        Ok(self.stop.iter().fold(options, CompletionOptions::stop))
    }

    /// The engine's options of its sampler, checked.
    fn options(&self) -> Result<SamplerOptions> {
        if self.stop.iter().any(String::is_empty) {
            return Err(Failure::Usage(
                "--stop needs a text that is not empty".to_owned(),
            ));
        }
        let seed = self.seed.unwrap_or_else(random_seed);
        let options = SamplerOptions::default()
            .temperature(if self.greedy { 0.0 } else { self.temperature })
            .top_k(self.top_k)
            .top_p(self.top_p)
            .min_p(self.min_p)
            .repeat_penalty(self.repeat_penalty)
            .frequency_penalty(self.frequency_penalty)
            .presence_penalty(self.presence_penalty)
            .seed(seed);
        options
            .validate()
            .map_err(|error| Failure::Usage(error.to_string()))?;
        notes::detail(&format!("seed {seed}"));
        Ok(options)
    }
}

/// The standard library seeds its hash maps from the system's random numbers; 32 bits of one such seed are short enough to type.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}
