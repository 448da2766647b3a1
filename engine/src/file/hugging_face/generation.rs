//! `generation_config.json`: the sampling that a model's authors advise, under the keys that GGUF has for it. What changes
//! which text `transformers` would generate, and is not done here, is refused when a text is to be generated.

use super::{
    super::{KeyUse, Value},
    json::{Object, shown},
    tokenizer::Entries,
};
use crate::Result;

pub(super) const FILE: &str = "generation_config.json";

/// Key of the message for who would generate, where that is refused.
pub(super) const REFUSED: &str = "lantern.generation.refused";

/// Key of the ids of tokens that never follow.
const SUPPRESSED: &str = "lantern.generation.suppressed";

/// Part that a key of `generation_config.json` plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GenerationKey {
    /// The text that is generated depends on it.
    Read,
    /// Nothing depends on it, and why.
    Harmless(&'static str),
    /// Refused, unless it is this number, false, empty or null.
    Only(f64),
}

use GenerationKey::{Harmless, Only, Read};

const LENGTH: GenerationKey = Harmless("who asks for a text says how long it may be");
const BEAMS: GenerationKey = Harmless("is for beams, which num_beams switches");
const CACHE: GenerationKey = Harmless("the cache gives what computing anew gives");
const OUTPUT: GenerationKey = Harmless("adds an output");
const DRAFT: GenerationKey = Harmless("drafts change the speed, not the text");
const SPEED: GenerationKey = Harmless("ways to compute the same");
const ORIGIN: GenerationKey = Harmless("says where the file came from");

/// Keys of `generation_config.json` in transformers 5.24 and before. It keeps any other, and does nothing with it.
#[rustfmt::skip] // a table
pub const GENERATION_KEYS: &[(&str, GenerationKey)] = &[
    ("eos_token_id", Read), ("do_sample", Read), ("temperature", Read), ("top_k", Read), ("top_p", Read), ("min_p", Read),
    ("repetition_penalty", Read), ("stop_strings", Read), ("suppress_tokens", Read),
    ("max_length", LENGTH), ("max_new_tokens", LENGTH), ("max_time", LENGTH),
    ("min_length", Only(0.0)), ("min_new_tokens", Only(0.0)),
    ("num_beams", Only(1.0)), ("num_beam_groups", Only(1.0)), ("num_return_sequences", Only(1.0)),
    ("early_stopping", BEAMS), ("length_penalty", BEAMS), ("diversity_penalty", BEAMS),
    ("constraints", Only(0.0)), ("force_words_ids", Only(0.0)),
    ("top_h", Only(0.0)), ("typical_p", Only(1.0)), ("epsilon_cutoff", Only(0.0)), ("eta_cutoff", Only(0.0)),
    ("penalty_alpha", Only(0.0)), ("dola_layers", Only(0.0)), ("guidance_scale", Only(1.0)),
    ("encoder_repetition_penalty", Only(1.0)), ("no_repeat_ngram_size", Only(0.0)),
    ("encoder_no_repeat_ngram_size", Only(0.0)), ("bad_words_ids", Only(0.0)), ("sequence_bias", Only(0.0)),
    ("begin_suppress_tokens", Only(0.0)), ("forced_bos_token_id", Only(0.0)),
    ("forced_eos_token_id", Only(0.0)), ("exponential_decay_length_penalty", Only(0.0)),
    ("watermarking_config", Only(0.0)), ("token_healing", Only(0.0)),
    ("renormalize_logits", Harmless("tokens are sampled by their shares of what is left")),
    ("remove_invalid_values", Harmless("logits that are not finite are an error")),
    ("bos_token_id", Harmless("the tokenizer says what goes before a text")),
    ("decoder_start_token_id", Harmless("is for models with an encoder")),
    ("pad_token_id", Harmless("nothing is padded")),
    ("use_cache", CACHE), ("cache_implementation", CACHE), ("cache_config", CACHE), ("max_cache_len", CACHE),
    ("return_legacy_cache", CACHE), ("low_memory", SPEED), ("compile_config", SPEED), ("disable_compile", SPEED),
    ("prefill_chunk_size", SPEED), ("continuous_batching_config", SPEED), ("use_mtp", DRAFT),
    ("is_assistant", DRAFT), ("num_assistant_tokens", DRAFT), ("num_assistant_tokens_schedule", DRAFT),
    ("assistant_confidence_threshold", DRAFT), ("prompt_lookup_num_tokens", DRAFT), ("max_matching_ngram_size", DRAFT),
    ("assistant_early_exit", DRAFT), ("assistant_lookbehind", DRAFT), ("target_lookbehind", DRAFT),
    ("assistant_ensemble_weight", DRAFT), ("speculation_type", DRAFT),
    ("output_attentions", OUTPUT), ("output_hidden_states", OUTPUT), ("output_scores", OUTPUT),
    ("output_logits", OUTPUT), ("return_dict_in_generate", OUTPUT),
    ("_from_model_config", ORIGIN), ("transformers_version", ORIGIN), ("_commit_hash", ORIGIN),
];

/// Keys of the file, and how each is used.
pub(super) fn uses(generation: &Object) -> Vec<KeyUse> {
    let each = |key: &String| {
        let passed_over = match GENERATION_KEYS.iter().find(|(name, _)| name == key) {
            Some((_, Harmless(why))) => Some(*why),
            Some(_) => None,
            None => Some("transformers does nothing with it"),
        };
        KeyUse::new(&format!("{FILE}: {key}"), passed_over)
    };
    generation.map.keys().map(each).collect()
}

/// The sampling that it asks for, as metadata. With `do_sample` what it leaves out is as `transformers` has it, and without
/// as the reader has it; `do_sample: false` is the likeliest token always.
///
/// # Errors
/// [`Error::BadFile`](crate::Error::BadFile) for a value that makes no sense.
pub(super) fn metadata(generation: &Object) -> Result<Entries> {
    let mut all = Entries::new();
    let between = |key: &str, min: f64, max: f64| {
        let value = generation.number(key)?;
        match value {
            Some(v) if !(min..=max).contains(&v) => {
                Err(generation.wrong(key, &format!("a number from {min} to {max}")))
            }
            other => Ok(other),
        }
    };
    let sampled = generation.boolean("do_sample")?;
    let drawn = sampled == Some(true);
    let missing = |value: f64| drawn.then_some(value);
    let temperature = between("temperature", 0.0, 100.0)?.or(missing(1.0));
    let cold = (sampled == Some(false)).then_some(0.0);
    let numbers = [
        ("temp", cold.or(temperature)),
        ("top_p", between("top_p", 0.0, 1.0)?.or(missing(1.0))),
        ("min_p", between("min_p", 0.0, 1.0)?.or(missing(0.0))),
        (
            "penalty_repeat",
            between("repetition_penalty", 0.01, 100.0)?,
        ),
    ];
    for (name, value) in numbers {
        all.extend(value.map(|v| (format!("general.sampling.{name}"), Value::Float(v))));
    }
    let top_k = generation.whole("top_k")?.or(drawn.then_some(50));
    all.extend(top_k.map(|v| {
        let most = v.min(u32::MAX.into());
        ("general.sampling.top_k".to_owned(), Value::Unsigned(most))
    }));
    if let Some(stop) = stop(generation)? {
        all.insert("lantern.generation.stop".to_owned(), Value::Texts(stop));
    }
    if let Some(tokens) = suppressed(generation)? {
        all.insert(SUPPRESSED.to_owned(), Value::Integers(tokens));
    }
    if let Some(refused) = refused(generation) {
        all.insert(REFUSED.to_owned(), Value::Text(refused));
    }
    Ok(all)
}

/// `suppress_tokens`: ids of tokens that never follow.
fn suppressed(generation: &Object) -> Result<Option<Vec<i64>>> {
    let key = "suppress_tokens";
    let Some(value) = generation.get(key).filter(|value| **value != false) else {
        return Ok(None);
    };
    let id = |id: &serde_json::Value| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        id.map(i64::from)
    };
    let all = value.as_array().map(|all| all.iter().map(id).collect());
    let all: Option<Vec<i64>> = all.flatten();
    let all = all.ok_or_else(|| generation.wrong(key, "a list of tokens' ids"))?;
    Ok((!all.is_empty()).then_some(all))
}

/// `stop_strings`: a text, or several.
fn stop(generation: &Object) -> Result<Option<Vec<String>>> {
    let Some(value) = generation.get("stop_strings") else {
        return Ok(None);
    };
    let texts: Option<Vec<String>> = match value {
        serde_json::Value::Array(all) => all
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect(),
        one => one.as_str().map(|text| vec![text.to_owned()]),
    };
    let sound = texts.filter(|all| all.iter().all(|text| !text.is_empty()));
    let sound = sound.ok_or_else(|| generation.wrong("stop_strings", "a text or a list of texts"));
    sound.map(Some)
}

/// The first key that changes what is generated and is not done here.
fn refused(generation: &Object) -> Option<String> {
    use serde_json::Value as Json;
    for (key, role) in GENERATION_KEYS {
        let (Only(neutral), Some(value)) = (role, generation.get(key)) else {
            continue;
        };
        let is_neutral = match value {
            Json::Bool(set) => !set,
            Json::Array(all) => all.is_empty(),
            Json::Object(map) => map.is_empty(),
            Json::String(text) => text.is_empty(),
            // Ids of tokens count from 0.
            _ if key.ends_with("_token_id") => false,
            other => other.as_f64() == Some(*neutral),
        };
        if !is_neutral {
            return Some(format!(
                "{}: {key} is {}, which changes what is generated and is not done here; delete the key to generate without it",
                generation.label,
                shown(value)
            ));
        }
    }
    None
}
