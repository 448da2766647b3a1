//! Architectures with selective state spaces, in every layer, in turns with attention, or beside it.

use super::{
    newer::SIGMOID,
    row::{Biases, Cut, Decays, Factor, LLAMAS, RMS, Rotated, Row, SIZES, Scan, row},
};

/// Names of what state-spaces' own models are made of, and of what follows those.
#[rustfmt::skip] // a table
const MIXERS: &[(&str, &str)] = &[
    ("embeddings", "token_embd"),
    ("norm_f", "output_norm"),
    ("norm", "attn_norm"),
    ("mixer.in_proj", "ssm_in"),
    ("mixer.conv1d", "ssm_conv1d"),
    ("mixer.x_proj", "ssm_x"),
    ("mixer.dt_proj", "ssm_dt"),
    ("mixer.norm", "ssm_norm"),
    ("mixer.out_proj", "ssm_out"),
    ("mixer.q_proj", "attn_q"),
    ("mixer.k_proj", "attn_k"),
    ("mixer.v_proj", "attn_v"),
    ("mixer.o_proj", "attn_output"),
    ("mixer.up_proj", "ffn_up"),
    ("mixer.down_proj", "ffn_down"),
    ("mixer.gate", "ffn_gate_inp"),
    ("mixer.shared_experts.up_proj", "ffn_up_shexp"),
    ("mixer.shared_experts.down_proj", "ffn_down_shexp"),
    ("mixer.fc1_latent_proj", "ffn_latent_down"),
    ("mixer.fc2_latent_proj", "ffn_latent_up"),
];

const FINAL: &[(&str, &str)] = &[("final_layernorm", "output_norm")];

/// Keys that must be there in models of nothing but state spaces.
const REQUIRED: &[&str] = &["num_hidden_layers", "hidden_size", "rms_norm_eps"];

/// Keys of Mamba, and of Mamba 2.
const MAMBAS: &[&str] = &[
    "num_hidden_layers",
    "hidden_size",
    "layer_norm_epsilon",
    "state_size",
    "conv_kernel",
    "expand",
    "use_conv_bias",
    "hidden_act",
];

const EPSILON: &[(&str, &str)] = &[("layer_norm_epsilon", "rms_norm_eps")];

/// More positions than any text has: these models know of none.
const UNLIMITED: (&str, u64) = ("context_length", 1 << 20);

const DEFAULTS: &[(&str, &str)] = &[
    ("layer_norm_epsilon", "1e-5"),
    ("state_size", "16"),
    ("conv_kernel", "4"),
    ("expand", "2"),
];

const MAMBA: Row = Row {
    names: MIXERS,
    prefixes: &["backbone.", "model."],
    required: REQUIRED,
    reads: &[MAMBAS, &["time_step_rank"]],
    aliases: EPSILON,
    defaults: DEFAULTS,
    numbers: &[UNLIMITED],
    scan: Some(Scan {
        decays: Decays::Channels {
            rank: "time_step_rank",
            normed: false,
        },
        inner: &[&["expand", "hidden_size"]],
        same: &[],
    }),
    ..row("MambaForCausalLM", "mamba")
};

/// Keys of state spaces beside attention.
const SPACES: &[&str] = &[
    "mamba_n_heads",
    "mamba_n_groups",
    "mamba_d_state",
    "mamba_d_conv",
    "mamba_expand",
    "mamba_conv_bias",
    "time_step_limit",
];

const NEMOTRON: &[&str] = &[
    "layer_norm_epsilon",
    "mlp_hidden_act",
    "attention_bias",
    "mlp_bias",
    "layers_block_type",
    "hybrid_override_pattern",
    "mamba_num_heads",
    "mamba_head_dim",
    "mamba_hidden_act",
    "ssm_state_size",
    "n_groups",
    "conv_kernel",
    "use_conv_bias",
    "time_step_limit",
    "n_routed_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "moe_latent_size",
    "norm_topk_prob",
    "routed_scaling_factor",
    "n_group",
    "topk_group",
];

/// Gates before ups, in the shared expert.
const SHARED: &[Cut] = &[Cut {
    stored: "ffn_gate_up_shexp.weight",
    turned: false,
    alternating: false,
    into: &["ffn_gate_shexp.weight", "ffn_up_shexp.weight"],
}];

/// Factors that Falcon-H1 is trained with.
#[rustfmt::skip] // a table
const MULTIPLIERS: &[Factor] = &[
    factor("attn_q",      &[("attention_in_multiplier", None)]),
    factor("attn_k",      &[("attention_in_multiplier", None), ("key_multiplier", None)]),
    factor("attn_v",      &[("attention_in_multiplier", None)]),
    factor("attn_output", &[("attention_out_multiplier", None)]),
    factor("ffn_gate",    &[("mlp_multipliers", Some(0))]),
    factor("ffn_up",      &[]),
    factor("ffn_down",    &[("mlp_multipliers", Some(1))]),
    factor("ssm_out",     &[("ssm_out_multiplier", None)]),
    Factor { sections: Some("ssm_multipliers"), ..factor("ssm_in", &[("ssm_in_multiplier", None)]) },
];

const fn factor(part: &'static str, by: &'static [(&'static str, Option<usize>)]) -> Factor {
    Factor {
        part,
        by,
        sections: None,
    }
}

/// The rows.
pub(super) const ROWS: &[Row] = &[
    MAMBA,
    Row {
        architecture: "FalconMambaForCausalLM",
        reads: &[MAMBAS, &["time_step_rank", "mixer_rms_eps"]],
        inner_epsilon: Some(1e-6),
        scan: Some(Scan {
            decays: Decays::Channels {
                rank: "time_step_rank",
                normed: true,
            },
            inner: &[&["expand", "hidden_size"]],
            same: &[],
        }),
        ..MAMBA
    },
    Row {
        architecture: "Mamba2ForCausalLM",
        family: "mamba2",
        reads: &[
            MAMBAS,
            &["num_heads", "head_dim", "n_groups", "time_step_limit"],
        ],
        defaults: &[
            ("layer_norm_epsilon", "1e-5"),
            ("state_size", "128"),
            ("conv_kernel", "4"),
            ("expand", "2"),
            ("num_heads", "128"),
            ("head_dim", "64"),
            ("n_groups", "8"),
        ],
        scan: Some(Scan {
            decays: Decays::Heads("num_heads"),
            inner: &[&["num_heads", "head_dim"]],
            same: &["expand", "hidden_size"],
        }),
        ..MAMBA
    },
    Row {
        names: MIXERS,
        prefixes: &["backbone.", "model."],
        reads: &[SIZES, NEMOTRON],
        aliases: &[
            ("layer_norm_epsilon", "rms_norm_eps"),
            ("mamba_n_groups", "n_groups"),
            ("mamba_d_conv", "conv_kernel"),
            ("mamba_conv_bias", "use_conv_bias"),
        ],
        defaults: &[
            ("layer_norm_epsilon", "1e-5"),
            ("num_key_value_heads", "8"),
            ("head_dim", "128"),
            ("mamba_num_heads", "128"),
            ("mamba_head_dim", "64"),
            ("ssm_state_size", "128"),
            ("n_groups", "8"),
            ("conv_kernel", "4"),
            ("n_routed_experts", "8"),
            ("num_experts_per_tok", "2"),
        ],
        biases: Biases::None,
        numbers: &[SIGMOID],
        left_out: &["mtp."],
        scan: Some(Scan {
            decays: Decays::Heads("mamba_num_heads"),
            inner: &[&["mamba_num_heads", "mamba_head_dim"]],
            same: &[],
        }),
        ..row("NemotronHForCausalLM", "nemotron_h_moe")
    },
    Row {
        reads: &[
            LLAMAS,
            RMS,
            SPACES,
            &[
                "hidden_act",
                "attention_bias",
                "embedding_multiplier",
                "residual_multiplier",
                "attention_multiplier",
                "logits_scaling",
                "num_local_experts",
                "num_experts_per_tok",
                "shared_intermediate_size",
                "position_embedding_type",
                "layer_types",
                "layers_block_type",
            ],
        ],
        defaults: &[
            ("attention_multiplier", "1.0"),
            ("num_local_experts", "8"),
            ("num_experts_per_tok", "2"),
            ("shared_intermediate_size", "1024"),
            ("mamba_n_heads", "128"),
            ("mamba_n_groups", "1"),
            ("mamba_d_state", "256"),
            ("mamba_d_conv", "4"),
            ("mamba_expand", "2"),
        ],
        rotated: Rotated::Stated,
        biases: Biases::Attention,
        cuts: SHARED,
        scan: Some(Scan {
            decays: Decays::Heads("mamba_n_heads"),
            inner: &[&["mamba_expand", "hidden_size"]],
            same: &[],
        }),
        ..row("GraniteMoeHybridForCausalLM", "granitehybrid")
    },
    Row {
        names: FINAL,
        reads: &[
            LLAMAS,
            RMS,
            SPACES,
            &[
                "hidden_act",
                "attention_bias",
                "mlp_bias",
                "mamba_d_ssm",
                "mamba_norm_before_gate",
                "embedding_multiplier",
                "lm_head_multiplier",
                "attention_in_multiplier",
                "attention_out_multiplier",
                "key_multiplier",
                "mlp_multipliers",
                "ssm_in_multiplier",
                "ssm_out_multiplier",
                "ssm_multipliers",
            ],
        ],
        defaults: &[
            ("num_key_value_heads", "8"),
            ("mamba_d_ssm", "1024"),
            ("mamba_n_heads", "128"),
            ("mamba_n_groups", "1"),
            ("mamba_d_state", "256"),
            ("mamba_d_conv", "4"),
            ("mamba_expand", "2"),
            ("mamba_norm_before_gate", "true"),
        ],
        biases: Biases::AttentionAndMlp,
        scan: Some(Scan {
            decays: Decays::Heads("mamba_n_heads"),
            inner: &[&["mamba_d_ssm"], &["mamba_expand", "hidden_size"]],
            same: &[],
        }),
        factors: MULTIPLIERS,
        ..row("FalconH1ForCausalLM", "falcon-h1")
    },
    Row {
        names: FINAL,
        reads: &[
            SIZES,
            RMS,
            &[
                "hidden_act",
                "mamba_d_state",
                "mamba_d_conv",
                "mamba_expand",
                "mamba_dt_rank",
                "mamba_conv_bias",
                "num_experts",
                "num_experts_per_tok",
            ],
        ],
        defaults: &[
            ("num_key_value_heads", "8"),
            ("num_experts", "16"),
            ("num_experts_per_tok", "2"),
            ("mamba_d_state", "16"),
            ("mamba_d_conv", "4"),
            ("mamba_expand", "2"),
        ],
        biases: Biases::None,
        scan: Some(Scan {
            decays: Decays::Channels {
                rank: "mamba_dt_rank",
                normed: false,
            },
            inner: &[&["mamba_expand", "hidden_size"]],
            same: &[],
        }),
        ..row("JambaForCausalLM", "jamba")
    },
];
