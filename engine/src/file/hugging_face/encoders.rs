//! Architectures that make embeddings of texts or score them: encoders, and models of text without their head.

use super::{
    older::{GEMMA3, QWEN3},
    only::Only,
    row::{Biases, Head, LLAMAS, Places, RMS, Row, Windows, row},
};

/// BERT's own, those outside the blocks too.
#[rustfmt::skip] // a table
const BERT_NAMES: &[(&str, &str)] = &[
    ("embeddings.word_embeddings", "token_embd"),
    ("embeddings.position_embeddings", "position_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.LayerNorm", "token_embd_norm"),
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.dense", "ffn_down"),
    ("output.LayerNorm", "layer_output_norm"),
];

const REQUIRED_LAYER: &[&str] = &[
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "layer_norm_eps",
    "vocab_size",
];

/// Sizes of an encoder.
const ENCODER_SIZES: &[&str] = &[
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
];

/// Keys that BERT reads beside its sizes, and what follows it.
const BERTS: &[&str] = &[
    "hidden_act",
    "layer_norm_eps",
    "position_embedding_type",
    "is_decoder",
    "add_cross_attention",
];

/// BERT (Devlin et al. 2018).
const BERT: Row = Row {
    prefixes: &["bert."],
    layers: &["encoder.layer."],
    names: BERT_NAMES,
    required: REQUIRED_LAYER,
    reads: &[ENCODER_SIZES, BERTS],
    defaults: &[("layer_norm_eps", "1e-12"), ("hidden_act", "\"gelu\"")],
    head: Head::None,
    only: &[("position_embedding_type", Only::Text("absolute"))],
    places: Places::Typed,
    ..row("BertModel", "bert")
};

/// GGUF's number of texts that are scored.
const RANK: (&str, u64) = ("pooling_type", 4);

/// RoBERTa (Liu et al. 2019), and XLM-RoBERTa after it: BERT, but for its positions.
const ROBERTA: Row = Row {
    architecture: "RobertaModel",
    prefixes: &["roberta."],
    reads: &[ENCODER_SIZES, BERTS, &["pad_token_id"]],
    defaults: &[
        ("layer_norm_eps", "1e-12"),
        ("hidden_act", "\"gelu\""),
        ("pad_token_id", "1"),
    ],
    places: Places::Padded,
    ..BERT
};

/// RoBERTa with a classifier on the first row.
const ROBERTA_CLASSES: Row = Row {
    architecture: "RobertaForSequenceClassification",
    head: Head::Classes(&[
        ("classifier.dense", "cls"),
        ("classifier.out_proj", "cls.output"),
    ]),
    numbers: &[RANK],
    ..ROBERTA
};

#[rustfmt::skip] // a table
const MODERN_NAMES: &[(&str, &str)] = &[
    ("embeddings.tok_embeddings", "token_embd"),
    ("embeddings.norm", "token_embd_norm"),
    ("final_norm", "output_norm"),
    ("attn_norm", "attn_norm"),
    ("attn.Wqkv", "attn_qkv"),
    ("attn.Wo", "attn_output"),
    ("mlp_norm", "ffn_norm"),
    ("mlp.Wi", "ffn_up"),
    ("mlp.Wo", "ffn_down"),
];

const MODERN_READS: &[&str] = &[
    "hidden_activation",
    "layer_norm_eps",
    "norm_bias",
    "attention_bias",
    "mlp_bias",
    "layer_types",
    "sliding_window_pattern",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "rope_local_base_freq",
];

/// ModernBERT (Warner et al. 2024).
const MODERN_BERT: Row = Row {
    names: MODERN_NAMES,
    required: ENCODER_SIZES,
    reads: &[ENCODER_SIZES, MODERN_READS],
    aliases: &[
        ("global_rope_theta", "rope_theta"),
        ("local_rope_theta", "rope_local_base_freq"),
        ("global_attn_every_n_layers", "sliding_window_pattern"),
        ("local_attention", "sliding_window"),
        ("norm_eps", "layer_norm_eps"),
    ],
    defaults: &[
        ("hidden_activation", "\"gelu\""),
        ("layer_norm_eps", "1e-5"),
        ("sliding_window", "128"),
        ("rope_theta", "160000.0"),
        ("rope_local_base_freq", "10000.0"),
        ("classifier_pooling", "\"cls\""),
        ("classifier_activation", "\"gelu\""),
    ],
    windows: Windows::AllButFrom0(3),
    biases: Biases::AttentionAndMlp,
    head: Head::None,
    only: &[
        ("norm_bias", Only::Bool(false)),
        ("rope_scaling", Only::Nothing),
    ],
    ..row("ModernBertModel", "modern-bert")
};

/// Rows of ModernBERT's texts that its classifier reads, and its activation.
const MODERN_CLASSES: &[&str] = &["classifier_pooling", "classifier_activation"];

#[rustfmt::skip] // a table
const ROTATED_NAMES: &[(&str, &str)] = &[
    ("embeddings.word_embeddings", "token_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.LayerNorm", "token_embd_norm"),
    ("emb_ln", "token_embd_norm"),
    ("attn.Wqkv", "attn_qkv"),
    ("mixer.Wqkv", "attn_qkv"),
    ("attn.out_proj", "attn_output"),
    ("mixer.out_proj", "attn_output"),
    ("post_attention_layernorm", "attn_output_norm"),
    ("norm1", "attn_output_norm"),
    ("mlp.fc1", "ffn_up"),
    ("mlp.fc11", "ffn_up"),
    ("mlp.fc12", "ffn_gate"),
    ("mlp.fc2", "ffn_down"),
    ("post_mlp_layernorm", "layer_output_norm"),
    ("norm2", "layer_output_norm"),
];

/// Jina Embeddings v3 (Sturua et al. 2024) as `transformers` has it, without adapters for tasks: RoBERTa with rotary embedding.
const JINA_V3: Row = Row {
    prefixes: &["roberta."],
    layers: &["layers.", "encoder.layers."],
    names: ROTATED_NAMES,
    required: REQUIRED_LAYER,
    reads: &[
        ENCODER_SIZES,
        &[
            "hidden_act",
            "layer_norm_eps",
            "head_dim",
            "rope_parameters",
            "rope_theta",
        ],
    ],
    defaults: &[
        ("layer_norm_eps", "1e-5"),
        ("hidden_act", "\"gelu\""),
        ("rope_theta", "20000.0"),
    ],
    head: Head::None,
    ..row("JinaEmbeddingsV3Model", "jina-bert-v3")
};

/// Nomic Embed (Nussbaum et al. 2024), by the names of `transformers` and by those of its own code, which are GPT-2's.
const NOMIC_BERT: Row = Row {
    prefixes: &["nomic_bert."],
    aliases: &[
        ("n_layer", "num_hidden_layers"),
        ("n_embd", "hidden_size"),
        ("n_head", "num_attention_heads"),
        ("n_inner", "intermediate_size"),
        ("max_trained_positions", "max_position_embeddings"),
        ("layer_norm_epsilon", "layer_norm_eps"),
        ("activation_function", "hidden_act"),
        ("rotary_emb_base", "rope_theta"),
    ],
    defaults: &[
        ("layer_norm_eps", "1e-12"),
        ("hidden_act", "\"silu\""),
        ("rope_theta", "1000.0"),
        ("max_position_embeddings", "2048"),
    ],
    only: &[
        ("moe_every_n_layers", Only::Whole(0)),
        ("prenorm", Only::Bool(false)),
        ("parallel_block", Only::Bool(false)),
        ("causal", Only::Bool(false)),
        ("use_rms_norm", Only::Bool(false)),
        ("rotary_emb_fraction", Only::Number(1.0)),
        ("rotary_emb_interleaved", Only::Bool(false)),
        ("rotary_emb_scale_base", Only::Nothing),
    ],
    architecture: "NomicBertModel",
    family: "nomic-bert",
    ..JINA_V3
};

/// The rows.
pub(super) const ROWS: &[Row] = &[
    BERT,
    Row {
        architecture: "BertForSequenceClassification",
        head: Head::Classes(&[("pooler.dense", "cls"), ("classifier", "cls.output")]),
        numbers: &[RANK],
        ..BERT
    },
    ROBERTA,
    ROBERTA_CLASSES,
    Row {
        architecture: "XLMRobertaModel",
        ..ROBERTA
    },
    Row {
        architecture: "XLMRobertaForSequenceClassification",
        ..ROBERTA_CLASSES
    },
    Row {
        architecture: "CamembertModel",
        ..ROBERTA
    },
    MODERN_BERT,
    Row {
        architecture: "ModernBertForSequenceClassification",
        head: Head::Classes(&[
            ("head.dense", "cls"),
            ("head.norm", "cls.norm"),
            ("classifier", "cls.output"),
        ]),
        reads: &[ENCODER_SIZES, MODERN_READS, MODERN_CLASSES],
        numbers: &[RANK],
        ..MODERN_BERT
    },
    Row {
        reads: &[LLAMAS, RMS, &["hidden_act", "attention_bias", "mlp_bias"]],
        defaults: &[("rms_norm_eps", "1e-5")],
        biases: Biases::AttentionAndMlp,
        head: Head::None,
        ..row("EuroBertModel", "eurobert")
    },
    NOMIC_BERT,
    JINA_V3,
    Row {
        architecture: "Qwen3Model",
        head: Head::None,
        ..QWEN3
    },
    Row {
        architecture: "Qwen3ForSequenceClassification",
        head: Head::Classes(&[("score", "cls.output")]),
        numbers: &[RANK],
        ..QWEN3
    },
    Row {
        architecture: "Gemma3TextModel",
        family: "gemma-embedding",
        head: Head::None,
        only: &[("use_bidirectional_attention", Only::Stated)],
        ..GEMMA3
    },
];
