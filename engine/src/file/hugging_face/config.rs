//! `config.json` as GGUF's metadata: a row for each architecture, a line for each number. What is not run is an error here,
//! or is passed on to the rows of families, which say what each runs.

use std::collections::BTreeMap;

use super::{super::Value, json::Object, layers, rows::Row, switches};
use crate::{Error, Result, Unsupported, file::short};

/// How a number is written.
enum Kind {
    Whole,
    Number,
}
use Kind::{Number, Whole};

/// Key of `config.json`, key of GGUF behind the family's name.
#[rustfmt::skip] // a table
const KEYS: &[(&str, &str, Kind)] = &[
    ("num_hidden_layers",       "block_count",                      Whole),
    ("hidden_size",             "embedding_length",                 Whole),
    ("num_attention_heads",     "attention.head_count",             Whole),
    ("num_key_value_heads",     "attention.head_count_kv",          Whole),
    ("head_dim",                "attention.key_length",             Whole),
    ("head_dim",                "attention.value_length",           Whole),
    ("intermediate_size",       "feed_forward_length",              Whole),
    ("num_local_experts",       "expert_count",                     Whole),
    ("num_experts",             "expert_count",                     Whole),
    ("num_experts_per_tok",     "expert_used_count",                Whole),
    ("moe_intermediate_size",   "expert_feed_forward_length",       Whole),
    ("vocab_size",              "vocab_size",                       Whole),
    ("max_position_embeddings", "context_length",                   Whole),
    ("n_layer",                 "block_count",                      Whole),
    ("n_embd",                  "embedding_length",                 Whole),
    ("n_head",                  "attention.head_count",             Whole),
    ("n_inner",                 "feed_forward_length",              Whole),
    ("n_positions",             "context_length",                   Whole),
    ("layer_norm_epsilon",      "attention.layer_norm_epsilon",     Number),
    ("rms_norm_eps",            "attention.layer_norm_rms_epsilon", Number),
    ("attn_logit_softcapping",  "attn_logit_softcapping",           Number),
    ("final_logit_softcapping", "final_logit_softcapping",          Number),
    ("embedding_multiplier",    "embedding_scale",                  Number),
    ("residual_multiplier",     "residual_scale",                   Number),
    ("attention_multiplier",    "attention.scale",                  Number),
    ("logits_scaling",          "logit_scale",                      Number),
];

/// Metadata of the model as GGUF has it, without rotary embedding and tokenizer.
pub(super) fn metadata(config: &Object, row: &Row) -> Result<BTreeMap<String, Value>> {
    check_stored(config)?;
    switches::check(config, row)?;
    for &key in row.required {
        if config.get(key).is_none() {
            return Err(config.wrong(key, "a number"));
        }
    }
    let key = |name: &str| format!("{}.{name}", row.family);
    let mut all = BTreeMap::new();
    for (theirs, ours, kind) in KEYS.iter().filter(|(key, ..)| row.knows(key)) {
        let value = match kind {
            Whole => config.whole(theirs)?.map(Value::Unsigned),
            Number => config.number(theirs)?.map(Value::Float),
        };
        all.extend(value.map(|value| (key(ours), value)));
    }
    let width = all.get(&key("embedding_length"));
    if let (Some(&Value::Unsigned(width)), "gpt2") = (width, row.family) {
        // What is meant where `n_inner` is missing.
        let inner = Value::Unsigned(width.saturating_mul(4));
        all.entry(key("feed_forward_length")).or_insert(inner);
    }
    let scalar = config.number("query_pre_attn_scalar")?;
    if let Some(scalar) = scalar.filter(|_| row.knows("query_pre_attn_scalar")) {
        if scalar <= 0.0 {
            return Err(config.wrong("query_pre_attn_scalar", "a number above 0"));
        }
        all.insert(key("attention.scale"), Value::Float(scalar.powf(-0.5)));
    }
    let none = KEYS.iter().filter(|(theirs, ..)| config.is_null(theirs));
    let none: Vec<String> = none.map(|(_, ours, _)| (*ours).to_owned()).collect();
    all.insert("lantern.none".into(), Value::Texts(none));
    all.extend(layers::metadata(config, row)?);
    let text = |text: &str| Value::Text(text.to_owned());
    for act in ["hidden_activation", "hidden_act", "activation_function"] {
        if let Some(name) = config.text(act)?.filter(|_| row.knows(act)) {
            all.insert(format!("lantern.config.{act}"), text(name));
        }
    }
    all.insert("general.architecture".into(), text(row.family));
    all.insert("lantern.rope_style".into(), text("neox"));
    if row.norm_offset {
        all.insert("lantern.norm_offset".into(), Value::Float(1.0));
    }
    Ok(all)
}

/// Refuses weights that are stored in other types.
fn check_stored(config: &Object) -> Result<()> {
    let Some(quantised) = config.object("quantization_config")? else {
        return Ok(());
    };
    let method = quantised.text("quant_method")?.unwrap_or("unknown");
    Err(Error::unsupported(Unsupported::StoredType, format!(
        "the weights are quantised ({}); of safetensors, only F32, F16 and BF16 are run here: take the model's original, or a GGUF file of it",
        short(method)
    ))
    .in_file(&config.label))
}
