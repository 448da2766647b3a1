//! Architectures up to 2025.

use super::row::{Biases, LLAMAS, NORM_AFTER, RMS, Row, Windows, row, turned};

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

/// Gemma 2 and 3 differ in more than this row from each other.
const GEMMA: Row = Row {
    names: NORM_AFTER,
    norm_offset: true,
    reads: &[LLAMAS, RMS, GEMMAS],
    biases: Biases::Attention,
    ..row("", "")
};

/// Qwen 3, without experts.
pub(super) const QWEN3: Row = Row {
    reads: &[LLAMAS, RMS, QWENS, &["attention_bias"]],
    defaults: QWEN_DEFAULTS,
    windows: Windows::Last,
    biases: Biases::Attention,
    ..row("Qwen3ForCausalLM", "qwen3")
};

/// Gemma 3, without what sees.
pub(super) const GEMMA3: Row = Row {
    architecture: "Gemma3ForCausalLM",
    family: "gemma3",
    reads: &[
        LLAMAS,
        RMS,
        GEMMAS,
        &[
            "sliding_window_pattern",
            "_sliding_window_pattern",
            "rope_local_base_freq",
        ],
    ],
    defaults: &[
        ("num_key_value_heads", "4"),
        ("head_dim", "256"),
        ("query_pre_attn_scalar", "256"),
        ("sliding_window", "4096"),
        ("rope_theta", "1e6"),
    ],
    windows: Windows::AllBut(6),
    ..GEMMA
};

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        reads: &[LLAMAS, RMS, &["hidden_act", "attention_bias", "mlp_bias"]],
        biases: Biases::AttentionAndMlp,
        ..row("LlamaForCausalLM", "llama")
    },
    Row {
        reads: &[LLAMAS, RMS, &["hidden_act", "sliding_window"]],
        defaults: &[("num_key_value_heads", "8"), ("sliding_window", "4096")],
        windows: Windows::All,
        biases: Biases::None,
        ..row("MistralForCausalLM", "llama")
    },
    Row {
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "sliding_window",
                "num_local_experts",
                "num_experts_per_tok",
            ],
        ],
        defaults: &[
            ("num_key_value_heads", "8"),
            ("num_local_experts", "8"),
            ("num_experts_per_tok", "2"),
            ("rope_theta", "1e6"),
        ],
        windows: Windows::All,
        biases: Biases::None,
        ..row("MixtralForCausalLM", "llama")
    },
    Row {
        reads: &[LLAMAS, RMS, QWENS],
        defaults: QWEN_DEFAULTS,
        windows: Windows::Last,
        ..row("Qwen2ForCausalLM", "qwen2")
    },
    QWEN3,
    Row {
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "use_sliding_window",
                "sliding_window",
                "attention_bias",
                "num_experts",
                "num_local_experts",
                "num_experts_per_tok",
                "moe_intermediate_size",
                "norm_topk_prob",
                "mlp_only_layers",
                "decoder_sparse_step",
            ],
        ],
        defaults: &[
            ("num_key_value_heads", "4"),
            ("sliding_window", "4096"),
            ("num_experts_per_tok", "8"),
            ("moe_intermediate_size", "768"),
            ("norm_topk_prob", "false"),
        ],
        windows: Windows::Switched,
        biases: Biases::Attention,
        ..row("Qwen3MoeForCausalLM", "qwen3moe")
    },
    Row {
        architecture: "Gemma2ForCausalLM",
        family: "gemma2",
        defaults: &[
            ("num_key_value_heads", "4"),
            ("head_dim", "256"),
            ("query_pre_attn_scalar", "256"),
            ("sliding_window", "4096"),
        ],
        windows: Windows::AllBut(2),
        ..GEMMA
    },
    GEMMA3,
    Row {
        reads: &[LLAMAS, RMS, &["hidden_act", "sliding_window"]],
        windows: Windows::All,
        biases: Biases::None,
        ..row("Phi3ForCausalLM", "phi3")
    },
    Row {
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "attention_bias",
                "mlp_bias",
                "use_sliding_window",
                "sliding_window",
                "layer_types",
                "no_rope_layers",
                "no_rope_layer_interval",
            ],
        ],
        defaults: &[
            ("num_key_value_heads", "4"),
            ("rope_theta", "2e6"),
            ("no_rope_layer_interval", "4"),
        ],
        windows: Windows::WithoutRope,
        biases: Biases::AttentionAndMlp,
        ..row("SmolLM3ForCausalLM", "smollm3")
    },
    Row {
        reads: &[
            LLAMAS,
            RMS,
            &[
                "hidden_act",
                "attention_bias",
                "mlp_bias",
                "embedding_multiplier",
                "residual_multiplier",
                "attention_multiplier",
                "logits_scaling",
            ],
        ],
        defaults: &[("attention_multiplier", "1.0")],
        biases: Biases::AttentionAndMlp,
        ..row("GraniteForCausalLM", "granite")
    },
    Row {
        names: NORM_AFTER,
        reads: &[LLAMAS, RMS, &["hidden_act", "attention_bias"]],
        biases: Biases::Attention,
        ..row("Olmo2ForCausalLM", "olmo2")
    },
    Row {
        prefixes: &["transformer."],
        layers: &["h."],
        names: GPT2,
        required: REQUIRED_GPT2,
        reads: &[&[
            "activation_function",
            "n_layer",
            "n_embd",
            "n_head",
            "n_inner",
            "n_positions",
            "layer_norm_epsilon",
            "scale_attn_weights",
            "scale_attn_by_inverse_layer_idx",
            "add_cross_attention",
        ]],
        cuts: &[
            turned(&["attn_qkv.weight"]),
            turned(&["attn_output.weight"]),
            turned(&["ffn_up.weight"]),
            turned(&["ffn_down.weight"]),
        ],
        ..row("GPT2LMHeadModel", "gpt2")
    },
];

const QWEN_DEFAULTS: &[(&str, &str)] = &[
    ("num_key_value_heads", "32"),
    ("sliding_window", "4096"),
    ("max_window_layers", "28"),
];

const REQUIRED_GPT2: &[&str] = &[
    "n_layer",
    "n_embd",
    "n_head",
    "n_positions",
    "layer_norm_epsilon",
    "vocab_size",
];

/// Keys that Gemma 2 and 3 read.
const GEMMAS: &[&str] = &[
    "hidden_activation",
    "query_pre_attn_scalar",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "use_bidirectional_attention",
    "attention_bias",
    "sliding_window",
    "layer_types",
];

/// Keys that the dense Qwens read.
const QWENS: &[&str] = &[
    "hidden_act",
    "use_sliding_window",
    "sliding_window",
    "max_window_layers",
    "layer_types",
];
