//! How a model's authors advise to generate with it: `general.sampling.…` of a GGUF file. What `generation_config.json` of a
//! folder says has become the same keys.

use super::completion::CompletionOptions;
use crate::{Error, ModelFile, Result, SamplerOptions, Unsupported, file::Metadata};

/// The order of samplers here, by llama.cpp's names; DRY is not run, and does nothing where nothing is asked of it.
const SEQUENCE: &str = "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature";

/// Keys of `general.sampling.`, and the settings that they are.
const ADVISED: [(&str, &str); 8] = [
    ("temp", "temperature"),
    ("top_p", "top_p"),
    ("min_p", "min_p"),
    ("xtc_probability", "xtc_probability"),
    ("xtc_threshold", "xtc_threshold"),
    ("mirostat", "mirostat"),
    ("mirostat_tau", "mirostat_tau"),
    ("mirostat_eta", "mirostat_eta"),
];

impl ModelFile {
    /// Options of a completion as the model's authors advise, with Lantern's own where they say nothing.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where they ask for what is not done here, [`Error::BadFile`] for a value that makes no sense.
    pub fn completion_options(&self) -> Result<CompletionOptions> {
        let metadata = self.metadata();
        if let Some(message) = metadata.text("lantern.generation.refused")? {
            let message = message.to_owned();
            return Err(Error::unsupported(Unsupported::Setting, message));
        }
        let sampler = suppressed(metadata)?
            .iter()
            .fold(sampler(metadata)?, |sampler, &token| {
                sampler.bias(token, f32::NEG_INFINITY)
            });
        let options = CompletionOptions::default().sampler(sampler);
        let stops = metadata.texts("lantern.generation.stop")?;
        let stops = stops.unwrap_or_default().iter();
        Ok(stops.fold(options, CompletionOptions::stop))
    }
}

/// Tokens of the vocabulary that are never generated.
fn suppressed(metadata: &Metadata) -> Result<Vec<u32>> {
    let all = metadata.integers("lantern.generation.suppressed")?;
    let family = metadata.text("general.architecture")?.unwrap_or_default();
    let count = metadata.u32(&format!("{family}.vocab_size"))?;
    let known = |id: &u32| count.is_none_or(|count| *id < count);
    let ids = all.unwrap_or_default().iter();
    Ok(ids
        .filter_map(|&id| u32::try_from(id).ok())
        .filter(known)
        .collect())
}

fn sampler(metadata: &Metadata) -> Result<SamplerOptions> {
    let key = |name: &str| format!("general.sampling.{name}");
    let number = |name: &str| metadata.f32(&key(name));
    let refuse = |name: &str| {
        let (key, value) = (key(name), metadata.get(&key(name)));
        let value = value.map_or_else(String::new, ToString::to_string);
        let message = format!(
            "metadata {key} is {value}, which changes what is generated and is not done here"
        );
        Err(Error::unsupported(Unsupported::Setting, message))
    };
    if number("mirostat")?.is_some_and(|version| version as u32 == 1) {
        return refuse("mirostat");
    }
    if metadata
        .text(&key("sequence"))?
        .is_some_and(|order| order != SEQUENCE)
    {
        return refuse("sequence");
    }
    let mut sampler = SamplerOptions::default();
    let repeat = number("penalty_repeat")?.unwrap_or(sampler.repeat_penalty);
    // Tokens back that are penalised: -1 is all, as here.
    let repeat_penalty = match number("penalty_last_n")? {
        Some(0.0) => 1.0,
        #[expect(clippy::float_cmp, reason = "1 is what is given to have no penalty")]
        Some(last) if last > 0.0 && repeat != 1.0 => return refuse("penalty_last_n"),
        _ => repeat,
    };
    sampler.repeat_penalty = repeat_penalty;
    if let Some(top_k) = number("top_k")? {
        sampler.top_k = top_k as u32; // 0 and less is all
    }
    let mut sound = Ok(());
    for (key, name) in ADVISED {
        if let Some(value) = number(key)? {
            sound = sound.and(sampler.set(name, value.into()));
        }
    }
    let sound = sound.and(sampler.validate());
    sound.map_err(|error| Error::bad_file(format!("metadata general.sampling: {error}")))?;
    Ok(sampler)
}
