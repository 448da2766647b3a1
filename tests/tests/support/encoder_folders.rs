//! References that make embeddings or scores as Hugging Face folders: what `transformers` and sentence-transformers call their
//! tensors, and what their configurations say.

use std::{fs, path::Path};

use lantern_engine::{ModelFile, Pooling, file::TensorInfo};
use safetensors::Dtype;
use serde_json::{Value as Json, json};

use super::hugging_face::{Tensor, bytes_of, put, values};
use super::newer_cases::Names;

/// A reference, and how `transformers` has it.
#[derive(Clone, Copy)]
pub struct Case {
    /// Name of the reference.
    pub reference: &'static str,
    /// In `architectures`.
    pub architecture: &'static str,
    /// Beginning of all tensors' names but a classifier's.
    pub prefix: &'static str,
    /// Beginning of the names of a block's tensors, before its number.
    pub layers: &'static str,
    /// GGUF's part of a name, and that of `transformers`; of a classifier's parts with a `/` before it.
    pub names: Names,
    /// Rows of positions before the first.
    pub positions_before: usize,
    /// Is missing in norms' weights.
    pub norm_offset: f32,
    /// Keys of the configuration beyond sizes, as JSON; null leaves one out.
    pub config: &'static str,
}

const fn case(reference: &'static str, architecture: &'static str) -> Case {
    Case {
        reference,
        architecture,
        prefix: "",
        layers: "layers.",
        names: LLAMA,
        positions_before: 0,
        norm_offset: 0.0,
        config: "{}",
    }
}

const LLAMA_NAMES: [(&str, &str); 14] = [
    ("token_embd", "embed_tokens"),
    ("output_norm", "norm"),
    ("attn_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("cls.output", "/score"),
];
const LLAMA: Names = &LLAMA_NAMES;
/// Rows of a head that answer yes and no are the classifier.
const RERANKER: Names = &{
    let mut names = LLAMA_NAMES;
    names[13].1 = "/lm_head";
    names
};
/// The answers' tokens, in the order of the classifier's rows.
pub const ANSWERS: [(&str, usize); 2] = [("yes", 9), ("no", 5)];
const GEMMA: Names = &[
    ("token_embd", "embed_tokens"),
    ("output_norm", "norm"),
    ("attn_norm", "input_layernorm"),
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];
const BERT: Names = &[
    ("token_embd", "embeddings.word_embeddings"),
    ("position_embd", "embeddings.position_embeddings"),
    ("token_types", "embeddings.token_type_embeddings"),
    ("token_embd_norm", "embeddings.LayerNorm"),
    ("attn_q", "attention.self.query"),
    ("attn_k", "attention.self.key"),
    ("attn_v", "attention.self.value"),
    ("attn_output", "attention.output.dense"),
    ("attn_output_norm", "attention.output.LayerNorm"),
    ("ffn_up", "intermediate.dense"),
    ("ffn_down", "output.dense"),
    ("layer_output_norm", "output.LayerNorm"),
    ("cls", "pooler.dense"),
    ("cls.output", "/classifier"),
];
const ROBERTA: Names = &[
    ("token_embd", "embeddings.word_embeddings"),
    ("position_embd", "embeddings.position_embeddings"),
    ("token_types", "embeddings.token_type_embeddings"),
    ("token_embd_norm", "embeddings.LayerNorm"),
    ("attn_q", "attention.self.query"),
    ("attn_k", "attention.self.key"),
    ("attn_v", "attention.self.value"),
    ("attn_output", "attention.output.dense"),
    ("attn_output_norm", "attention.output.LayerNorm"),
    ("ffn_up", "intermediate.dense"),
    ("ffn_down", "output.dense"),
    ("layer_output_norm", "output.LayerNorm"),
    ("cls", "/classifier.dense"),
    ("cls.output", "/classifier.out_proj"),
];
const MODERN: Names = &[
    ("token_embd", "embeddings.tok_embeddings"),
    ("token_embd_norm", "embeddings.norm"),
    ("output_norm", "final_norm"),
    ("attn_norm", "attn_norm"),
    ("attn_qkv", "attn.Wqkv"),
    ("attn_output", "attn.Wo"),
    ("ffn_norm", "mlp_norm"),
    ("ffn_up", "mlp.Wi"),
    ("ffn_down", "mlp.Wo"),
    ("cls", "/head.dense"),
    ("cls.norm", "/head.norm"),
    ("cls.output", "/classifier"),
];
const NOMIC: Names = &[
    ("token_embd", "embeddings.word_embeddings"),
    ("token_types", "embeddings.token_type_embeddings"),
    ("token_embd_norm", "emb_ln"),
    ("attn_qkv", "attn.Wqkv"),
    ("attn_output", "attn.out_proj"),
    ("attn_output_norm", "norm1"),
    ("ffn_up", "mlp.fc11"),
    ("ffn_gate", "mlp.fc12"),
    ("ffn_down", "mlp.fc2"),
    ("layer_output_norm", "norm2"),
];
const NOMIC_NEW: Names = &[
    ("token_embd", "embeddings.word_embeddings"),
    ("token_types", "embeddings.token_type_embeddings"),
    ("token_embd_norm", "embeddings.LayerNorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_output_norm", "post_attention_layernorm"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("layer_output_norm", "post_mlp_layernorm"),
];
const JINA: Names = &[
    ("token_embd", "embeddings.word_embeddings"),
    ("token_types", "embeddings.token_type_embeddings"),
    ("token_embd_norm", "emb_ln"),
    ("attn_qkv", "mixer.Wqkv"),
    ("attn_output", "mixer.out_proj"),
    ("attn_output_norm", "norm1"),
    ("ffn_up", "mlp.fc1"),
    ("ffn_down", "mlp.fc2"),
    ("layer_output_norm", "norm2"),
];
const JINA_NEW: Names = &[
    ("token_embd", "embeddings.word_embeddings"),
    ("token_types", "embeddings.token_type_embeddings"),
    ("token_embd_norm", "embeddings.LayerNorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_output_norm", "post_attention_layernorm"),
    ("ffn_up", "mlp.fc1"),
    ("ffn_down", "mlp.fc2"),
    ("layer_output_norm", "post_mlp_layernorm"),
];

/// GELU is llama.cpp's tanh in the references.
const BERT_CONFIG: &str = r#"{"hidden_act": "gelu_new", "layer_norm_eps": 1e-12, "type_vocab_size": 2, "pad_token_id": 0}"#;
const ROBERTA_CONFIG: &str = r#"{"hidden_act": "gelu_new", "layer_norm_eps": 1e-12, "type_vocab_size": 2, "pad_token_id": 1,
    "position_embedding_type": "absolute"}"#;

const fn bert(reference: &'static str, architecture: &'static str, prefix: &'static str) -> Case {
    Case {
        prefix,
        layers: "encoder.layer.",
        names: BERT,
        config: BERT_CONFIG,
        ..case(reference, architecture)
    }
}

const fn roberta(
    reference: &'static str,
    architecture: &'static str,
    prefix: &'static str,
) -> Case {
    Case {
        names: ROBERTA,
        positions_before: 2,
        config: ROBERTA_CONFIG,
        ..bert(reference, architecture, prefix)
    }
}

const fn modern(reference: &'static str, architecture: &'static str, config: &'static str) -> Case {
    Case {
        names: MODERN,
        config,
        ..case(reference, architecture)
    }
}

/// All of them.
pub const CASES: &[Case] = &[
    bert("bert", "BertModel", ""),
    bert("bert-wpm", "BertModel", "bert."),
    bert("bert-rank", "BertForSequenceClassification", "bert."),
    bert("bert-rank3", "BertForSequenceClassification", "bert."),
    roberta("bert", "RobertaModel", ""),
    roberta("bert", "XLMRobertaModel", ""),
    roberta("bert", "CamembertModel", "roberta."),
    roberta(
        "bert-rank",
        "XLMRobertaForSequenceClassification",
        "roberta.",
    ),
    roberta("bert-rank3", "RobertaForSequenceClassification", "roberta."),
    modern(
        "modern-bert",
        "ModernBertModel",
        r#"{"hidden_activation": "gelu_pytorch_tanh", "norm_eps": 1e-5, "local_attention": 8, "global_attn_every_n_layers": 3,
            "global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "norm_bias": false, "attention_bias": false,
            "mlp_bias": false, "position_embedding_type": "absolute", "decoder_bias": true}"#,
    ),
    modern(
        "modern-bert-silu",
        "ModernBertModel",
        r#"{"hidden_activation": "silu", "local_attention": 8, "layer_types": ["full_attention", "sliding_attention",
            "sliding_attention", "full_attention", "sliding_attention"], "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 160000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}}"#,
    ),
    Case {
        prefix: "model.",
        ..modern(
            "modern-bert-rank",
            "ModernBertForSequenceClassification",
            r#"{"hidden_activation": "gelu_pytorch_tanh", "local_attention": 8, "classifier_pooling": "mean",
                "classifier_activation": "gelu_pytorch_tanh", "classifier_bias": false}"#,
        )
    },
    Case {
        config: r#"{"hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 250000, "tie_word_embeddings": false}"#,
        ..case("eurobert", "EuroBertModel")
    },
    Case {
        layers: "encoder.layers.",
        names: NOMIC,
        config: r#"{"n_layer": 3, "n_embd": 64, "n_head": 4, "n_inner": 48, "n_positions": 8192, "max_trained_positions": 64,
            "num_hidden_layers": null, "hidden_size": null, "num_attention_heads": null, "intermediate_size": null,
            "max_position_embeddings": null, "layer_norm_epsilon": 1e-12, "activation_function": "swiglu", "causal": false,
            "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": false, "prenorm": false,
            "rotary_emb_scale_base": null, "rotary_scaling_factor": null, "qkv_proj_bias": false, "use_rms_norm": false,
            "parallel_block": false, "mlp_fc1_bias": false, "mlp_fc2_bias": false, "type_vocab_size": 2}"#,
        ..case("nomic-bert", "NomicBertModel")
    },
    Case {
        prefix: "nomic_bert.",
        names: NOMIC_NEW,
        config: r#"{"hidden_act": "silu", "head_dim": 16, "rope_parameters": {"rope_theta": 1000.0, "rope_type": "default"}}"#,
        ..case("nomic-bert", "NomicBertModel")
    },
    Case {
        prefix: "roberta.",
        layers: "encoder.layers.",
        names: JINA,
        config: r#"{"hidden_act": "gelu_new", "layer_norm_eps": 1e-12}"#,
        ..case("jina-bert-v3", "JinaEmbeddingsV3Model")
    },
    Case {
        names: JINA_NEW,
        config: r#"{"hidden_act": "gelu_new", "layer_norm_eps": 1e-12, "rope_parameters": {"rope_theta": 20000.0,
            "rope_type": "default"}}"#,
        ..case("jina-bert-v3", "JinaEmbeddingsV3Model")
    },
    Case {
        names: GEMMA,
        norm_offset: 1.0,
        config: GEMMA_CONFIG,
        ..case("gemma-embedding", "Gemma3TextModel")
    },
    Case {
        names: GEMMA,
        norm_offset: 1.0,
        config: GEMMA_CONFIG,
        ..case("gemma-embedding-dense", "Gemma3TextModel")
    },
    Case {
        config: QWEN_CONFIG,
        ..case("qwen3-embedding", "Qwen3Model")
    },
    Case {
        config: QWEN_UNTIED,
        ..case("qwen3-embedding", "Qwen3ForCausalLM")
    },
    Case {
        prefix: "model.",
        config: QWEN_CONFIG,
        ..case("qwen3-rank", "Qwen3ForSequenceClassification")
    },
    Case {
        prefix: "model.",
        names: RERANKER,
        config: QWEN_UNTIED,
        ..case("qwen3-rank", "Qwen3ForCausalLM")
    },
];

const GEMMA_CONFIG: &str = r#"{"hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "num_key_value_heads": 1,
    "head_dim": 20, "query_pre_attn_scalar": 20, "rope_theta": 1e6, "rope_local_base_freq": 1e4, "sliding_window": 8,
    "use_bidirectional_attention": true, "attn_logit_softcapping": null, "final_logit_softcapping": null,
    "_sliding_window_pattern": 6}"#;
const QWEN_CONFIG: &str = r#"{"hidden_act": "silu", "rms_norm_eps": 1e-6, "num_key_value_heads": 2, "head_dim": 20,
    "rope_theta": 1e6, "attention_bias": false, "use_sliding_window": false, "sliding_window": null, "tie_word_embeddings": true}"#;
const QWEN_UNTIED: &str = r#"{"hidden_act": "silu", "rms_norm_eps": 1e-6, "num_key_value_heads": 2, "head_dim": 20,
    "rope_theta": 1e6, "tie_word_embeddings": false}"#;

impl Case {
    /// Writes the model in `file` as `transformers` has it, and as sentence-transformers has a model that is pooled.
    pub fn export(&self, file: &ModelFile, folder: &Path) {
        let mut all = Vec::new();
        for tensor in file.tensors() {
            all.extend(self.tensor(file, tensor));
        }
        if self.names == BERT && !self.architecture.ends_with("Classification") {
            let pooler = format!("{}pooler.dense.weight", self.prefix);
            all.push((pooler, vec![1], bytes_of(&[0.0], Dtype::F32)));
        }
        put(&folder.join("model.safetensors"), &all, Dtype::F32);
        let config = self.description(file).to_string();
        fs::write(folder.join("config.json"), config).unwrap();
        modules(file, folder);
    }

    fn tensor(&self, file: &ModelFile, tensor: &TensorInfo) -> Option<Tensor> {
        let mut values = values(file, tensor);
        let mut shape: Vec<usize> = (tensor.shape.iter().rev())
            .map(|&size| size as usize)
            .collect();
        let (block, rest) = match tensor.name.strip_prefix("blk.") {
            None => (String::new(), tensor.name.as_str()),
            Some(rest) => {
                let (layer, rest) = rest.split_once('.').unwrap();
                (format!("{}{layer}.", self.layers), rest)
            }
        };
        let (mut part, kind) = rest.rsplit_once('.').unwrap();
        if part.starts_with("dense_") {
            return None; // in a folder of its own
        }
        if part.ends_with("norm") {
            for v in &mut values {
                *v -= self.norm_offset;
            }
        }
        if part == "position_embd" {
            let before = vec![100.0; self.positions_before * shape[1]];
            values = [before, values].concat();
            shape[0] += self.positions_before;
        }
        let has = |name: &str| self.names.iter().any(|(ours, _)| *ours == name);
        if !has("attn_q") && ["attn_q", "attn_k", "attn_v"].contains(&part) {
            // In one matrix, queries first.
            if part != "attn_q" {
                return None;
            }
            for other in ["attn_k", "attn_v"] {
                let name = tensor.name.replace("attn_q", other);
                values.extend(super::hugging_face::values(
                    file,
                    file.tensor(&name).unwrap(),
                ));
            }
            shape[0] *= 3;
            part = "attn_qkv";
        }
        let found = self.names.iter().find(|(ours, _)| *ours == part);
        let (_, theirs) = found.unwrap_or_else(|| panic!("{}: {part}", self.reference));
        if *theirs == "/lm_head" {
            let (cols, rows) = (shape[1], file.config().unwrap().vocab_size as usize);
            let mut head = vec![0.5; rows * cols];
            for (row, (_, id)) in values.chunks_exact(cols).zip(ANSWERS) {
                head[id * cols..][..cols].copy_from_slice(row);
            }
            (values, shape[0]) = (head, rows);
        }
        // As TensorFlow calls them.
        let old = self.reference == "bert-wpm" && theirs.ends_with("LayerNorm");
        let kind = match kind {
            "weight" if old => "gamma",
            "bias" if old => "beta",
            kind => kind,
        };
        let name = match theirs.strip_prefix('/') {
            Some(head) => format!("{head}.{kind}"),
            None => format!("{}{block}{theirs}.{kind}", self.prefix),
        };
        Some((name, shape, bytes_of(&values, Dtype::F32)))
    }

    fn description(&self, file: &ModelFile) -> Json {
        let config = file.config().unwrap();
        let attention = config.attention().unwrap();
        let mut all = json!({
            "architectures": [self.architecture], "num_hidden_layers": config.layers, "hidden_size": config.dim,
            "num_attention_heads": attention.heads, "intermediate_size": config.blocks[0].ffn.unwrap().ffn_dim,
            "max_position_embeddings": config.context as usize + self.positions_before, "vocab_size": config.vocab_size,
            "torch_dtype": "float32",
        });
        let more: Json = serde_json::from_str(self.config).unwrap();
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        all
    }
}

/// The files of sentence-transformers: pooling, then dense layers, then a length of 1.
fn modules(file: &ModelFile, folder: &Path) {
    let mode = match file.config().unwrap().usual_pooling() {
        Pooling::Rank | Pooling::None => return,
        Pooling::Mean => "mean",
        Pooling::Cls => "cls",
        Pooling::Last => "lasttoken",
    };
    let module = |path: &str, kind: &str| json!({"name": path, "path": path, "type": format!("sentence_transformers.models.{kind}")});
    let mut all = vec![module("", "Transformer"), module("1_Pooling", "Pooling")];
    let write = |path: &str, config: &Json| {
        fs::create_dir_all(folder.join(path)).unwrap();
        fs::write(folder.join(path).join("config.json"), config.to_string()).unwrap();
    };
    write(
        "1_Pooling",
        &json!({"word_embedding_dimension": 64, "pooling_mode": mode}),
    );
    for name in ["dense_2", "dense_3"] {
        let Some(tensor) = file.tensor(&format!("{name}.weight")) else {
            continue;
        };
        let path = format!("{}_Dense", &name[6..]);
        all.push(module(&path, "Dense"));
        write(
            &path,
            &json!({"in_features": tensor.shape[0], "out_features": tensor.shape[1], "bias": false,
            "activation_function": "torch.nn.modules.linear.Identity"}),
        );
        let shape = vec![tensor.shape[1] as usize, tensor.shape[0] as usize];
        let bytes = bytes_of(&values(file, tensor), Dtype::F32);
        let file = folder.join(&path).join("model.safetensors");
        put(
            &file,
            &[("linear.weight".to_owned(), shape, bytes)],
            Dtype::F32,
        );
    }
    all.push(module("9_Normalize", "Normalize"));
    fs::write(folder.join("modules.json"), json!(all).to_string()).unwrap();
}
