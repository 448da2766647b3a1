//! Architectures of `transformers` as a table: a row says what runs one, which keys of `config.json` its code reads, and how
//! its files differ from Llama's.

use super::json::Object;
use crate::{Error, Result, Unsupported, file::short};

/// A family's name in `transformers`, and how its files differ from Llama's.
#[derive(Debug)]
pub(super) struct Row {
    /// In `architectures`.
    pub architecture: &'static str,
    /// The family that runs it.
    pub family: &'static str,
    /// Parts of a block that other architectures have other names for.
    pub names: &'static [(&'static str, &'static str)],
    /// Norms' weights are stored without the 1 that they are meant with.
    pub norm_offset: bool,
    /// Keys that must be there; the others have a value that goes without saying.
    pub required: &'static [&'static str],
    /// Lists of the keys that its code reads, beyond [`SHARED`].
    reads: &'static [&'static [&'static str]],
    /// Values, as JSON, that `transformers` has for keys that are left out, where GGUF's readers have others.
    defaults: &'static [(&'static str, &'static str)],
    /// Layers with a window.
    pub windows: Windows,
    /// Biases that the configuration switches.
    pub biases: Biases,
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
        reads: &[LLAMAS, &["hidden_act"]],
        defaults: &[],
        windows: Windows::None,
        biases: Biases::AsStored,
        transposed: &[],
    }
}

/// Gemma 2 and 3 differ in more than this row from each other.
const GEMMA: Row = Row {
    names: NORM_AFTER,
    norm_offset: true,
    reads: &[LLAMAS, GEMMAS],
    biases: Biases::Attention,
    ..row("", "")
};

const ROWS: &[Row] = &[
    Row {
        reads: &[LLAMAS, &["hidden_act", "attention_bias", "mlp_bias"]],
        biases: Biases::AttentionAndMlp,
        ..row("LlamaForCausalLM", "llama")
    },
    Row {
        reads: &[LLAMAS, &["hidden_act", "sliding_window"]],
        defaults: &[("num_key_value_heads", "8"), ("sliding_window", "4096")],
        windows: Windows::All,
        biases: Biases::None,
        ..row("MistralForCausalLM", "llama")
    },
    Row {
        reads: &[
            LLAMAS,
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
        reads: &[LLAMAS, QWENS],
        defaults: QWEN_DEFAULTS,
        windows: Windows::Last,
        ..row("Qwen2ForCausalLM", "qwen2")
    },
    Row {
        reads: &[LLAMAS, QWENS, &["attention_bias"]],
        defaults: QWEN_DEFAULTS,
        windows: Windows::Last,
        biases: Biases::Attention,
        ..row("Qwen3ForCausalLM", "qwen3")
    },
    Row {
        reads: &[
            LLAMAS,
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
    Row {
        architecture: "Gemma3ForCausalLM",
        family: "gemma3",
        reads: &[
            LLAMAS,
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
    },
    Row {
        reads: &[LLAMAS, &["hidden_act", "sliding_window"]],
        windows: Windows::All,
        biases: Biases::None,
        ..row("Phi3ForCausalLM", "phi3")
    },
    Row {
        reads: &[
            LLAMAS,
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
        reads: &[LLAMAS, &["hidden_act", "attention_bias"]],
        biases: Biases::Attention,
        ..row("Olmo2ForCausalLM", "olmo2")
    },
    Row {
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
        transposed: &["attn_qkv", "attn_output", "ffn_up", "ffn_down"],
        ..row("GPT2LMHeadModel", "gpt2")
    },
];

const QWEN_DEFAULTS: &[(&str, &str)] = &[
    ("num_key_value_heads", "32"),
    ("sliding_window", "4096"),
    ("max_window_layers", "28"),
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

/// Layers that attend to `sliding_window` positions, where `layer_types` does not list them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Windows {
    /// No layer, whatever the configuration says.
    None,
    /// All, where there is a `sliding_window`.
    All,
    /// All, where `use_sliding_window` says so.
    Switched,
    /// The last, from `max_window_layers` on, where `use_sliding_window` says so.
    Last,
    /// Layers without rotary embedding, where `use_sliding_window` says so.
    WithoutRope,
    /// All but every so many, or every `sliding_window_pattern`.
    AllBut(u64),
}

/// Biases that a configuration switches with `attention_bias` and `mlp_bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Biases {
    /// None at all.
    None,
    /// Biases that are stored; no key says anything of them.
    AsStored,
    /// Biases of queries, keys, values and attention's output.
    Attention,
    /// Biases of attention, and all of the MLP.
    AttentionAndMlp,
}

/// Keys that every architecture reads.
const SHARED: &[&str] = &[
    "architectures",
    "quantization_config",
    "vocab_size",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "is_encoder_decoder",
];

/// Keys that every architecture but GPT-2 reads.
const LLAMAS: &[&str] = &[
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "partial_rotary_factor",
    "original_max_position_embeddings",
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

impl Row {
    /// Whether models of this architecture read `key`; `transformers` passes over what they do not.
    pub fn knows(&self, key: &str) -> bool {
        let mut lists = self.reads.iter().chain([&SHARED]);
        lists.any(|keys| keys.contains(&key))
    }

    /// Puts the values that `transformers` has for keys that are left out.
    pub fn complete(&self, config: &mut Object) {
        for &(key, value) in self.defaults {
            let value = serde_json::from_str(value).expect("a row's own JSON");
            config.map.entry(key).or_insert(value);
        }
    }
}

pub(super) fn row_of(architecture: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.architecture == architecture)
}
