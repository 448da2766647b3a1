//! References of 2025 and 2026 as Hugging Face folders: what each architecture calls its tensors, and what its configuration
//! says beyond Llama's.

use std::{fs, path::Path};

use lantern_engine::{
    Config, ModelFile,
    file::{TensorInfo, Value},
};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value as Json, json};

use super::hugging_face::{NAMES, Tensor, bytes_of, description, unpermuted, values};
use super::newer_cases::{Case, GEMMA4, GPT_OSS, QWEN, WHOLE};

impl Case {
    /// Writes the model in `file` as `transformers` has it.
    pub fn export(&self, file: &ModelFile, folder: &Path) {
        let config = file.config().unwrap();
        let head = config.attention().unwrap().head_dim as usize;
        let mut all = Vec::new();
        for tensor in file
            .tensors()
            .iter()
            .filter(|t| !t.name.starts_with("rope_"))
        {
            let mut values = values(file, tensor);
            let part = tensor.name.split('.').nth(2).unwrap_or_default();
            if self.permuted && ["attn_q", "attn_k"].contains(&part) {
                values = unpermuted(&values, tensor, head);
            }
            let offset = self.reference == "gemma" || self.names == QWEN;
            if offset && tensor.name.ends_with("norm.weight") && part != "ssm_norm" {
                for v in &mut values {
                    *v -= 1.0;
                }
            }
            if self.reference.starts_with("qwen35") {
                values = grouped(tensor, &values);
            }
            if part == "ssm_a" {
                for v in &mut values {
                    *v = (-*v).ln();
                }
            }
            let mut tensor = tensor.clone();
            if self.reference == "gemma4-e" && ["attn_k", "attn_v"].contains(&part) {
                // All layers have as many key heads in `transformers`, unless values are keys.
                let times = match config.blocks[layer_of(&tensor)]
                    .attention()
                    .unwrap()
                    .kv_heads
                {
                    1 => 2,
                    _ => 1,
                };
                values = values.repeat(times);
                tensor.shape[1] *= times as u64;
            }
            all.extend(self.tensors(file, &tensor, &values));
        }
        if self.architecture.ends_with("ConditionalGeneration") {
            let seen = [
                "model.visual.x",
                "mtp.x",
                "vision_tower.x",
                "model.audio_tower.x",
            ];
            let seen = match self.reference {
                "mistral3-plain" => &seen[2..3],
                "gemma4-e" => &seen[3..],
                _ => &seen[..2],
            };
            all.extend((seen.iter()).map(|name| ((*name).to_owned(), vec![1], vec![0; 4])));
        }
        if self.reference == "apertus" {
            all.extend(activations(file, config.layers));
        }
        put_bytes(&folder.join("model.safetensors"), &all);
        let description = self.description(file, &config);
        fs::write(folder.join("config.json"), description.to_string()).unwrap();
    }

    /// The tensor as `transformers` has it, or what it has in its place.
    fn tensors(&self, file: &ModelFile, tensor: &TensorInfo, values: &[f32]) -> Vec<Tensor> {
        let (block, rest) = match tensor.name.strip_prefix("blk.") {
            None => (String::new(), tensor.name.as_str()),
            Some(rest) => {
                let (layer, rest) = rest.split_once('.').unwrap();
                (format!("model.layers.{layer}."), rest)
            }
        };
        let mut shape: Vec<usize> = (tensor.shape.iter().rev())
            .map(|&size| size as usize)
            .collect();
        let one = |name: String, shape: &[usize], values: &[f32]| {
            vec![(
                self.placed(&name),
                shape.to_vec(),
                bytes_of(values, Dtype::F32),
            )]
        };
        let layers = file.config().unwrap().layers as usize;
        if !block.is_empty() && layer_of(tensor) >= layers {
            return one(format!("{block}{rest}"), &shape, values);
        }
        if let Some((_, theirs)) = WHOLE.iter().find(|(ours, _)| *ours == rest) {
            return one(format!("{block}{theirs}"), &shape, values);
        }
        if self.names == GPT_OSS && rest.contains("_exps.") {
            return alternating(file, tensor, (&block, rest));
        }
        if ["qwen35moe", "gemma4-moe"].contains(&self.reference) && rest.contains("_exps.") {
            return self.fused(file, tensor, (&block, rest), values);
        }
        let (part, kind) = rest.rsplit_once('.').unwrap();
        let shared = [
            ("ffn_gate_shexp", "mlp.shared_experts.gate_proj"),
            ("ffn_up_shexp", "mlp.shared_experts.up_proj"),
            ("ffn_down_shexp", "mlp.shared_experts.down_proj"),
            ("exp_probs_b", "mlp.gate.e_score_correction_bias"),
        ];
        let mut names = self.names.iter().chain(NAMES).chain(&shared);
        let theirs = names.find(|(ours, _)| *ours == part);
        let Some((_, theirs)) = theirs else {
            panic!("{}: {} has no name", self.reference, tensor.name)
        };
        let name = if part == "exp_probs_b" {
            format!("{block}{theirs}")
        } else {
            format!("{block}{theirs}.{kind}")
        };
        let name = self.placed(&name);
        match part {
            "exp_probs_b" if self.reference == "ernie4-5-moe" => shape.insert(0, 1),
            "shortconv.conv" | "ssm_conv1d" => shape.insert(1, 1),
            "ffn_gate_inp_shexp" => shape.insert(0, 1),
            _ => {}
        }
        if !name.contains(".E.") {
            return vec![(name, shape, bytes_of(values, Dtype::F32))];
        }
        let each = values.chunks(values.len() / shape[0]).enumerate();
        let one = |(number, values): (usize, &[f32])| {
            let name = name.replace(".E.", &format!(".{number}."));
            (name, shape[1..].to_vec(), bytes_of(values, Dtype::F32))
        };
        each.map(one).collect()
    }

    /// All experts in one tensor, gates before ups.
    fn fused(
        &self,
        file: &ModelFile,
        tensor: &TensorInfo,
        (block, rest): (&str, &str),
        gates: &[f32],
    ) -> Vec<Tensor> {
        let experts = tensor.shape[2] as usize;
        let mlp = if self.names == GEMMA4 { "" } else { "mlp." };
        let mut shape: Vec<usize> = (tensor.shape.iter().rev())
            .map(|&size| size as usize)
            .collect();
        let (theirs, all) = match rest.split('.').next().unwrap() {
            "ffn_down_exps" => ("down_proj", gates.to_vec()),
            "ffn_gate_up_exps" => ("gate_up_proj", gates.to_vec()),
            "ffn_up_exps" => return vec![],
            _ => {
                let ups = file.tensor(&tensor.name.replace("gate", "up")).unwrap();
                let ups = values(file, ups);
                let each = gates.len() / experts;
                let both = gates.chunks(each).zip(ups.chunks(each));
                shape[1] *= 2;
                (
                    "gate_up_proj",
                    both.flat_map(|(gate, up)| [gate, up].concat()).collect(),
                )
            }
        };
        let name = self.placed(&format!("{block}{mlp}experts.{theirs}"));
        vec![(name, shape, bytes_of(&all, Dtype::F32))]
    }

    /// A tensor's name where the text model is one of several.
    fn placed(&self, name: &str) -> String {
        match self.architecture {
            "Mistral3ForConditionalGeneration" => format!("language_model.{name}"),
            other if other.ends_with("ConditionalGeneration") => {
                name.strip_prefix("model.").map_or(name.to_owned(), |rest| {
                    format!("model.language_model.{rest}")
                })
            }
            _ => name.to_owned(),
        }
    }

    /// `config.json`.
    fn description(&self, file: &ModelFile, config: &Config) -> Json {
        let mut all = description(file, config);
        let more: Json = serde_json::from_str(self.config).unwrap();
        if more
            .get("layer_norm_eps")
            .or(more.get("norm_eps"))
            .or(more.get("norm_epsilon"))
            .is_some()
        {
            all.as_object_mut().unwrap().remove("rms_norm_eps");
        }
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        let word = |letter| match letter {
            'S' => "sliding_attention",
            'C' => "conv",
            'L' => "linear_attention",
            _ => "full_attention",
        };
        let kinds = match self.reference {
            "exaone4-32b" => Some("SSSF".repeat(16)),
            _ => all["layer_types"].as_str().map(str::to_owned),
        };
        if let Some(kinds) = kinds {
            all["layer_types"] = kinds.chars().map(word).collect();
        }
        if file.tensor("rope_factors_long.weight").is_some() {
            all["rope_scaling"] = long_rope(file, config);
        }
        if self.names == GEMMA4 {
            describe_gemma4(file, &mut all);
        }
        if self.architecture.ends_with("ConditionalGeneration") {
            let tied = all["tie_word_embeddings"].take();
            all = json!({"text_config": all, "tie_word_embeddings": tied, "vision_config": {"hidden_size": 8}});
        }
        all["architectures"] = json!([self.architecture]);
        all
    }
}

/// `LongRoPE`'s factors, which GGUF keeps as tensors.
fn long_rope(file: &ModelFile, config: &Config) -> Json {
    let factors = |length: &str| {
        let tensor = file.tensor(&format!("rope_factors_{length}.weight"));
        values(file, tensor.unwrap())
    };
    json!({
        "type": "longrope", "short_factor": factors("short"), "long_factor": factors("long"),
        "original_max_position_embeddings": config.ropes[0].original_context, "attention_factor": 1.19f32,
    })
}

/// Numbers of activations, which GGUF has as metadata.
fn activations(file: &ModelFile, layers: u32) -> Vec<Tensor> {
    let mut all = Vec::new();
    for name in ["alpha_p", "alpha_n", "beta", "eps"] {
        let Some(Value::Floats(each)) = file.metadata().get(&format!("xielu.{name}")) else {
            panic!("no {name}")
        };
        for (layer, value) in (0..layers).zip(each) {
            let stored = bytes_of(&[*value as f32], Dtype::F32);
            let name = format!("model.layers.{layer}.mlp.act_fn.{name}");
            all.push((name, vec![1], stored));
        }
    }
    all
}

/// Writes tensors of numbers, and of single bytes.
fn put_bytes(path: &Path, tensors: &[Tensor]) {
    let view = |(name, shape, bytes): &'_ Tensor| {
        let bytes_only = bytes.len() == shape.iter().product::<usize>();
        let stored = if bytes_only { Dtype::U8 } else { Dtype::F32 };
        (name.clone(), stored, shape.clone(), bytes.clone())
    };
    let all: Vec<_> = tensors.iter().map(view).collect();
    let views = all.iter().map(|(name, stored, shape, bytes)| {
        let view = TensorView::new(*stored, shape.clone(), bytes).unwrap();
        (name.clone(), view)
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Experts of gpt-oss: rows of gates and ups that alternate, in MXFP4 codes and scales.
fn alternating(file: &ModelFile, tensor: &TensorInfo, (block, rest): (&str, &str)) -> Vec<Tensor> {
    if rest.starts_with("ffn_up_exps") {
        return vec![];
    }
    let gate_up = rest.starts_with("ffn_gate_exps");
    let other = file.tensor(&tensor.name.replace("gate", "up")).unwrap();
    let both = if gate_up {
        vec![tensor, other]
    } else {
        vec![tensor]
    };
    let theirs = if gate_up { "gate_up_proj" } else { "down_proj" };
    let experts = *tensor.shape.last().unwrap() as usize;
    let name = format!("{block}mlp.experts.{theirs}");
    if rest.ends_with("bias") {
        let all: Vec<_> = both.iter().map(|tensor| values(file, tensor)).collect();
        let pairs = all[0].iter().zip(&all[1]);
        let pairs: Vec<f32> = pairs.flat_map(|(gate, up)| [*gate, *up]).collect();
        let shape = vec![experts, pairs.len() / experts];
        return vec![(format!("{name}_bias"), shape, bytes_of(&pairs, Dtype::F32))];
    }
    let groups = tensor.shape[0] as usize / 32;
    let bytes: Vec<_> = (both.iter())
        .map(|tensor| pollster::block_on(file.data(tensor, 0..tensor.bytes)).unwrap())
        .collect();
    let (mut blocks, mut scales) = (vec![], vec![]);
    let rows = bytes[0].len() / (17 * groups);
    for row in 0..rows {
        for stored in bytes
            .iter()
            .filter_map(|all| all.chunks(17 * groups).nth(row))
        {
            for block in stored.chunks(17) {
                let code = |i: usize| block[1 + i % 16] >> (i / 16 * 4) & 15;
                scales.push(block[0]);
                blocks.extend((0..16).map(|j| code(2 * j) | code(2 * j + 1) << 4));
            }
        }
    }
    let shape = vec![experts, rows / experts * both.len(), groups];
    let with_codes = [&shape[..], &[16]].concat();
    vec![
        (format!("{name}_blocks"), with_codes, blocks),
        (format!("{name}_scales"), shape, scales),
    ]
}

/// The layer that a tensor is of.
fn layer_of(tensor: &TensorInfo) -> usize {
    tensor.name.split('.').nth(1).unwrap().parse().unwrap()
}

/// Value heads of the delta nets of Qwen 3.5 beside those of the same key head, where GGUF has them in turns: 2 key heads of 16, 6
/// value heads of 16.
fn grouped(tensor: &TensorInfo, values: &[f32]) -> Vec<f32> {
    let part = tensor.name.split('.').nth(2).unwrap_or_default();
    // Values before the first value head, and of each.
    let cols = tensor.shape[0] as usize;
    let (keys, each) = match part {
        "attn_qkv" | "ssm_conv1d" => (2 * 2 * 16 * cols, 16 * cols),
        "attn_gate" => (0, 16 * cols),
        "ssm_beta" | "ssm_alpha" => (0, cols),
        "ssm_a" | "ssm_dt" => (0, 1),
        "ssm_out" => {
            let rows = values.chunks(cols);
            return rows.flat_map(|row| heads_grouped(row, 16)).collect();
        }
        _ => return values.to_vec(),
    };
    let (keys, values) = values.split_at(keys);
    [keys, &heads_grouped(values, each)].concat()
}

fn heads_grouped(values: &[f32], each: usize) -> Vec<f32> {
    let heads: Vec<&[f32]> = values.chunks(each).collect();
    let from = |head: usize| heads[head % 3 * 2 + head / 3];
    (0..6).flat_map(from).copied().collect()
}

/// Keys by which Gemma 4's configuration describes layers.
fn describe_gemma4(file: &ModelFile, all: &mut Json) {
    let metadata = file.metadata();
    let number = |key: &str| metadata.u32(&format!("gemma4.{key}")).unwrap();
    let pattern = metadata
        .integers("gemma4.attention.sliding_window_pattern")
        .unwrap()
        .unwrap();
    let kinds: Vec<&str> = (pattern.iter())
        .map(|flag| ["full_attention", "sliding_attention"][usize::from(*flag != 0)])
        .collect();
    let full = pattern.iter().position(|flag| *flag == 0).unwrap();
    let same = file.tensor(&format!("blk.{full}.attn_v.weight")).is_none();
    let heads = match metadata.get("gemma4.attention.head_count_kv") {
        Some(Value::Integers(each)) => [each[0], each[full]],
        Some(&Value::Unsigned(all)) => [all as i64; 2],
        other => panic!("{other:?}"),
    };
    let factors = values(file, file.tensor("rope_freqs.weight").unwrap());
    let part = factors.iter().filter(|v| **v < 2.0).count() as f64 / factors.len() as f64;
    let more = json!({
        "layer_types": kinds, "sliding_window": number("attention.sliding_window"), "rope_scaling": null,
        "head_dim": number("attention.key_length_swa"), "global_head_dim": number("attention.key_length"),
        "num_key_value_heads": heads[0], "num_global_key_value_heads": same.then_some(heads[1]),
        "attention_k_eq_v": same, "num_kv_shared_layers": number("attention.shared_kv_layers").unwrap_or(0),
        "use_double_wide_mlp": number("attention.shared_kv_layers").unwrap_or(0) > 0, "intermediate_size": 48,
        "hidden_size_per_layer_input": number("embedding_length_per_layer_input").unwrap_or(0),
        "num_experts": number("expert_count"), "top_k_experts": number("expert_used_count"),
        "moe_intermediate_size": number("expert_feed_forward_length"), "enable_moe_block": number("expert_count").is_some(),
        "final_logit_softcapping": metadata.f32("gemma4.final_logit_softcapping").unwrap().filter(|v| *v > 0.0),
        "hidden_activation": "gelu_pytorch_tanh", "hidden_act": null,
        "rope_parameters": {
            "full_attention": {"rope_type": "proportional", "partial_rotary_factor": part,
                "rope_theta": metadata.f32("gemma4.rope.freq_base").unwrap()},
            "sliding_attention": {"rope_type": "default", "rope_theta": metadata.f32("gemma4.rope.freq_base_swa").unwrap()},
        },
    });
    for (key, value) in more.as_object().unwrap() {
        all[key] = value.clone();
    }
}
