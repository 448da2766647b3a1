//! Writes a GGUF model as a Hugging Face folder: the other way round than it is read, and with other people's writer of
//! safetensors. Rows that GGUF has permuted for RoPE are put back.

use std::{collections::BTreeMap, fs, ops::Deref, path::Path};

use lantern_engine::{
    Config, ModelFile,
    file::{Metadata, TensorInfo, Value},
};
use lantern_kernels::Format;
use pollster::block_on;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// Architecture, family, whether GGUF permutes the rows of queries and keys, what is missing in norms' weights.
#[rustfmt::skip] // a table
const FAMILIES: &[(&str, &str, bool, f32)] = &[
    ("LlamaForCausalLM",    "llama",    true,  0.0),
    ("Qwen2ForCausalLM",    "qwen2",    false, 0.0),
    ("Qwen3ForCausalLM",    "qwen3",    false, 0.0),
    ("Qwen3MoeForCausalLM", "qwen3moe", false, 0.0),
    ("Gemma2ForCausalLM",   "gemma2",   false, 1.0),
    ("Gemma3ForCausalLM",   "gemma3",   false, 1.0),
    ("Phi3ForCausalLM",     "phi3",     false, 0.0),
    ("SmolLM3ForCausalLM",  "smollm3",  true,  0.0),
    ("GraniteForCausalLM",  "granite",  true,  0.0),
    ("Olmo2ForCausalLM",    "olmo2",    false, 0.0),
    ("GPT2LMHeadModel",     "gpt2",     false, 0.0),
];

/// GGUF's part of a name, and that of `transformers`.
#[rustfmt::skip] // a table
pub const NAMES: &[(&str, &str)] = &[
    ("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head"),
    ("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm"),
    ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj"),
    ("attn_qkv", "self_attn.qkv_proj"), ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"), ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj"),
    ("ffn_gate_inp", "mlp.gate"),
    ("ffn_gate_exps", "mlp.experts.E.gate_proj"), ("ffn_up_exps", "mlp.experts.E.up_proj"),
    ("ffn_down_exps", "mlp.experts.E.down_proj"),
];

/// Names that differ where norms follow a layer, and where gate and up are one.
#[rustfmt::skip] // a table
const NAMES_AFTER: &[(&str, &str)] = &[
    ("post_attention_norm", "post_attention_layernorm"), ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];
const NAMES_PHI: &[(&str, &str)] = &[("ffn_up", "mlp.gate_up_proj")];

/// GPT-2 has all its own.
#[rustfmt::skip] // a table
const NAMES_GPT2: &[(&str, &str)] = &[
    ("token_embd", "transformer.wte"), ("position_embd", "transformer.wpe"), ("output_norm", "transformer.ln_f"),
    ("attn_norm", "ln_1"), ("ffn_norm", "ln_2"), ("attn_qkv", "attn.c_attn"), ("attn_output", "attn.c_proj"),
    ("ffn_up", "mlp.c_fc"), ("ffn_down", "mlp.c_proj"),
];

/// Bytes of a tensor, its shape with the outermost first, and its name.
pub type Tensor = (String, Vec<usize>, Vec<u8>);

/// A folder that nothing else uses, also no test of another process; deleted with this value.
pub struct Folder(TempDir);

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.0.path()
    }
}

/// An empty folder whose name begins with `name`.
pub fn folder(name: &str) -> Folder {
    let prefix = format!("hugging-face-{name}-");
    let made = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    Folder(made.unwrap())
}

/// Writes the model in `file`, all of it but the tokenizer, in so many files.
pub fn export(file: &ModelFile, folder: &Path, stored: Dtype, shards: usize) {
    let config = file.config().unwrap();
    let &(architecture, _, permuted, offset) =
        FAMILIES.iter().find(|f| f.1 == config.family).unwrap();
    let mut all = Vec::new();
    for tensor in file.tensors() {
        let mut values = values(file, tensor);
        let part = tensor.name.split('.').nth(2).unwrap_or_default();
        if permuted && ["attn_q", "attn_k"].contains(&part) {
            values = unpermuted(
                &values,
                tensor,
                config.attention().unwrap().head_dim as usize,
            );
        }
        if tensor.name.ends_with("norm.weight") {
            for v in &mut values {
                *v -= offset;
            }
        }
        all.extend(named(&config.family, tensor, &values, stored));
    }
    let mut description = description(file, &config);
    let mixtral = config.family == "llama"
        && config.blocks[0]
            .ffn
            .is_some_and(|ffn| ffn.experts.is_some());
    description["architectures"] = json!([if mixtral {
        "MixtralForCausalLM"
    } else {
        architecture
    }]);
    let write = |name: &str, json: &Json| fs::write(folder.join(name), json.to_string()).unwrap();
    write("config.json", &description);
    if shards == 1 {
        return put(&folder.join("model.safetensors"), &all, stored);
    }
    let mut map = BTreeMap::new();
    for (index, some) in all.chunks(all.len().div_ceil(shards)).enumerate() {
        let name = format!("model-{:05}-of-{shards:05}.safetensors", index + 1);
        put(&folder.join(&name), some, stored);
        map.extend(
            some.iter()
                .map(|(tensor, ..)| (tensor.clone(), name.clone())),
        );
    }
    let index = json!({"metadata": {"total_size": 0}, "weight_map": map});
    write("model.safetensors.index.json", &index);
}

pub fn put(path: &Path, tensors: &[Tensor], stored: Dtype) {
    fn view((name, shape, bytes): &Tensor, stored: Dtype) -> (String, TensorView<'_>) {
        let view = TensorView::new(stored, shape.clone(), bytes).unwrap();
        (name.clone(), view)
    }
    // The writer's own example of metadata.
    let about = Some([("format".to_owned(), "pt".to_owned())].into());
    let views: Vec<_> = tensors.iter().map(|tensor| view(tensor, stored)).collect();
    let bytes = safetensors::serialize(views, about);
    fs::write(path, bytes.unwrap()).unwrap();
}

/// Values of a tensor, rows one after the other.
pub fn values(file: &ModelFile, tensor: &TensorInfo) -> Vec<f32> {
    let bytes = block_on(file.data(tensor, 0..tensor.bytes)).unwrap();
    let rows = tensor.shape[1..].iter().product::<u64>() as u32;
    let (format, cols) = (
        Format::of(tensor.kind.id()).unwrap(),
        tensor.shape[0] as u32,
    );
    let decoded = format.decode_rows(&bytes, rows, cols);
    // Rows come padded.
    let rows = decoded.chunks(decoded.len() / rows as usize);
    rows.flat_map(|row| &row[..cols as usize])
        .copied()
        .collect()
}

/// GGUF has the two values of a pair in rows next to each other, `transformers` half a head apart.
pub fn unpermuted(values: &[f32], tensor: &TensorInfo, head: usize) -> Vec<f32> {
    let cols = if tensor.shape.len() == 1 {
        1
    } else {
        tensor.shape[0] as usize
    };
    let rows: Vec<&[f32]> = values.chunks(cols).collect();
    let from = |row: usize| {
        let (head_start, within) = (row / head * head, row % head);
        head_start + within % (head / 2) * 2 + within / (head / 2)
    };
    (0..rows.len())
        .flat_map(|row| rows[from(row)])
        .copied()
        .collect()
}

/// The tensor under the name it has elsewhere; of experts, one for each.
fn named(family: &str, tensor: &TensorInfo, values: &[f32], stored: Dtype) -> Vec<Tensor> {
    let parts: Vec<&str> = tensor.name.split('.').collect();
    let (layer, part, kind) = match parts[..] {
        ["blk", layer, part, kind] => (Some(layer), part, kind),
        [part, kind] => (None, part, kind),
        _ => panic!("{}", tensor.name),
    };
    if part.starts_with("rope_") {
        return vec![]; // in config.json
    }
    let after = ["gemma2", "gemma3", "olmo2"]
        .contains(&family)
        .then_some(NAMES_AFTER);
    let phi = (family == "phi3").then_some(NAMES_PHI);
    let gpt2 = (family == "gpt2").then_some(NAMES_GPT2);
    let mut tables = [after, phi, gpt2, Some(NAMES)]
        .into_iter()
        .flatten()
        .flatten();
    let (_, theirs) = tables
        .find(|(ours, _)| *ours == part)
        .unwrap_or_else(|| panic!("{part}"));
    let layers = gpt2.map_or("model.layers", |_| "transformer.h");
    let prefix = layer.map_or(String::new(), |layer| format!("{layers}.{layer}."));
    let mut shape: Vec<usize> = tensor
        .shape
        .iter()
        .rev()
        .map(|&size| size as usize)
        .collect();
    let (cols, mut turned) = (shape[shape.len() - 1], vec![]);
    let mut values = values;
    if gpt2.is_some() && layer.is_some() && shape.len() == 2 {
        let column = |col| values.iter().skip(col).step_by(cols);
        turned.extend((0..cols).flat_map(column));
        values = &turned;
        shape.reverse();
    }
    let name = format!("{prefix}{theirs}.{kind}");
    if shape.len() < 3 {
        return vec![(name, shape, bytes_of(values, stored))];
    }
    let each = values.chunks(shape[1] * shape[2]).enumerate();
    let expert = |(index, values)| {
        (
            name.replace(".E.", &format!(".{index}.")),
            shape[1..].to_vec(),
            bytes_of(values, stored),
        )
    };
    each.map(expert).collect()
}

/// Numbers in a type of safetensors.
pub fn bytes_of(values: &[f32], stored: Dtype) -> Vec<u8> {
    match stored {
        Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Dtype::F16 => values
            .iter()
            .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
            .collect(),
        Dtype::BF16 => values
            .iter()
            .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// `config.json`.
pub fn description(file: &ModelFile, config: &Config) -> Json {
    let (base, block) = (&config.ropes[0], &config.blocks[0]);
    let attention = config.attention().unwrap();
    let window = (config.blocks.iter()).find_map(|block| block.attention()?.window());
    let rope = serde_json::to_value(&base.scaling).unwrap();
    let mut scaling = match (&rope["linear"], &rope["yarn"]) {
        (Json::Object(linear), _) => json!({"type": "linear", "factor": linear["factor"]}),
        (_, Json::Object(yarn)) => json!({
            "rope_type": "yarn", "factor": yarn["factor"], "beta_fast": yarn["beta_fast"],
            "beta_slow": yarn["beta_slow"], "original_max_position_embeddings": base.original_context,
        }),
        _ => Json::Null,
    };
    if let Some(tensor) = file.tensor("rope_freqs.weight") {
        let factors = values(file, tensor);
        scaling = json!({
            "rope_type": "longrope", "short_factor": factors, "long_factor": factors,
            "original_max_position_embeddings": config.context,
        });
    }
    let ffn_dim = block.ffn.map_or(0, |ffn| ffn.ffn_dim);
    let mut all = json!({
        "num_hidden_layers": config.layers, "hidden_size": config.dim,
        "num_attention_heads": attention.heads, "num_key_value_heads": attention.kv_heads,
        "head_dim": attention.head_dim, "intermediate_size": ffn_dim,
        "max_position_embeddings": config.context, "vocab_size": config.vocab_size,
        "rms_norm_eps": config.norm_epsilon, "rope_theta": base.base, "rope_scaling": scaling,
        "tie_word_embeddings": file.tensor("output.weight").is_none(), "torch_dtype": "float32",
        "attention_bias": file.tensor("blk.0.attn_output.bias").is_some(),
    });
    if config.family == "gpt2" {
        let inner = (ffn_dim != 4 * config.dim).then_some(ffn_dim);
        return json!({
            "n_layer": config.layers, "n_embd": config.dim, "n_head": attention.heads, "n_inner": inner,
            "n_positions": config.context, "vocab_size": config.vocab_size, "activation_function": "gelu_new",
            "layer_norm_epsilon": config.norm_epsilon,
        });
    }
    let scales = &config.scales;
    let more = match config.family.as_str() {
        "gemma2" | "gemma3" => json!({
            "sliding_window": window, "query_pre_attn_scalar": attention.scale.powi(-2),
            "attn_logit_softcapping": scales.score_softcap, "final_logit_softcapping": scales.logit_softcap,
            "hidden_activation": "gelu_pytorch_tanh",
        }),
        "granite" => json!({
            "embedding_multiplier": scales.embedding, "residual_multiplier": scales.residual,
            "attention_multiplier": attention.scale, "logits_scaling": 1.0 / scales.logits,
        }),
        "smollm3" => {
            json!({"no_rope_layers": (1..=config.layers).map(|i| u32::from(i % 4 != 0)).collect::<Vec<_>>()})
        }
        _ => json!({"hidden_act": "silu"}),
    };
    let experts = block.ffn.and_then(|ffn| ffn.experts).map(|experts| {
        json!({
            "num_experts": experts.n_experts, "num_local_experts": experts.n_experts,
            "num_experts_per_tok": experts.top_k, "moe_intermediate_size": ffn_dim,
            "norm_topk_prob": true,
        })
    });
    for (key, value) in [Some(more), experts]
        .iter()
        .flatten()
        .flat_map(|m| m.as_object().unwrap())
    {
        all[key] = value.clone();
    }
    all
}

/// Writes the tokenizer of `metadata`, cut into words by `pre_tokenizer`.
pub fn export_tokenizer(metadata: &Metadata, folder: &Path, pre_tokenizer: &Json) {
    let texts = metadata.texts("tokenizer.ggml.tokens").unwrap().unwrap();
    let kinds = metadata
        .integers("tokenizer.ggml.token_type")
        .unwrap()
        .unwrap();
    let is_text = metadata.text("tokenizer.ggml.model").unwrap() == Some("llama");
    let id = |key: &str| {
        metadata
            .u32(&format!("tokenizer.ggml.{key}_token_id"))
            .unwrap()
    };
    let text = |key: &str| id(key).map(|id| texts[id as usize].clone());
    let added = |(id, (text, kind)): (usize, (&String, &i64))| {
        let special = [2, 3].contains(kind);
        let token = json!({"id": id, "content": text, "special": special, "normalized": false,
            "lstrip": false, "rstrip": false, "single_word": false});
        [2, 3, 4].contains(kind).then_some(token)
    };
    let added: Vec<Json> = texts
        .iter()
        .zip(kinds)
        .enumerate()
        .filter_map(added)
        .collect();
    let vocabulary: serde_json::Map<String, Json> = (0..)
        .zip(texts)
        .map(|(id, text)| (text.clone(), json!(id)))
        .collect();
    let merges: Vec<Json> = match metadata.texts("tokenizer.ggml.merges").unwrap() {
        Some(lines) => lines.iter().map(|line| json!(line)).collect(),
        None => merges_of_scores(metadata),
    };
    let spaces = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ]});
    let whole = metadata.text("tokenizer.ggml.pre").unwrap() == Some("llama-bpe");
    let decoder = if is_text {
        super::shapes::llama_decoder()
    } else {
        super::shapes::byte_level(true, true)
    };
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": if is_text { spaces } else { Json::Null },
        "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": decoder,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": if is_text { json!("<unk>") } else { Json::Null },
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": is_text,
            "byte_fallback": is_text, "ignore_merges": whole, "vocab": vocabulary, "merges": merges,
        },
    });
    fs::write(folder.join("tokenizer.json"), json.to_string()).unwrap();
    let template = metadata.text("tokenizer.chat_template").unwrap();
    let config = json!({
        "bos_token": text("bos"), "eos_token": {"content": text("eos"), "special": true},
        "add_bos_token": metadata.bool("tokenizer.ggml.add_bos_token").unwrap(),
        "chat_template": template,
    });
    fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
}

/// Every pair of tokens that join to a token, by its score, as `transformers` makes merges of a SentencePiece model.
fn merges_of_scores(metadata: &Metadata) -> Vec<Json> {
    let texts = metadata.texts("tokenizer.ggml.tokens").unwrap().unwrap();
    let scores = metadata.floats("tokenizer.ggml.scores").unwrap().unwrap();
    let ids: std::collections::HashMap<&str, usize> = texts
        .iter()
        .enumerate()
        .map(|(id, text)| (text.as_str(), id))
        .collect();
    let mut all: Vec<(f64, &str, &str)> = Vec::new();
    for (text, score) in texts.iter().zip(scores) {
        for (cut, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(cut);
            if ids.contains_key(left) && ids.contains_key(right) {
                all.push((*score, left, right));
            }
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter()
        .map(|(_, left, right)| json!([left, right]))
        .collect()
}

/// The folder as a model of one tensor, an embedding of so many tokens.
pub fn model_around(folder: &Path, tokens: usize) -> lantern_engine::Result<ModelFile> {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 1, "hidden_size": 1, "num_attention_heads": 1,
        "intermediate_size": 1, "max_position_embeddings": 1, "rms_norm_eps": 1e-5,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let embedding = (
        "model.embed_tokens.weight".to_owned(),
        vec![tokens, 1],
        vec![0; tokens * 4],
    );
    put(&folder.join("model.safetensors"), &[embedding], Dtype::F32);
    ModelFile::open(folder)
}

/// The metadata of a folder's tokenizer, by way of a model of one tensor.
pub fn tokenizer_metadata(folder: &Path, tokens: usize) -> Metadata {
    let file = model_around(folder, tokens).unwrap();
    let unusable = file
        .metadata()
        .0
        .iter()
        .find(|(_, value)| matches!(value, Value::Unusable { .. }));
    assert!(unusable.is_none(), "{unusable:?}");
    file.metadata().clone()
}
