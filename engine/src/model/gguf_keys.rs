//! Keys that GGUF has for numbers of models which are run with one value only. The names are those of llama.cpp's `gguf-py`.

use super::{
    families::{Family, Temperatures},
    keys::Keys,
};
use crate::{Error, Result, Unsupported, file::Value};

/// Value that changes nothing.
enum Neutral {
    /// 0, false, or an empty text.
    Off,
    /// 0, or the number.
    Number(f64),
    /// 0, or the value of another key.
    Same(&'static str),
}

/// Keys that change what is computed, and are run with a value that does not.
#[rustfmt::skip] // a table
const NEUTRAL: &[(&str, Neutral)] = &[
    ("expert_chunk_feed_forward_length", Neutral::Off),
    ("expert_group_scale",               Neutral::Number(1.0)),
    ("experts_per_group",                Neutral::Off),
    ("n_deepstack_layers",               Neutral::Off),
    ("router_logit_softcapping",         Neutral::Off),
    ("swin_norm",                        Neutral::Off),
    ("rescale_every_n_layers",           Neutral::Off),
    ("activation_sparsity_scale",        Neutral::Off),
    ("embedding_length_out",             Neutral::Same("embedding_length")),
    ("swiglu_clamp_exp",                 Neutral::Off),
    ("swiglu_clamp_shexp",               Neutral::Off),
    ("attention.max_alibi_bias",         Neutral::Off),
    ("attention.clamp_kqv",              Neutral::Off),
    ("attention.q_lora_rank",            Neutral::Off),
    ("attention.kv_lora_rank",           Neutral::Off),
    ("attention.relative_buckets_count", Neutral::Off),
    ("attention.output_scale",           Neutral::Number(1.0)),
    ("attention.temperature_length",     Neutral::Off),
    ("attention.temperature_scale",      Neutral::Off),
    ("attention.key_length_mla",         Neutral::Off),
    ("attention.value_length_mla",       Neutral::Off),
];

/// Keys among those that are read where attention is latent.
const LATENT: &[&str] = &[
    "attention.q_lora_rank",
    "attention.kv_lora_rank",
    "attention.key_length_mla",
    "attention.value_length_mla",
];

impl Neutral {
    fn holds(&self, value: &Value, keys: &Keys) -> bool {
        let wanted = match self {
            Neutral::Off => 0.0,
            Neutral::Number(number) => *number,
            Neutral::Same(key) => {
                let other = keys.metadata().get(&keys.key(key)).and_then(number);
                return number(value).is_some_and(|v| v == 0.0 || Some(v) == other);
            }
        };
        #[expect(clippy::float_cmp, reason = "files have the very number, or another")]
        let is = |v: f64| v == 0.0 || v == wanted;
        match value {
            Value::Text(text) => text.is_empty(),
            Value::Integers(all) => all.iter().all(|&v| is(v as f64)),
            Value::Floats(all) => all.iter().all(|&v| is(v)),
            _ => number(value).is_some_and(is),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Unsigned(v) => Some(*v as f64),
        Value::Signed(v) => Some(*v as f64),
        Value::Float(v) => Some(*v),
        Value::Bool(v) => Some(f64::from(u8::from(*v))),
        _ => None,
    }
}

/// Refuses keys that change what is computed and are not run.
///
/// # Errors
/// [`Error::Unsupported`] names the key and its value.
pub(super) fn check(keys: &Keys, family: &Family) -> Result<()> {
    let read = |name: &str| match name {
        "attention.temperature_scale" => {
            [Temperatures::All, Temperatures::Stated].contains(&family.temperature)
        }
        "attention.temperature_length" => family.temperature == Temperatures::Stated,
        "attention.max_alibi_bias" => family.alibi.is_some(),
        name => family.latent && LATENT.contains(&name),
    };
    for (name, neutral) in NEUTRAL.iter().filter(|(name, _)| !read(name)) {
        let key = keys.key(name);
        match keys.metadata().get(&key) {
            Some(value) if !neutral.holds(value, keys) => {
                return Err(Error::unsupported(
                    Unsupported::Setting,
                    format!(
                        "metadata {key} is {value}, which changes what is computed and is not run here"
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
