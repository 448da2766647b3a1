//! Architectures of 2025 and 2026, and older ones that came later.

use super::row::{Biases, Cut, LLAMAS, NORM_AFTER, RMS, Rotated, Row, Windows, row, turned};

/// Keys of models with experts.
pub(super) const EXPERTS: &[&str] = &[
    "num_experts_per_tok",
    "moe_intermediate_size",
    "norm_topk_prob",
    "routed_scaling_factor",
];

/// Keys of routing by groups, as DeepSeek has them.
pub(super) const GROUPS: &[&str] = &["n_routed_experts", "n_group", "topk_group"];

/// RoPE's pairs are neighbours.
pub(super) const INTERLEAVED: (&str, &str) = ("lantern.rope_style", "interleaved");

/// GGUF's number of gates that are sigmoids.
pub(super) const SIGMOID: (&str, u64) = ("expert_gating_func", 2);

#[rustfmt::skip] // a table
const GLM4: &[(&str, &str)] = &[
    ("post_self_attn_layernorm", "post_attention_norm"),
    ("post_mlp_layernorm", "post_ffw_norm"),
];

#[rustfmt::skip] // a table
const HUNYUAN: &[(&str, &str)] = &[
    ("self_attn.query_layernorm", "attn_q_norm"),
    ("self_attn.key_layernorm", "attn_k_norm"),
];

#[rustfmt::skip] // a table
const APERTUS: &[(&str, &str)] = &[
    ("attention_layernorm", "attn_norm"),
    ("feedforward_layernorm", "ffn_norm"),
];

#[rustfmt::skip] // a table
const STARCODER2: &[(&str, &str)] = &[
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
];

/// Keys that must be there where norms are LayerNorms.
const REQUIRED_LAYER: &[&str] = &[
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
];

/// Command R and what follows it.
const COHERE: Row = Row {
    required: REQUIRED_LAYER,
    reads: &[
        LLAMAS,
        &[
            "hidden_act",
            "attention_bias",
            "layer_norm_eps",
            "logit_scale",
        ],
    ],
    defaults: &[("layer_norm_eps", "1e-5"), ("logit_scale", "0.0625")],
    biases: Biases::Attention,
    texts: &[INTERLEAVED],
    ..row("CohereForCausalLM", "command-r")
};

/// GLM 4.5 and what follows it.
const GLM4_MOE: Row = Row {
    names: NORM_AFTER,
    reads: &[
        LLAMAS,
        RMS,
        &["hidden_act", "attention_bias"],
        EXPERTS,
        GROUPS,
    ],
    defaults: &[
        ("num_key_value_heads", "8"),
        ("partial_rotary_factor", "0.5"),
    ],
    biases: Biases::Queries,
    numbers: &[SIGMOID],
    drafts: true,
    ..row("Glm4MoeForCausalLM", "glm4moe")
};

/// Experts of gpt-oss, where they are not packed: stored the other way round, gates and ups in turns.
const GPT_OSS: &[Cut] = &[
    Cut {
        stored: "ffn_gate_up_exps.weight",
        turned: true,
        alternating: true,
        into: &["ffn_gate_exps.weight", "ffn_up_exps.weight"],
    },
    turned(&["ffn_down_exps.weight"]),
];

/// Llama 4's text model. Its experts are stored the other way round, gates before ups.
const LLAMA4: Row = Row {
    required: REQUIRED_LLAMA4,
    reads: &[
        LLAMAS,
        RMS,
        &[
            "hidden_act",
            "attention_bias",
            "intermediate_size_mlp",
            "num_local_experts",
            "num_experts_per_tok",
            "use_qk_norm",
            "no_rope_layers",
            "no_rope_layer_interval",
            "attention_chunk_size",
            "layer_types",
            "attn_temperature_tuning",
            "floor_scale",
            "attn_scale",
        ],
    ],
    aliases: &[("attention_chunk_size", "sliding_window")],
    defaults: &[
        ("num_key_value_heads", "8"),
        ("head_dim", "128"),
        ("rope_theta", "5e5"),
        ("num_local_experts", "16"),
        ("num_experts_per_tok", "1"),
        ("use_qk_norm", "true"),
        ("attention_chunk_size", "8192"),
    ],
    windows: Windows::Chunks,
    biases: Biases::Attention,
    texts: &[INTERLEAVED],
    cuts: &[
        turned(&["ffn_gate_up_exps.weight"]),
        turned(&["ffn_down_exps.weight"]),
    ],
    ..row("Llama4ForCausalLM", "llama4")
};

const REQUIRED_LLAMA4: &[&str] = &[
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "intermediate_size_mlp",
    "max_position_embeddings",
    "rms_norm_eps",
];

/// Mistral 3 and Ministral 3, without what sees.
const MISTRAL3: Row = Row {
    reads: &[LLAMAS, RMS, &["hidden_act", "sliding_window"]],
    defaults: &[("num_key_value_heads", "8")],
    windows: Windows::All,
    biases: Biases::None,
    ..row("Ministral3ForCausalLM", "mistral3")
};

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        defaults: &[("head_dim", "256")],
        norm_offset: true,
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_activation",
                "use_bidirectional_attention",
                "attention_bias",
            ],
        ],
        biases: Biases::Attention,
        ..row("GemmaForCausalLM", "gemma")
    },
    LLAMA4,
    Row {
        architecture: "Llama4ForConditionalGeneration",
        within: Some("text_config"),
        left_out: &["vision_model.", "multi_modal_projector."],
        ..LLAMA4
    },
    MISTRAL3,
    Row {
        architecture: "Mistral3ForConditionalGeneration",
        within: Some("text_config"),
        left_out: &[
            "vision_tower.",
            "multi_modal_projector.",
            "model.vision_tower.",
            "model.multi_modal_projector.",
        ],
        ..MISTRAL3
    },
    Row {
        names: NORM_AFTER,
        reads: &[
            LLAMAS,
            RMS,
            &["hidden_act", "sliding_window", "layer_types"],
        ],
        defaults: &[("num_key_value_heads", "32")],
        windows: Windows::AllBut(4),
        rotated: Rotated::WindowedIfAny,
        ..row("Exaone4ForCausalLM", "exaone4")
    },
    Row {
        names: NORM_AFTER,
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "attention_bias",
                "sliding_window",
                "layer_types",
            ],
        ],
        defaults: &[("sliding_window", "4096")],
        windows: Windows::AllBut(4),
        biases: Biases::Attention,
        ..row("Olmo3ForCausalLM", "olmo2")
    },
    Row {
        names: GLM4,
        reads: &[LLAMAS, RMS, &["hidden_act", "attention_bias"]],
        defaults: &[
            ("num_key_value_heads", "2"),
            ("head_dim", "128"),
            ("partial_rotary_factor", "0.5"),
        ],
        biases: Biases::Queries,
        texts: &[INTERLEAVED],
        ..row("Glm4ForCausalLM", "glm4")
    },
    GLM4_MOE,
    Row {
        names: HUNYUAN,
        reads: &[LLAMAS, RMS, &["hidden_act", "attention_bias"]],
        biases: Biases::Attention,
        ..row("HunYuanDenseV1ForCausalLM", "hunyuan-dense")
    },
    Row {
        defaults: &[
            ("num_key_value_heads", "2"),
            ("head_dim", "128"),
            ("rope_theta", "5e5"),
        ],
        texts: &[INTERLEAVED],
        ..row("Ernie4_5ForCausalLM", "ernie4_5")
    },
    Row {
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "moe_num_experts",
                "moe_k",
                "moe_intermediate_size",
            ],
        ],
        defaults: &[
            ("num_key_value_heads", "4"),
            ("rope_theta", "5e5"),
            ("moe_num_experts", "64"),
            ("moe_k", "6"),
            ("moe_intermediate_size", "1536"),
        ],
        texts: &[INTERLEAVED],
        ..row("Ernie4_5_MoeForCausalLM", "ernie4_5-moe")
    },
    Row {
        names: NORM_AFTER,
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "attention_bias",
                "attention_out_bias",
                "mlp_bias",
            ],
        ],
        defaults: &[
            ("num_key_value_heads", "8"),
            ("head_dim", "128"),
            ("attention_bias", "true"),
        ],
        biases: Biases::Queries,
        ..row("SeedOssForCausalLM", "seed_oss")
    },
    Row {
        names: APERTUS,
        reads: &[LLAMAS, RMS, &["hidden_act", "attention_bias"]],
        biases: Biases::Attention,
        ..row("ApertusForCausalLM", "apertus")
    },
    COHERE,
    Row {
        architecture: "Cohere2ForCausalLM",
        family: "cohere2",
        reads: &[
            LLAMAS,
            &[
                "hidden_act",
                "attention_bias",
                "layer_norm_eps",
                "logit_scale",
                "sliding_window",
                "sliding_window_pattern",
                "_sliding_window_pattern",
                "layer_types",
            ],
        ],
        defaults: &[
            ("layer_norm_eps", "1e-5"),
            ("logit_scale", "0.0625"),
            ("sliding_window", "4096"),
        ],
        windows: Windows::AllBut(4),
        rotated: Rotated::Windowed,
        ..COHERE
    },
    Row {
        names: STARCODER2,
        required: REQUIRED_LAYER,
        reads: &[LLAMAS, &["hidden_act", "norm_epsilon", "sliding_window"]],
        defaults: &[("num_key_value_heads", "2"), ("norm_epsilon", "1e-5")],
        windows: Windows::All,
        ..row("Starcoder2ForCausalLM", "starcoder2")
    },
    Row {
        required: REQUIRED_LAYER,
        reads: &[LLAMAS, &["hidden_act", "layer_norm_eps"]],
        defaults: &[
            ("num_key_value_heads", "32"),
            ("layer_norm_eps", "1e-5"),
            ("partial_rotary_factor", "0.25"),
        ],
        ..row("StableLmForCausalLM", "stablelm")
    },
    Row {
        reads: &[LLAMAS, RMS, &["hidden_act", "attention_bias", "mlp_bias"]],
        biases: Biases::AttentionAndMlp,
        ..row("ArceeForCausalLM", "arcee")
    },
    Row {
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "num_local_experts",
                "num_experts_per_tok",
                "rotary_dim",
                "scoring_func",
            ],
        ],
        defaults: &[("num_key_value_heads", "8"), ("head_dim", "128")],
        ..row("MiniMaxM2ForCausalLM", "minimax-m2")
    },
    Row {
        names: NORM_AFTER,
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "attention_bias",
                "sliding_window",
                "layer_types",
                "num_local_experts",
                "num_experts_per_tok",
                "swiglu_limit",
                "swiglu_alpha",
            ],
        ],
        defaults: &[
            ("num_key_value_heads", "8"),
            ("head_dim", "64"),
            ("sliding_window", "128"),
            ("attention_bias", "true"),
            ("num_experts_per_tok", "4"),
        ],
        windows: Windows::AllBut(2),
        biases: Biases::Attention,
        packed: true,
        cuts: GPT_OSS,
        ..row("GptOssForCausalLM", "gpt-oss")
    },
    Row {
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "attention_bias",
                "sliding_window",
                "max_window_layers",
                "layer_types",
            ],
            EXPERTS,
            GROUPS,
        ],
        defaults: &[
            ("num_key_value_heads", "32"),
            ("sliding_window", "4096"),
            ("max_window_layers", "62"),
        ],
        windows: Windows::From,
        biases: Biases::Attention,
        numbers: &[SIGMOID],
        ..row("Dots1ForCausalLM", "dots1")
    },
];
