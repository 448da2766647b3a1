//! `config.json` as GGUF's metadata: a row for each architecture, a line for each number. What is not run is an error here,
//! or is passed on to the rows of families, which say what each runs.

use std::collections::BTreeMap;

use super::{super::Value, json::Object, layers, row::Row, switches};
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
    ("n_routed_experts",        "expert_count",                     Whole),
    ("moe_num_experts",         "expert_count",                     Whole),
    ("moe_k",                   "expert_used_count",                Whole),
    ("n_group",                 "expert_group_count",               Whole),
    ("topk_group",              "expert_group_used_count",          Whole),
    ("routed_scaling_factor",   "expert_weights_scale",             Number),
    ("linear_conv_kernel_dim",  "ssm.conv_kernel",                  Whole),
    ("linear_key_head_dim",     "ssm.state_size",                   Whole),
    ("linear_num_key_heads",    "ssm.group_count",                  Whole),
    ("linear_num_value_heads",  "ssm.time_step_rank",               Whole),
    ("full_attention_interval", "full_attention_interval",          Whole),
    ("num_kv_shared_layers",    "attention.shared_kv_layers",       Whole),
    ("hidden_size_per_layer_input", "embedding_length_per_layer_input", Whole),
    ("top_k_experts",           "expert_used_count",                Whole),
    ("conv_L_cache",            "shortconv.l_cache",                Whole),
    ("vocab_size",              "vocab_size",                       Whole),
    ("max_position_embeddings", "context_length",                   Whole),
    ("n_layer",                 "block_count",                      Whole),
    ("n_embd",                  "embedding_length",                 Whole),
    ("n_head",                  "attention.head_count",             Whole),
    ("n_inner",                 "feed_forward_length",              Whole),
    ("n_positions",             "context_length",                   Whole),
    ("layer_norm_epsilon",      "attention.layer_norm_epsilon",     Number),
    ("layer_norm_eps",          "attention.layer_norm_epsilon",     Number),
    ("norm_epsilon",            "attention.layer_norm_epsilon",     Number),
    ("norm_eps",                "attention.layer_norm_rms_epsilon", Number),
    ("logit_scale",             "logit_scale",                      Number),
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
    check_stored(config, row)?;
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
    for &(name, number) in row.numbers {
        all.insert(key(name), Value::Unsigned(number));
    }
    let style = Value::Text("neox".to_owned());
    all.insert("lantern.rope_style".into(), style);
    for &(name, text) in row.texts {
        all.insert(name.to_owned(), Value::Text(text.to_owned()));
    }
    if let Some(values) = delta_net_values(config, row)? {
        all.insert(key("ssm.inner_size"), Value::Unsigned(values));
    }
    if let Some(width) = adjusted_width(config, row)? {
        all.insert(key("feed_forward_length"), Value::Unsigned(width));
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
    if row.norm_offset {
        all.insert("lantern.norm_offset".into(), Value::Float(1.0));
    }
    Ok(all)
}

/// Values of a row of a delta net, all heads together.
fn delta_net_values(config: &Object, row: &Row) -> Result<Option<u64>> {
    let [heads, each] = ["linear_num_value_heads", "linear_value_head_dim"];
    if !row.knows(heads) {
        return Ok(None);
    }
    let both = config.whole(heads)?.zip(config.whole(each)?);
    Ok(both.map(|(heads, each)| heads.saturating_mul(each)))
}

/// Width of the MLP, where a configuration has it before two thirds of it are taken and rounded up.
fn adjusted_width(config: &Object, row: &Row) -> Result<Option<u64>> {
    let key = "block_auto_adjust_ff_dim";
    if !row.knows(key) || config.boolean(key)? == Some(false) {
        return Ok(None);
    }
    let Some(width) = config.whole("intermediate_size")? else {
        return Ok(None);
    };
    let factor = config.number("block_ffn_dim_multiplier")?.unwrap_or(1.0);
    let multiple = config.whole("block_multiple_of")?.unwrap_or(256);
    if factor <= 0.0 {
        return Err(config.wrong("block_ffn_dim_multiplier", "a number above 0"));
    }
    if multiple == 0 {
        return Err(config.wrong("block_multiple_of", "a number above 0"));
    }
    let width = (factor * (width.saturating_mul(2) / 3) as f64) as u64;
    Ok(Some(width.div_ceil(multiple).saturating_mul(multiple)))
}

/// Refuses weights that are stored in other types.
fn check_stored(config: &Object, row: &Row) -> Result<()> {
    let Some(quantised) = config.object("quantization_config")? else {
        return Ok(());
    };
    let method = quantised.text("quant_method")?.unwrap_or("unknown");
    if row.packed && method == "mxfp4" {
        return Ok(());
    }
    Err(Error::unsupported(Unsupported::StoredType, format!(
        "the weights are quantised ({}); of safetensors, only F32, F16 and BF16 are run here: take the model's original, or a GGUF file of it",
        short(method)
    ))
    .in_file(&config.label))
}
