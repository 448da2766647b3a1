//! Architectures of 2025 and 2026 whose layers differ from each other: in heads, in widths, or in the mixer.

use super::{
    newer::{EXPERTS, SIGMOID},
    row::{Biases, LLAMAS, NORM_AFTER, Others, RMS, Row, SIZES, Windows, row},
};

#[rustfmt::skip] // a table
const LFM2: &[(&str, &str)] = &[
    ("embedding_norm", "token_embd_norm"),
    ("operator_norm", "attn_norm"),
    ("ffn_norm", "ffn_norm"),
    ("conv.in_proj", "shortconv.in_proj"),
    ("conv.conv", "shortconv.conv"),
    ("conv.out_proj", "shortconv.out_proj"),
    ("self_attn.out_proj", "attn_output"),
    ("self_attn.q_layernorm", "attn_q_norm"),
    ("self_attn.k_layernorm", "attn_k_norm"),
    ("feed_forward.w1", "ffn_gate"),
    ("feed_forward.w3", "ffn_up"),
    ("feed_forward.w2", "ffn_down"),
    ("feed_forward.gate", "ffn_gate_inp"),
];

/// LFM 2.
const LFM2_DENSE: Row = Row {
    names: LFM2,
    required: &[
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "norm_eps",
    ],
    reads: &[
        LLAMAS,
        LFM2S,
        &[
            "block_ff_dim",
            "block_auto_adjust_ff_dim",
            "block_ffn_dim_multiplier",
            "block_multiple_of",
            "full_attn_idxs",
            "theta",
        ],
    ],
    aliases: &[
        ("theta", "rope_theta"),
        ("tie_embedding", "tie_word_embeddings"),
        ("block_ff_dim", "intermediate_size"),
    ],
    defaults: &[
        ("num_key_value_heads", "8"),
        ("rope_theta", "1e6"),
        ("conv_L_cache", "3"),
    ],
    others: Others::Conv,
    ..row("Lfm2ForCausalLM", "lfm2")
};

const LFM2S: &[&str] = &[
    "norm_eps",
    "layer_types",
    "conv_L_cache",
    "conv_bias",
    "tie_embedding",
];

#[rustfmt::skip] // a table
const GEMMA4: &[(&str, &str)] = &[
    ("embed_tokens_per_layer", "per_layer_token_embd"),
    ("per_layer_model_projection", "per_layer_model_proj"),
    ("per_layer_projection_norm", "per_layer_proj_norm"),
    ("post_attention_layernorm", "post_attention_norm"),
    ("per_layer_input_gate", "inp_gate"),
    ("per_layer_projection", "proj"),
    ("post_per_layer_input_norm", "post_norm"),
    ("router.proj", "ffn_gate_inp"),
    ("pre_feedforward_layernorm_2", "pre_ffw_norm_2"),
    ("post_feedforward_layernorm_1", "post_ffw_norm_1"),
    ("post_feedforward_layernorm_2", "post_ffw_norm_2"),
];

/// Gemma 4, without what sees and hears.
const GEMMA4_TEXT: Row = Row {
    names: GEMMA4,
    reads: &[
        SIZES,
        RMS,
        &[
            "hidden_activation",
            "attention_bias",
            "sliding_window",
            "layer_types",
            "final_logit_softcapping",
            "use_bidirectional_attention",
            "global_head_dim",
            "num_global_key_value_heads",
            "attention_k_eq_v",
            "num_kv_shared_layers",
            "use_double_wide_mlp",
            "hidden_size_per_layer_input",
            "num_experts",
            "top_k_experts",
            "moe_intermediate_size",
        ],
    ],
    defaults: &[
        ("num_key_value_heads", "4"),
        ("head_dim", "256"),
        ("global_head_dim", "512"),
        ("sliding_window", "512"),
        ("final_logit_softcapping", "null"),
        ("hidden_size_per_layer_input", "256"),
        ("rope_parameters", GEMMA4_ROPE),
    ],
    windows: Windows::AllButLast(6),
    biases: Biases::Attention,
    within: Some("text_config"),
    left_out: &[
        "model.vision_tower.",
        "model.audio_tower.",
        "model.embed_vision.",
        "model.embed_audio.",
    ],
    ..row("Gemma4ForConditionalGeneration", "gemma4")
};

const GEMMA4_ROPE: &str = r#"{
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1000000.0}
}"#;

/// Qwen 3.5, without what sees and what drafts. Value heads lie beside those of the same key head; GGUF has them in turns.
const QWEN35: Row = Row {
    names: NORM_AFTER,
    norm_offset: true,
    reads: &[LLAMAS, RMS, DELTA_NETS],
    defaults: QWEN35_DEFAULTS,
    texts: &[("lantern.key_heads", "grouped")],
    biases: Biases::Attention,
    within: Some("text_config"),
    left_out: &["model.visual.", "mtp."],
    others: Others::LinearAttention,
    ..row("Qwen3_5ForConditionalGeneration", "qwen35")
};

/// Qwen 3.5 with experts.
const QWEN35_MOE: Row = Row {
    architecture: "Qwen3_5MoeForConditionalGeneration",
    family: "qwen35moe",
    required: REQUIRED_EXPERTS,
    reads: &[
        LLAMAS,
        RMS,
        DELTA_NETS,
        &[
            "num_experts",
            "num_experts_per_tok",
            "moe_intermediate_size",
        ],
    ],
    ..QWEN35
};

const REQUIRED_EXPERTS: &[&str] = &[
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "max_position_embeddings",
    "rms_norm_eps",
];

/// Keys of models with delta nets.
const DELTA_NETS: &[&str] = &[
    "hidden_act",
    "attention_bias",
    "attn_output_gate",
    "layer_types",
    "full_attention_interval",
    "linear_conv_kernel_dim",
    "linear_key_head_dim",
    "linear_value_head_dim",
    "linear_num_key_heads",
    "linear_num_value_heads",
];

const QWEN35_DEFAULTS: &[(&str, &str)] = &[
    ("num_key_value_heads", "4"),
    ("head_dim", "256"),
    ("partial_rotary_factor", "0.25"),
    ("linear_conv_kernel_dim", "4"),
    ("linear_key_head_dim", "128"),
    ("linear_value_head_dim", "128"),
    ("linear_num_key_heads", "16"),
    ("linear_num_value_heads", "32"),
];

const LAGUNA_ROPE: &str = r#"{
    "full_attention": {"rope_type": "default", "rope_theta": 500000.0, "partial_rotary_factor": 0.5},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0}
}"#;

/// The rows.
pub(super) const ROWS: &[Row] = &[
    GEMMA4_TEXT,
    Row {
        architecture: "Gemma4ForCausalLM",
        ..GEMMA4_TEXT
    },
    QWEN35,
    Row {
        architecture: "Qwen3_5ForCausalLM",
        ..QWEN35
    },
    QWEN35_MOE,
    Row {
        architecture: "Qwen3_5MoeForCausalLM",
        ..QWEN35_MOE
    },
    Row {
        architecture: "Qwen3NextForCausalLM",
        family: "qwen3next",
        texts: &[],
        required: REQUIRED_EXPERTS,
        reads: &[
            LLAMAS,
            RMS,
            DELTA_NETS,
            &[
                "num_experts",
                "num_experts_per_tok",
                "moe_intermediate_size",
                "norm_topk_prob",
                "mlp_only_layers",
                "decoder_sparse_step",
            ],
        ],
        ..QWEN35
    },
    Row {
        reads: &[
            SIZES,
            RMS,
            &[
                "hidden_act",
                "attention_bias",
                "sliding_window",
                "layer_types",
                "num_attention_heads_per_layer",
                "num_experts",
                "num_experts_per_tok",
                "moe_intermediate_size",
                "moe_routed_scaling_factor",
                "moe_router_logit_softcapping",
                "moe_apply_router_weight_on_input",
            ],
        ],
        defaults: &[
            ("num_key_value_heads", "8"),
            ("head_dim", "128"),
            ("sliding_window", "512"),
            ("num_experts", "256"),
            ("num_experts_per_tok", "8"),
            ("moe_intermediate_size", "512"),
            ("rope_parameters", LAGUNA_ROPE),
        ],
        windows: Windows::Listed,
        biases: Biases::Attention,
        numbers: &[SIGMOID],
        ..row("LagunaForCausalLM", "laguna")
    },
    LFM2_DENSE,
    Row {
        architecture: "Lfm2MoeForCausalLM",
        family: "lfm2moe",
        reads: &[LLAMAS, LFM2S, EXPERTS, &["num_experts"]],
        aliases: &[("tie_embedding", "tie_word_embeddings")],
        numbers: &[SIGMOID],
        ..LFM2_DENSE
    },
];
