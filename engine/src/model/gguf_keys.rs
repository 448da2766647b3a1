//! Keys that GGUF has for numbers of models: each is read, changes nothing that is computed, or is run with one value only.
//! The names are those of llama.cpp's `gguf-py`; of keys that it has no name for, no program knows the meaning.

use super::{families, keys::Keys};
use crate::{
    Error, ModelFile, Result, Unsupported,
    file::{KeyUse, Value},
};

/// Keys behind the family's name that [`Config`](super::config::Config) reads.
const READ: &[&str] = &[
    "vocab_size",
    "context_length",
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "expert_feed_forward_length",
    "expert_count",
    "expert_used_count",
    "nextn_predict_layers",
    "full_attention_interval",
    "logit_scale",
    "residual_scale",
    "embedding_scale",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.scale",
    "attention.recurrent_layers",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "ssm.conv_kernel",
    "ssm.inner_size",
    "ssm.state_size",
    "ssm.time_step_rank",
    "ssm.group_count",
];

/// Keys that change nothing that is computed here, and why.
#[rustfmt::skip] // a table
const HARMLESS: &[(&str, &str)] = &[
    ("rope.scaling.finetuned",   "says how the model was trained"),
    ("rope.dimension_sections",  "the positions of text are the same in each section"),
    ("tensor_data_layout",       "tensors are found by name"),
    ("pooling_type",             "for embeddings of whole texts"),
    ("expert_weights_norm",      "the family says it"),
];

/// Value that changes nothing.
enum Neutral {
    /// 0, false, or an empty text.
    Off,
    /// 0, or the number.
    Number(f64),
    /// true
    True,
    /// 0, or the value of another key.
    Same(&'static str),
}

/// Keys that change what is computed, and are run with a value that does not.
#[rustfmt::skip] // a table
const NEUTRAL: &[(&str, Neutral)] = &[
    ("use_parallel_residual",            Neutral::Off),
    ("leading_dense_block_count",        Neutral::Off),
    ("expert_shared_feed_forward_length", Neutral::Off),
    ("expert_chunk_feed_forward_length", Neutral::Off),
    ("expert_shared_count",              Neutral::Off),
    ("expert_group_count",               Neutral::Number(1.0)),
    ("expert_group_used_count",          Neutral::Number(1.0)),
    ("expert_weights_scale",             Neutral::Number(1.0)),
    ("expert_gating_func",               Neutral::Number(1.0)),
    ("expert_group_scale",               Neutral::Number(1.0)),
    ("experts_per_group",                Neutral::Off),
    ("moe_every_n_layers",               Neutral::Number(1.0)),
    ("moe_latent_size",                  Neutral::Off),
    ("n_deepstack_layers",               Neutral::Off),
    ("router_logit_softcapping",         Neutral::Off),
    ("swin_norm",                        Neutral::Off),
    ("rescale_every_n_layers",           Neutral::Off),
    ("interleave_moe_layer_step",        Neutral::Number(1.0)),
    ("activation_sparsity_scale",        Neutral::Off),
    ("embedding_length_per_layer_input", Neutral::Off),
    ("embedding_length_out",             Neutral::Same("embedding_length")),
    ("swiglu_clamp_exp",                 Neutral::Off),
    ("swiglu_clamp_shexp",               Neutral::Off),
    ("attention.causal",                 Neutral::True),
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
    ("attention.key_length_swa",         Neutral::Same("attention.key_length")),
    ("attention.value_length_swa",       Neutral::Same("attention.value_length")),
    ("attention.shared_kv_layers",       Neutral::Off),
    ("rope.dimension_count_swa",         Neutral::Same("rope.dimension_count")),
    ("rope.scaling.alpha",               Neutral::Off),
    ("rope.scaling.yarn_log_multiplier", Neutral::Off),
    ("rope.scaling.yarn_ext_factor",     Neutral::Number(1.0)),
    ("rope.scaling.yarn_attn_factor",    Neutral::Number(1.0)),
    ("ssm.dt_b_c_rms",                   Neutral::Off),
];

impl Neutral {
    fn holds(&self, value: &Value, keys: &Keys) -> bool {
        let wanted = match self {
            Neutral::True => return *value == Value::Bool(true),
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
pub(super) fn check(keys: &Keys) -> Result<()> {
    for (name, neutral) in NEUTRAL {
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

impl ModelFile {
    /// Keys of the model's settings, in the file's order of names, each with what becomes of it: of `config.json` and the
    /// tokenizer's files where the model is a folder, of the header where it is a GGUF file.
    pub fn key_uses(&self) -> Vec<KeyUse> {
        if let Some(uses) = self.folder_key_uses() {
            return uses.to_vec();
        }
        let prefix = families::family(self.metadata()).map_or("", |(_, prefix)| prefix);
        let each = |key: &String| {
            let name = key.strip_prefix(prefix).and_then(|k| k.strip_prefix('.'));
            KeyUse::new(key, passed_over(key, name))
        };
        self.metadata().0.keys().map(each).collect()
    }
}

/// Reason why nothing reads `key`, which is `name` behind the family's name; none where it is read.
fn passed_over(key: &str, name: Option<&str>) -> Option<&'static str> {
    let read = ["general.architecture", "general.name", "general.alignment"];
    if read.contains(&key) || key.starts_with("split.") || key.starts_with("tokenizer.") {
        return None;
    }
    if key.starts_with("general.") {
        return Some("describes the file");
    }
    let Some(name) = name else {
        return Some("says nothing of this model");
    };
    match HARMLESS.iter().find(|(harmless, _)| *harmless == name) {
        Some((_, why)) => Some(why),
        None if READ.contains(&name) || NEUTRAL.iter().any(|(key, _)| *key == name) => None,
        None => Some("no key of GGUF's"),
    }
}
