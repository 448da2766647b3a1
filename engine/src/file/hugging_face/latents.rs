//! Architectures with multi-head latent attention: DeepSeek's, and what follows them.

use super::{
    newer::{EXPERTS, GROUPS, INTERLEAVED, SIGMOID},
    row::{Biases, RMS, Row, row},
};

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
];
