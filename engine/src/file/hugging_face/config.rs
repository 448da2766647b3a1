//! `config.json` as GGUF's metadata: a row for each architecture, a line for each number. What no family does is an
//! error here, where the configuration asks for it; what only some do is passed on.

use std::collections::BTreeMap;

use super::{super::Value, json::Object};
use crate::{Error, Result, Unsupported, file::short};

/// A family's name in `transformers`, and how its files differ from Llama's.
#[derive(Debug)]
pub(super) struct Row {
    /// In `architectures`.
    architecture: &'static str,
    /// The family that runs it.
    pub family: &'static str,
    /// Parts of a block that other architectures have other names for.
    pub names: &'static [(&'static str, &'static str)],
    /// Norms' weights are stored without the 1 that they are meant with.
    norm_offset: bool,
    /// Keys that must be there; the others have a value that goes without saying.
    required: &'static [&'static str],
    /// GGUF's names of matrices that are stored (inputs, outputs), the other way round than all others.
    pub transposed: &'static [&'static str],
}

/// Norms after attention are called what others call the norm before the MLP.
const NORM_AFTER: &[(&str, &str)] = &[("post_attention_layernorm", "post_attention_norm")];

/// GPT-2's own, those outside the blocks too.
#[rustfmt::skip] // a table
const GPT2: &[(&str, &str)] = &[
    ("wte", "token_embd"),
    ("wpe", "position_embd"),
    ("ln_f", "output_norm"),
    ("ln_1", "attn_norm"),
    ("ln_2", "ffn_norm"),
    ("attn.c_attn", "attn_qkv"),
    ("attn.c_proj", "attn_output"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
];

const fn row(architecture: &'static str, family: &'static str) -> Row {
    Row {
        architecture,
        family,
        names: &[],
        norm_offset: false,
        required: REQUIRED,
        transposed: &[],
    }
}

const fn gemma(architecture: &'static str, family: &'static str) -> Row {
    Row {
        names: NORM_AFTER,
        norm_offset: true,
        ..row(architecture, family)
    }
}

const ROWS: &[Row] = &[
    row("LlamaForCausalLM", "llama"),
    row("MistralForCausalLM", "llama"),
    row("MixtralForCausalLM", "llama"),
    row("Qwen2ForCausalLM", "qwen2"),
    row("Qwen3ForCausalLM", "qwen3"),
    row("Qwen3MoeForCausalLM", "qwen3moe"),
    gemma("Gemma2ForCausalLM", "gemma2"),
    gemma("Gemma3ForCausalLM", "gemma3"),
    row("Phi3ForCausalLM", "phi3"),
    row("SmolLM3ForCausalLM", "smollm3"),
    row("GraniteForCausalLM", "granite"),
    Row {
        names: NORM_AFTER,
        ..row("Olmo2ForCausalLM", "olmo2")
    },
    Row {
        names: GPT2,
        required: REQUIRED_GPT2,
        transposed: &["attn_qkv", "attn_output", "ffn_up", "ffn_down"],
        ..row("GPT2LMHeadModel", "gpt2")
    },
];

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
    ("sliding_window",          "attention.sliding_window",         Whole),
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

const REQUIRED: &[&str] = &[
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "rms_norm_eps",
];

const REQUIRED_GPT2: &[&str] = &[
    "n_layer",
    "n_embd",
    "n_head",
    "n_positions",
    "layer_norm_epsilon",
    "vocab_size",
];

/// Switches that are run here in one position only.
const SWITCHES: &[(&str, bool)] = &[
    ("use_sliding_window", false),
    ("norm_topk_prob", true),
    ("scale_attn_weights", true),
    ("scale_attn_by_inverse_layer_idx", false),
    ("add_cross_attention", false),
];

/// The row of a configuration.
///
/// # Errors
/// [`Error::Unsupported`] lists what there is.
pub(super) fn row_for(config: &Object) -> Result<&'static Row> {
    let missing = || config.wrong("architectures", "a list of one name");
    let names = config.list("architectures")?.ok_or_else(missing)?;
    let name = names
        .first()
        .and_then(serde_json::Value::as_str)
        .ok_or_else(missing)?;
    row_of(name).ok_or_else(|| {
        let known: Vec<&str> = ROWS.iter().map(|row| row.architecture).collect();
        let (name, known) = (short(name), known.join(", "));
        Error::unsupported(
            Unsupported::Family,
            format!(
                "models of the architecture {name} are not run from safetensors; known are: {known}"
            ),
        )
        .in_file(&config.label)
    })
}

pub(super) fn row_of(architecture: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.architecture == architecture)
}

/// Metadata of the model as GGUF has it, without rotary embedding and tokenizer.
pub(super) fn metadata(config: &Object, row: &Row) -> Result<BTreeMap<String, Value>> {
    check(config)?;
    for &key in row.required {
        if config.get(key).is_none() {
            return Err(config.wrong(key, "a number"));
        }
    }
    let key = |name: &str| format!("{}.{name}", row.family);
    let mut all = stated(config)?;
    for (theirs, ours, kind) in KEYS {
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
    if let Some(scalar) = config.number("query_pre_attn_scalar")? {
        if scalar <= 0.0 {
            return Err(config.wrong("query_pre_attn_scalar", "a number above 0"));
        }
        all.insert(key("attention.scale"), Value::Float(scalar.powf(-0.5)));
    }
    let text = |text: &str| Value::Text(text.to_owned());
    all.insert("general.architecture".into(), text(row.family));
    all.insert("lantern.rope_style".into(), text("neox"));
    if row.norm_offset {
        all.insert("lantern.norm_offset".into(), Value::Float(1.0));
    }
    Ok(all)
}

/// Refuses what no family does.
fn check(config: &Object) -> Result<()> {
    if let Some(quantised) = config.object("quantization_config")? {
        let method = quantised.text("quant_method")?.unwrap_or("unknown");
        return Err(Error::unsupported(Unsupported::StoredType, format!(
            "the weights are quantised ({}); of safetensors, only F32, F16 and BF16 are run here: take the model's original, or a GGUF file of it",
            short(method)
        ))
        .in_file(&config.label));
    }
    for &(key, wanted) in SWITCHES {
        if config.boolean(key)?.is_some_and(|there| there != wanted) {
            return Err(config.unsupported(key, &format!("only {wanted} is run here")));
        }
    }
    Ok(())
}

/// Claims of `config.json` that GGUF has no key for, under keys of our own: the rows of families say whether they are run.
fn stated(config: &Object) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    let mut put = |key: &str, value| all.insert(format!("lantern.config.{key}"), value);
    let acts = ["hidden_activation", "hidden_act", "activation_function"];
    if let Some(key) = acts.into_iter().find(|key| config.get(key).is_some()) {
        let act = config.text(key)?.unwrap_or_default();
        put(key, Value::Text(act.to_owned()));
    }
    for key in ["sliding_window_pattern", "_sliding_window_pattern"] {
        if let Some(every) = config.whole(key)? {
            put(key, Value::Unsigned(every));
        }
    }
    if let Some(kinds) = config.list("layer_types")? {
        let texts: Option<_> = kinds
            .iter()
            .map(|v| v.as_str().map(str::to_owned))
            .collect();
        let wrong = || config.wrong("layer_types", "a list of texts");
        put("layer_types", Value::Texts(texts.ok_or_else(wrong)?));
    }
    if let Some(layers) = config.list("no_rope_layers")? {
        let integers: Option<_> = layers.iter().map(serde_json::Value::as_i64).collect();
        let wrong = || config.wrong("no_rope_layers", "a list of whole numbers");
        put(
            "no_rope_layers",
            Value::Integers(integers.ok_or_else(wrong)?),
        );
    }
    Ok(all)
}
