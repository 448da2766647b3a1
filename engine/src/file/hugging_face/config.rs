//! `config.json` as GGUF's metadata: a row for each architecture, a line for each number. What is not run is an error here,
//! or is passed on to the rows of families, which say what each runs.

use std::collections::BTreeMap;

use super::{
    super::Value,
    computed,
    json::Object,
    layers,
    row::{Rotated, Row},
    scans, switches,
};
use crate::{Error, Result, Unsupported, file::short};

/// How a number is written.
enum Kind {
    Whole,
    Number,
    Flag,
}
use Kind::{Flag, Number, Whole};

/// Key of `config.json`, key of GGUF behind the family's name, or a whole key of ours.
#[rustfmt::skip] // a table
const KEYS: &[(&str, &str, Kind)] = &[
    ("num_hidden_layers",       "block_count",                      Whole),
    ("hidden_size",             "embedding_length",                 Whole),
    ("num_attention_heads",     "attention.head_count",             Whole),
    ("num_key_value_heads",     "attention.head_count_kv",          Whole),
    ("head_dim",                "attention.key_length",             Whole),
    ("head_dim",                "attention.value_length",           Whole),
    ("intermediate_size",       "feed_forward_length",              Whole),
    ("intermediate_size_mlp",   "feed_forward_length",              Whole),
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
    ("norm_topk_prob",          "expert_weights_norm",              Flag),
    ("use_qk_norm",             "lantern.qk_norm",                  Flag),
    ("moe_latent_size",         "moe_latent_size",                  Whole),
    ("kv_lora_rank",            "attention.kv_lora_rank",           Whole),
    ("q_lora_rank",             "attention.q_lora_rank",            Whole),
    ("qk_rope_head_dim",        "rope.dimension_count",             Whole),
    ("v_head_dim",              "attention.value_length",           Whole),
    ("conv_kernel",             "ssm.conv_kernel",                  Whole),
    ("state_size",              "ssm.state_size",                   Whole),
    ("ssm_state_size",          "ssm.state_size",                   Whole),
    ("n_groups",                "ssm.group_count",                  Whole),
    ("mamba_d_conv",            "ssm.conv_kernel",                  Whole),
    ("mamba_d_state",           "ssm.state_size",                   Whole),
    ("mamba_n_groups",          "ssm.group_count",                  Whole),
    ("mixer_rms_eps",           "lantern.inner_norm_epsilon",       Number),
    ("moe_routed_scaling_factor", "expert_weights_scale",           Number),
    ("linear_conv_kernel_dim",  "ssm.conv_kernel",                  Whole),
    ("linear_head_dim",         "kda.head_dim",                     Whole),
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
    ("lm_head_multiplier",      "logit_scale",                      Number),
];

/// Keys that name activations.
const ACTIVATIONS: [&str; 5] = [
    "hidden_activation",
    "hidden_act",
    "activation_function",
    "mlp_hidden_act",
    "classifier_activation",
];

/// Refuses what is not run, and numbers that are missing.
pub(super) fn check(config: &Object, row: &Row) -> Result<()> {
    check_stored(config, row)?;
    switches::check(config, row)?;
    let mut required = row.required.iter();
    match required.find(|key| config.get(key).is_none()) {
        Some(key) => Err(config.wrong(key, "a number")),
        None => Ok(()),
    }
}

/// Metadata of the model as GGUF has it, without rotary embedding and tokenizer.
pub(super) fn metadata(config: &Object, row: &Row) -> Result<BTreeMap<String, Value>> {
    let key = |name: &str| {
        let own = name.starts_with("lantern.");
        let family = if own { "" } else { row.family };
        [family, name].join(if own { "" } else { "." })
    };
    let mut all = BTreeMap::new();
    for (theirs, ours, kind) in KEYS.iter().filter(|(key, ..)| row.takes(key)) {
        let value = match kind {
            Whole => config.whole(theirs)?.map(Value::Unsigned),
            Number => config.number(theirs)?.map(Value::Float),
            Flag => config.boolean(theirs)?.map(Value::Bool),
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
    all.extend(computed(config, row)?);
    if let Some(epsilon) = row.inner_epsilon {
        let key = "lantern.inner_norm_epsilon".to_owned();
        all.entry(key).or_insert(Value::Float(epsilon));
    }
    if let Some(Value::Unsigned(positions)) = all.get_mut(&key("context_length")) {
        let before = computed::before_positions(config, row)?;
        *positions = positions.saturating_sub(before);
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
    for act in ACTIVATIONS {
        if let Some(name) = config.text(act)?.filter(|_| row.knows(act)) {
            all.insert(format!("lantern.config.{act}"), text(name));
        }
    }
    let pooling = config.text("classifier_pooling")?;
    if let Some(pooling) = pooling.filter(|_| row.knows("classifier_pooling")) {
        all.insert("lantern.classifier_pooling".into(), text(pooling));
    }
    all.insert("general.architecture".into(), text(row.family));
    if row.norm_offset {
        all.insert("lantern.norm_offset".into(), Value::Float(1.0));
    }
    Ok(all)
}

/// Numbers that no single key of `config.json` has.
fn computed(config: &Object, row: &Row) -> Result<BTreeMap<String, Value>> {
    let key = |name: &str| format!("{}.{name}", row.family);
    let mut all = scans::metadata(config, row)?;
    if let Some(size) = latent_key(config, row)? {
        all.insert(key("attention.key_length"), Value::Unsigned(size));
    }
    if row.knows("intermediate_size_mlp") {
        let width = config.whole("intermediate_size")?.map(Value::Unsigned);
        all.extend(width.map(|width| (key("expert_feed_forward_length"), width)));
    }
    if let Some(width) = shared_width(config, row)? {
        all.insert(key("feed_forward_length"), Value::Unsigned(width));
    }
    if row.rotated == Rotated::Stated {
        let rotated = config.text("position_embedding_type")? == Some("rope");
        all.insert(key("rope.scaling.finetuned"), Value::Bool(rotated));
    }
    if let Some(values) = delta_net_values(config, row)? {
        all.insert(key("ssm.inner_size"), Value::Unsigned(values));
    }
    if let Some(width) = adjusted_width(config, row)? {
        all.insert(key("feed_forward_length"), Value::Unsigned(width));
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

/// Values of a head's latent key and query, those that are rotated among them.
fn latent_key(config: &Object, row: &Row) -> Result<Option<u64>> {
    let [plain, rotated] = ["qk_nope_head_dim", "qk_rope_head_dim"];
    if !row.knows(plain) {
        return Ok(None);
    }
    let both = config.whole(plain)?.zip(config.whole(rotated)?);
    Ok(both.map(|(plain, rotated)| plain.saturating_add(rotated)))
}

/// Width of the MLP of models whose shared expert it is where they have no others.
fn shared_width(config: &Object, row: &Row) -> Result<Option<u64>> {
    let key = "shared_intermediate_size";
    let alone = row.knows(key) && config.whole("num_local_experts")? == Some(0);
    Ok(config.whole(key)?.filter(|_| alone))
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
