//! Architectures with multi-head latent attention: DeepSeek's, and what follows them.

use super::{
    json::Object,
    newer::{EXPERTS, GROUPS, INTERLEAVED, SIGMOID},
    only::Only,
    row::{Biases, Others, RMS, Row, row},
};
use crate::Result;

/// Keys of latent attention, and of RoPE beside it.
const LATENTS: &[&str] = &[
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "rope_parameters",
    "rope_theta",
    "rope_scaling",
    "original_max_position_embeddings",
    "q_lora_rank",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "hidden_act",
    "attention_bias",
];

const REQUIRED: &[&str] = &[
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "rms_norm_eps",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
];

/// The rotated part is all of a head as far as RoPE is concerned.
const ROTATED: &[(&str, &str)] = &[("qk_rope_head_dim", "head_dim")];

/// DeepSeek-V3 and R1, Kimi K2.
const V3: Row = Row {
    required: REQUIRED,
    reads: &[LATENTS, RMS, EXPERTS, GROUPS, &["rope_interleave"]],
    aliases: ROTATED,
    defaults: &[
        ("n_routed_experts", "256"),
        ("num_experts_per_tok", "8"),
        ("moe_intermediate_size", "2048"),
        ("n_group", "8"),
        ("topk_group", "4"),
        ("norm_topk_prob", "true"),
        ("routed_scaling_factor", "2.5"),
    ],
    biases: Biases::Latent,
    numbers: &[SIGMOID],
    texts: &[INTERLEAVED],
    inner_epsilon: Some(1e-6),
    drafts: true,
    ..row("DeepseekV3ForCausalLM", "deepseek2")
};

#[rustfmt::skip] // a table
const KIMI: &[(&str, &str)] = &[
    ("self_attn.q_conv1d", "ssm_conv1d_q"),
    ("self_attn.k_conv1d", "ssm_conv1d_k"),
    ("self_attn.v_conv1d", "ssm_conv1d_v"),
    ("self_attn.f_a_proj", "ssm_f_a"),
    ("self_attn.f_b_proj", "ssm_f_b"),
    ("self_attn.g_a_proj", "ssm_g_a"),
    ("self_attn.g_b_proj", "ssm_g_b"),
    ("self_attn.b_proj", "ssm_beta"),
    ("self_attn.o_norm", "ssm_norm"),
    ("block_sparse_moe.shared_experts.gate_proj", "ffn_gate_shexp"),
    ("block_sparse_moe.shared_experts.up_proj", "ffn_up_shexp"),
    ("block_sparse_moe.shared_experts.down_proj", "ffn_down_shexp"),
];

/// Object with the sizes of Kimi Linear's delta nets, and which layers have them.
const LINEAR: &str = "linear_attn_config";

/// Keys of that object, and those that stand beside it.
const LINEAR_SIZES: [(&str, &str); 3] = [
    ("head_dim", "linear_head_dim"),
    ("num_heads", "linear_num_heads"),
    ("short_conv_kernel_size", "linear_conv_kernel_dim"),
];

/// Kimi Linear (Kimi Team 2025): latent attention without rotation in turns with delta nets whose keys decay each by its own.
const KIMI_LINEAR: Row = Row {
    names: KIMI,
    required: REQUIRED,
    reads: &[
        &[
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "max_position_embeddings",
            "q_lora_rank",
            "kv_lora_rank",
            "qk_nope_head_dim",
            "qk_rope_head_dim",
            "v_head_dim",
            "hidden_act",
            "attention_bias",
            "num_local_experts",
            "n_group",
            "topk_group",
            "layer_types",
            LINEAR,
            "linear_head_dim",
            "linear_num_heads",
            "linear_conv_kernel_dim",
        ],
        RMS,
        EXPERTS,
    ],
    aliases: &[
        ("model_max_length", "max_position_embeddings"),
        ("num_experts", "num_local_experts"),
        ("num_experts_per_token", "num_experts_per_tok"),
        ("moe_renormalize", "norm_topk_prob"),
        ("num_expert_group", "n_group"),
    ],
    defaults: &[
        ("num_local_experts", "256"),
        ("num_experts_per_tok", "8"),
        ("moe_intermediate_size", "1024"),
        ("norm_topk_prob", "true"),
        ("routed_scaling_factor", "2.446"),
        ("linear_head_dim", "128"),
        ("linear_num_heads", "32"),
        ("linear_conv_kernel_dim", "4"),
    ],
    only: &[
        ("moe_router_activation_func", Only::Text("sigmoid")),
        ("mla_use_nope", Only::Bool(true)),
    ],
    others: Others::KeyDecays,
    drafts: false,
    texts: &[],
    architecture: "KimiLinearForCausalLM",
    family: "kimi-linear",
    ..V3
};

/// Puts what an object says of delta nets beside it, where it comes before what stands there; and the layers, by their
/// numbers from 1 on, where nothing else lists them.
///
/// # Errors
/// [`Error::BadFile`](crate::Error::BadFile) for numbers that are none of layers, and for as many heads as attention has
/// not.
pub(super) fn complete(config: &mut Object, row: &Row) -> Result<()> {
    if !row.knows(LINEAR) {
        return Ok(());
    }
    let layers = config.whole("num_hidden_layers")?.unwrap_or(0);
    let layers = layers.min(LAYERS_MAX);
    let mut kinds: Vec<&str> = (0..layers)
        .map(|layer| {
            if layer > 0 && layer % 4 == 0 {
                FULL
            } else {
                DELTA
            }
        })
        .collect();
    if let Some(linear) = config.object(LINEAR)? {
        for (theirs, ours) in LINEAR_SIZES {
            if let Some(value) = linear.get(theirs) {
                config.map.insert(ours.to_owned(), value.clone());
            }
        }
        let lists = [(FULL, "full_attn_layers"), (DELTA, "kda_layers")];
        let mut listed = vec![""; kinds.len()];
        for (kind, key) in lists {
            for number in linear.list(key)?.unwrap_or_default() {
                let index = number.as_u64().and_then(|number| number.checked_sub(1));
                let place = index.and_then(|index| listed.get_mut(usize::try_from(index).ok()?));
                let wrong = || linear.wrong(key, "a list of layers' numbers, from 1 on,");
                *place.ok_or_else(wrong)? = kind;
            }
        }
        if linear
            .get("kda_layers")
            .and(linear.get("full_attn_layers"))
            .is_some()
        {
            if listed.contains(&"") {
                return Err(
                    linear.wrong("kda_layers", "with full_attn_layers, a list of all layers")
                );
            }
            kinds = listed;
        }
    }
    if config.list("layer_types")?.is_none() {
        config.map.insert("layer_types".to_owned(), kinds.into());
    }
    let heads = config.whole("num_attention_heads")?;
    let own = config.whole("linear_num_heads")?;
    if own.is_some() && own != heads {
        let wanted = "as many as num_attention_heads, other than which is not run here,";
        return Err(config.wrong("linear_num_heads", wanted));
    }
    Ok(())
}

/// More layers than any model has.
const LAYERS_MAX: u64 = 1 << 16;

/// Words for kinds of layers.
const FULL: &str = "full_attention";
const DELTA: &str = "linear_attention";

/// The rows.
pub(super) const ROWS: &[Row] = &[
    // Sums of an expert's group are read by neither way of choosing that is run.
    Row {
        architecture: "DeepseekV2ForCausalLM",
        reads: &[
            LATENTS,
            RMS,
            &[
                "mlp_bias",
                "n_routed_experts",
                "num_experts_per_tok",
                "moe_intermediate_size",
                "routed_scaling_factor",
                "topk_method",
            ],
        ],
        defaults: &[
            ("n_routed_experts", "64"),
            ("moe_intermediate_size", "1407"),
        ],
        numbers: &[],
        drafts: false,
        ..V3
    },
    V3,
    Row {
        architecture: "Glm4MoeLiteForCausalLM",
        defaults: &[
            ("n_routed_experts", "64"),
            ("num_experts_per_tok", "4"),
            ("moe_intermediate_size", "1536"),
            ("norm_topk_prob", "true"),
            ("routed_scaling_factor", "1.8"),
        ],
        ..V3
    },
    Row {
        architecture: "Mistral4ForCausalLM",
        defaults: &[
            ("n_routed_experts", "128"),
            ("num_experts_per_tok", "4"),
            ("moe_intermediate_size", "2048"),
            ("norm_topk_prob", "true"),
        ],
        numbers: &[],
        drafts: false,
        ..V3
    },
    KIMI_LINEAR,
];
