//! The flags that choose how tokens are sampled, shared by run and chat.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
};

use lantern_engine::{CompletionOptions, Grammar, ModelFile, SamplerOptions};

use crate::{
    failure::{Failure, Result},
    files, notes, numbers,
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
    /// Thoughts of a model before its answer: `auto` splits them off (dim at a terminal, left out of files and pipes,
    /// `reasoning_content` in JSON), `none` leaves them in the text as the model marks them
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    reasoning_format: ReasoningFormat,
    /// Tokens that a model may think for, after which its thoughts are closed; 0 is none [default: as it likes]
    #[arg(long, value_name = "N", value_parser = numbers::from_zero, allow_negative_numbers = true)]
    reasoning_budget: Option<usize>,
    /// Take texts of control tokens in the prompt, as <|im_end|>, for those tokens, not for text
    #[arg(long)]
    special: bool,
    /// Answer with JSON that is valid by this JSON Schema: a file, or the schema itself
    #[arg(long, value_name = "FILE|SCHEMA", group = "form")]
    json_schema: Option<String>,
    /// Answer with text that this regular expression matches as a whole
    #[arg(long, value_name = "REGEX", group = "form", allow_hyphen_values = true)]
    regex: Option<String>,
    /// Answer with text of this grammar in Lark's form: a file, or the grammar itself
    #[arg(long, value_name = "FILE|GRAMMAR", group = "form")]
    grammar: Option<String>,
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
    /// Sample from the fewest tokens about as surprising as the average that have this probability together; 1 is all
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    typical_p: Option<f32>,
    /// Leave out tokens whose logits are so many standard deviations below the largest; 0 is none
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    top_n_sigma: Option<f32>,
    /// How often to leave out the most likely tokens but one (XTC), as a probability; 0 is never
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    xtc_probability: Option<f32>,
    /// How likely tokens are that XTC leaves out [default: 0.1]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    xtc_threshold: Option<f32>,
    /// Lower the temperature by up to this where the model is certain, and raise it where it is not; 0 is off
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    dynatemp_range: Option<f32>,
    /// Exponent of how certain the model is in that [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    dynatemp_exponent: Option<f32>,
    /// Keep tokens about equally surprising, in the place of top-k to XTC: 2 is version 2, 0 is off
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    mirostat: Option<u32>,
    /// Surprise that mirostat aims at, in bits [default: 5]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    mirostat_tau: Option<f32>,
    /// How fast mirostat gets there [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    mirostat_eta: Option<f32>,
    /// Add this to the logit of a token, as 15043+1 or 15043-1.5; `15043-inf` rules it out; may be given several times
    #[arg(long, value_name = "TOKEN(+/-)BIAS", value_parser = bias, allow_hyphen_values = true)]
    logit_bias: Vec<(u32, f32)>,
    /// Take this off a token's logit for every time it was there; 0 is off
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    frequency_penalty: Option<f32>,
    /// Take this off the logits of tokens that were there; 0 is off
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    presence_penalty: Option<f32>,
    /// The same seed gives the same text on the same adapter [default: random, shown by -v]
    #[arg(long, value_name = "N", value_parser = numbers::seed, allow_negative_numbers = true)]
    seed: Option<u64>,
}

/// Use of a model's thoughts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum ReasoningFormat {
    #[default]
    Auto,
    None,
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
        let sound = alone.and_then(|alone| alone.validate());
        sound.map_err(|error| Failure::Usage(error.to_string()))
    }

    /// The engine's options of a completion: what the flags say, and else what the model's authors advise.
    pub fn completion(&self, file: &ModelFile) -> Result<CompletionOptions> {
        let advised = file.completion_options()?;
        let seed = self.seed.unwrap_or_else(random_seed);
        let sampler = self.over(&advised.sampler)?.seed(seed);
        notes::detail(&format!("sampling: {sampler}, seed {seed}"));
        let options = advised
            .sampler(sampler)
            .max_tokens(self.count)
            .ignore_end(self.ignore_end)
            .grammar(self.form()?)
            .special(self.special)
            .reasoning_budget(self.reasoning_budget)
            .thoughts_in_text(self.reasoning_format == ReasoningFormat::None);
        Ok(self.stop.iter().fold(options, CompletionOptions::stop))
    }

    /// Form that the answer must have.
    fn form(&self) -> Result<Option<Grammar>> {
        if let Some(text) = &self.json_schema {
            let own =
                text.trim_start().starts_with(['{', '"']) || ["true", "false"].contains(&&**text);
            let text = if own {
                text.clone()
            } else {
                files::read_text(Path::new(text))?
            };
            let schema = serde_json::from_str(&text);
            let schema = schema
                .map_err(|error| Failure::Usage(format!("--json-schema is not JSON: {error}")))?;
            return Ok(Some(Grammar::JsonSchema(schema)));
        }
        if let Some(text) = &self.grammar {
            let own = text.contains(':');
            let text = if own {
                text.clone()
            } else {
                files::read_text(Path::new(text))?
            };
            return Ok(Some(Grammar::Lark(text)));
        }
        Ok(self.regex.clone().map(Grammar::Regex))
    }

    /// A sampler with the numbers that the flags give, and else those of another.
    fn over(&self, sampler: &SamplerOptions) -> lantern_engine::Result<SamplerOptions> {
        let cold = self.greedy.then_some(0.0);
        let given = [
            ("temperature", cold.or(self.temperature)),
            ("top_k", self.top_k.map(|k| k as f32)),
            ("top_p", self.top_p),
            ("min_p", self.min_p),
            ("typical_p", self.typical_p),
            ("top_n_sigma", self.top_n_sigma),
            ("xtc_probability", self.xtc_probability),
            ("xtc_threshold", self.xtc_threshold),
            ("dynatemp_range", self.dynatemp_range),
            ("dynatemp_exponent", self.dynatemp_exponent),
            ("mirostat", self.mirostat.map(|version| version as f32)),
            ("mirostat_tau", self.mirostat_tau),
            ("mirostat_eta", self.mirostat_eta),
            ("repeat_penalty", self.repeat_penalty),
            ("frequency_penalty", self.frequency_penalty),
            ("presence_penalty", self.presence_penalty),
        ];
        let mut sampler = sampler.clone();
        for (name, value) in given {
            if let Some(value) = value {
                sampler.set(name, value.into())?;
            }
        }
        sampler.logit_bias.extend(&self.logit_bias);
        Ok(sampler)
    }
}

/// `15043-1.5`: a token and the bias of its logit.
fn bias(text: &str) -> std::result::Result<(u32, f32), String> {
    let wrong = || format!("{text} is not a token and its bias, as 15043+1 or 15043-1.5");
    let sign = text.find(['+', '-']).ok_or_else(wrong)?;
    let token = text[..sign].parse().map_err(|_| wrong())?;
    let bias: f32 = text[sign..].parse().map_err(|_| wrong())?;
    if bias.is_nan() {
        return Err(wrong());
    }
    Ok((token, bias))
}

/// The standard library seeds its hash maps from the system's random numbers; 32 bits of one such seed are short enough to type.
pub fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}
