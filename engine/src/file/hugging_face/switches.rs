//! Every key of `config.json` that an architecture's code in `transformers` reads: it is read here too, it changes nothing
//! that is computed, or it is run in one position only.

use std::collections::BTreeSet;

use super::{
    super::{KeyUse, TensorInfo},
    json::Object,
    only::Only,
    row::{Biases, Row},
};
use crate::{Error, Result};

/// Keys that change nothing that is computed here, and why.
#[rustfmt::skip] // a table
const HARMLESS: &[(&str, &str)] = &[
    ("model_type",                "the architecture says it"),
    ("dtype",                     "tensors have types of their own"),
    ("torch_dtype",               "tensors have types of their own"),
    ("transformers_version",      "says who wrote the file"),
    ("_name_or_path",             "says where the file was"),
    ("_attn_implementation",      "ways to compute the same"),
    ("attn_implementation",       "ways to compute the same"),
    ("auto_map",                  "names code, which is not run"),
    ("use_cache",                 "the cache gives what computing anew gives"),
    ("cache_implementation",      "the cache gives what computing anew gives"),
    ("pretraining_tp",            "slices the same sums"),
    ("reorder_and_upcast_attn",   "scores are 32 bits wide anyway"),
    ("chunk_size_feed_forward",   "slices the same sums"),
    ("pad_token_id",              "nothing is padded"),
    ("initializer_range",         "for training"),
    ("attention_dropout",         "for training"),
    ("attention_probs_dropout_prob", "for training"),
    ("hidden_dropout_prob",       "for training"),
    ("classifier_dropout",        "for training"),
    ("gradient_checkpointing",    "for training"),
    ("type_vocab_size",           "the embedding of types says it"),
    ("attn_pdrop",                "for training"),
    ("embd_pdrop",                "for training"),
    ("resid_pdrop",               "for training"),
    ("router_aux_loss_coef",      "for training"),
    ("router_jitter_noise",       "for training"),
    ("output_router_logits",      "adds an output"),
    ("output_attentions",         "adds an output"),
    ("output_hidden_states",      "adds an output"),
    ("return_dict",               "names outputs"),
    ("id2label",                  "for classifying"),
    ("label2id",                  "for classifying"),
    ("problem_type",              "for classifying"),
    ("summary_activation",        "for classifying"),
    ("summary_first_dropout",     "for classifying"),
    ("summary_proj_to_labels",    "for classifying"),
    ("summary_type",              "for classifying"),
    ("summary_use_proj",          "for classifying"),
    ("task_specific_params",      "says how to generate"),
    ("n_ctx",                     "n_positions says it"),
    ("first_k_dense_replace",     "a block's tensors say whether it has experts"),
    ("num_dense_layers",          "a block's tensors say whether it has experts"),
    ("moe_layer_start_index",     "a block's tensors say whether it has experts"),
    ("moe_layer_end_index",       "a block's tensors say whether it has experts"),
    ("moe_layer_interval",        "a block's tensors say whether it has experts"),
    ("num_shared_experts",        "the shared experts' tensors say how wide they are"),
    ("n_shared_experts",          "the shared experts' tensors say how wide they are"),
    ("moe_num_shared_experts",    "the shared experts' tensors say how wide they are"),
    ("moe_norm_min",              "smaller than any sum of weights"),
    ("num_nextn_predict_layers",  "layers that draft are left out"),
    ("shared_expert_intermediate_size", "the shared experts' tensors say how wide they are"),
    ("mtp_num_hidden_layers",     "layers that draft are left out"),
    ("enable_moe_block",          "a block's tensors say whether it has experts"),
    ("vocab_size_per_layer_input", "the embedding has as many rows"),
    ("use_expert_bias",           "biases are as stored"),
    ("use_routing_bias",          "biases are as stored"),
    ("use_bias",                  "biases are as stored"),
    ("use_qkv_bias",              "biases are as stored"),
    ("use_qk_norm",               "norms are as stored"),
    ("qk_layernorm",              "norms are as stored"),
    ("interleave_moe_layer_step", "a block's tensors say whether it has experts"),
    ("gating",                    "the gate's tensor says how wide it is"),
    ("moe_layers",                "a block's tensors say whether it has experts"),
    ("mlp_layer_types",           "a block's tensors say whether it has experts"),
    ("expert_layer_period",       "a block's tensors say whether it has experts"),
    ("expert_layer_offset",       "a block's tensors say whether it has experts"),
    ("attn_layer_period",         "a block's tensors say whether it has attention"),
    ("attn_layer_offset",         "a block's tensors say whether it has attention"),
    ("moe_shared_expert_intermediate_size", "the shared experts' tensors say how wide they are"),
    ("moe_shared_expert_overlap", "ways to compute the same"),
    ("use_mamba_kernels",         "ways to compute the same"),
    ("use_mambapy",               "ways to compute the same"),
    ("use_falcon_mambapy",        "ways to compute the same"),
    ("use_associative_scan",      "ways to compute the same"),
    ("chunk_size",                "slices the same sums"),
    ("mamba_chunk_size",          "slices the same sums"),
    ("mamba_ssm_cache_dtype",     "states are 32 bits wide"),
    ("residual_in_fp32",          "sums are 32 bits wide anyway"),
    ("rescale_prenorm_residual",  "for training"),
    ("hidden_dropout",            "for training"),
    ("time_step_min",             "for training; time_step_limit limits steps"),
    ("time_step_max",             "for training"),
    ("time_step_floor",           "for training"),
    ("time_step_init_scheme",     "for training"),
    ("time_step_scale",           "for training"),
    ("num_logits_to_keep",        "all logits that are asked for are kept"),
    ("mamba_proj_bias",           "biases are as stored"),
    ("projectors_bias",           "biases are as stored"),
    ("mamba_rms_norm",            "norms are as stored"),
    ("mamba_d_head",              "as many values as there are channels for each head"),
    ("mtp_layers_block_type",     "layers that draft are left out"),
    ("mtp_hybrid_override_pattern", "layers that draft are left out"),
    ("use_parallel_residual",     "a block without a norm before its MLP is parallel"),
];

/// Keys that are run in one position only.
const ONLY: &[(&str, Only)] = &[
    ("mlp_only_layers", Only::Empty),
    ("decoder_sparse_step", Only::Whole(1)),
    ("scale_attn_weights", Only::Bool(true)),
    ("scale_attn_by_inverse_layer_idx", Only::Bool(false)),
    ("add_cross_attention", Only::Bool(false)),
    ("use_bidirectional_attention", Only::Off),
    ("is_encoder_decoder", Only::Bool(false)),
    ("attention_out_bias", Only::Bool(false)),
    ("conv_bias", Only::Bool(false)),
    ("attn_output_gate", Only::Bool(true)),
    ("swiglu_limit", Only::Number(7.0)),
    ("swiglu_alpha", Only::Number(1.702)),
    ("attn_temperature_tuning", Only::On),
    ("floor_scale", Only::Number(8192.0)),
    ("attn_scale", Only::Number(0.1)),
    ("topk_method", Only::Text("greedy")),
    ("moe_router_logit_softcapping", Only::Number(0.0)),
    ("moe_apply_router_weight_on_input", Only::Bool(false)),
    ("rope_interleave", Only::Bool(true)),
    ("use_conv_bias", Only::Bool(true)),
    ("mamba_conv_bias", Only::Bool(true)),
    ("time_step_limit", Only::Unlimited),
    ("mamba_hidden_act", Only::Text("silu")),
    ("scoring_func", Only::Text("sigmoid")),
    ("is_decoder", Only::Bool(false)),
];

/// Parts of latent attention that a bias is switched for.
const LATENT_BIASED: [&str; 3] = ["attn_q_a", "attn_kv_a_mqa", "attn_output"];

/// Refuses what is not run.
///
/// # Errors
/// [`Error::Unsupported`] names the key, what it is, and what is run.
pub(super) fn check(config: &Object, row: &Row) -> Result<()> {
    let own = |key: &str| row.only.iter().any(|(name, _)| *name == key);
    let all = ONLY.iter().filter(|(key, _)| row.knows(key) && !own(key));
    for (key, only) in all.chain(row.only) {
        only.check(config, key)?;
    }
    let normed = config.boolean("mamba_rms_norm")? == Some(true);
    let key = "mamba_norm_before_gate";
    if row.knows(key) && normed && config.boolean(key)? != Some(false) {
        return Err(config.unsupported(key, "only false is run here, the gate before the norm"));
    }
    Ok(())
}

/// Each key of `config.json`, and how it is used.
pub(super) fn uses(config: &Object, row: &Row) -> Vec<KeyUse> {
    let each = |key: &String| {
        let harmless = HARMLESS.iter().find(|(name, _)| name == key);
        let unread = format!("{} does not read it", row.architecture);
        let passed_over = match harmless {
            _ if row.reads(key) => None,
            Some((_, why)) => Some(*why),
            None => Some(unread.as_str()),
        };
        KeyUse::new(&format!("config.json: {key}"), passed_over)
    };
    config.map.keys().map(each).collect()
}

/// Holds the biases that are stored against those that the configuration asks for: `transformers` leaves others out.
///
/// # Errors
/// [`Error::BadFile`] names the key and the tensor.
pub(super) fn check_biases(config: &Object, row: &Row, tensors: &[TensorInfo]) -> Result<()> {
    if row.biases == Biases::AsStored {
        return Ok(());
    }
    let asked = |key: &str| {
        let on = config.boolean(key)?.unwrap_or(false);
        Ok::<bool, Error>(on && row.knows(key))
    };
    let [attention, mlp] = [asked("attention_bias")?, asked("mlp_bias")?];
    let names: BTreeSet<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    for &name in &names {
        let Some((layer, part)) = name
            .strip_prefix("blk.")
            .and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let (part, wanted) = match part.rsplit_once('.') {
            Some((part, "weight" | "bias")) if part.starts_with("attn_") => (part, attention),
            Some((part, "weight" | "bias")) if part.starts_with("ffn_") => (part, mlp),
            _ => continue,
        };
        let others = ["ffn_gate_inp", "attn_sinks"];
        if part.ends_with("norm") || part.ends_with("_exps") || others.contains(&part) {
            continue;
        }
        let wanted = wanted
            && match row.biases {
                Biases::Queries => part != "attn_output",
                Biases::Latent => part.starts_with("ffn_") || LATENT_BIASED.contains(&part),
                _ => true,
            };
        let bias = format!("blk.{layer}.{part}.bias");
        if names.contains(bias.as_str()) != wanted {
            let key = ["mlp_bias", "attention_bias"][usize::from(part.starts_with("attn_"))];
            let there = if wanted { "no" } else { "a" };
            return Err(Error::bad_file(format!(
                "{key} is {wanted}, but there is {there} tensor {bias} (GGUF's name of it); the files are of different models"
            ))
            .in_file(&config.label));
        }
    }
    Ok(())
}
