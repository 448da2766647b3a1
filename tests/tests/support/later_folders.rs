//! References with state spaces, latent attention, or experts stored the other way round, as Hugging Face folders: tensors in the
//! layouts that `transformers` has parameters for.

use std::{fs, path::Path};

use lantern_engine::{ModelFile, file::TensorInfo};
use safetensors::Dtype;
use serde_json::Value as Json;

use super::hugging_face::{Tensor, bytes_of, put, unpermuted, values};
use super::later_cases::Case;

/// A tensor's numbers by the names of GGUF, the outermost dimension first.
struct Part<'f> {
    file: &'f ModelFile,
    /// Beginning of the name in GGUF, and in `transformers`.
    blocks: [String; 2],
    /// End of the name in GGUF.
    rest: &'f str,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl<'f> Part<'f> {
    fn of(case: &Case, file: &'f ModelFile, tensor: &'f TensorInfo) -> Part<'f> {
        let (blocks, rest) = match tensor.name.strip_prefix("blk.") {
            None => ([String::new(), String::new()], tensor.name.as_str()),
            Some(rest) => {
                let (layer, rest) = rest.split_once('.').unwrap();
                let root = case.root();
                let theirs = format!("{root}layers.{layer}.");
                ([format!("blk.{layer}."), theirs], rest)
            }
        };
        Part {
            file,
            blocks,
            rest,
            shape: tensor.shape.iter().rev().map(|&n| n as usize).collect(),
            values: values(file, tensor),
        }
    }

    /// Numbers of another tensor of the same block.
    fn beside(&self, rest: &str) -> Part<'f> {
        let name = format!("{}{rest}", self.blocks[0]);
        let tensor = self.file.tensor(&name).unwrap();
        Part {
            file: self.file,
            blocks: self.blocks.clone(),
            rest: &tensor.name[self.blocks[0].len()..],
            shape: tensor.shape.iter().rev().map(|&n| n as usize).collect(),
            values: values(self.file, tensor),
        }
    }

    fn has(&self, rest: &str) -> bool {
        let name = format!("{}{rest}", self.blocks[0]);
        self.file.tensor(&name).is_some()
    }

    fn named(&self, name: &str, shape: &[usize], values: &[f32], stored: Dtype) -> Vec<Tensor> {
        let name = format!("{}{name}", self.blocks[1]);
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
        vec![(name, shape.to_vec(), bytes_of(values, stored))]
    }
}

impl Case {
    /// Writes the model in `file` as `transformers` has it.
    pub fn export(&self, file: &ModelFile, folder: &Path, stored: Dtype) {
        let config = self.description();
        fs::write(folder.join("config.json"), &config).unwrap();
        let config: Json = serde_json::from_str(&without_infinity(&config)).unwrap();
        let config = config.get("text_config").unwrap_or(&config);
        let mut all = Vec::new();
        for tensor in file.tensors() {
            if tensor.name.starts_with("rope_") {
                continue;
            }
            let part = Part::of(self, file, tensor);
            all.extend(self.tensors(config, part, stored));
        }
        if self.architecture.ends_with("ConditionalGeneration") {
            for (name, ..) in &mut all {
                *name = format!("language_model.{name}");
            }
            let seen = ["vision_model.x", "multi_modal_projector.x"];
            let bytes = || bytes_of(&[0.0], stored);
            all.extend(seen.map(|name| (name.to_owned(), vec![1], bytes())));
        }
        put(&folder.join("model.safetensors"), &all, stored);
    }

    /// `config.json`, as Python writes it.
    pub fn description(&self) -> String {
        let inner = |text: &str| {
            let text = text.trim();
            let inner = text
                .strip_prefix('{')
                .and_then(|text| text.strip_suffix('}'));
            inner.unwrap_or_default().to_owned()
        };
        let mut all = vec![inner(self.config), inner(self.more)];
        for (key, value) in [("vocab_size", "128"), ("max_position_embeddings", "256")] {
            if !all[0].contains(&format!("\"{key}\"")) {
                all.push(format!("\"{key}\": {value}"));
            }
        }
        all.retain(|text| !text.is_empty());
        let architecture = format!("\"architectures\": [\"{}\"]", self.architecture);
        if self.architecture.ends_with("ConditionalGeneration") {
            let text = all.join(", ");
            return format!("{{{architecture}, \"text_config\": {{{text}}}}}");
        }
        all.push(architecture);
        format!("{{{}}}", all.join(", "))
    }

    fn root(&self) -> &'static str {
        match self.architecture {
            "MambaForCausalLM"
            | "FalconMambaForCausalLM"
            | "Mamba2ForCausalLM"
            // Nemotron's own files; transformers itself writes `model.`.
            | "NemotronHForCausalLM" => "backbone.",
            _ => "model.",
        }
    }

    /// The tensor as `transformers` has it, or what it has in its place.
    fn tensors(&self, config: &Json, mut part: Part<'_>, stored: Dtype) -> Vec<Tensor> {
        let rest = part.rest;
        match self.architecture {
            "Llama4ForConditionalGeneration" if rest.contains("_exps.") => {
                return turned_experts(&part, "feed_forward.experts", false, stored);
            }
            "GptOssForCausalLM"
                if rest.contains("_exps.") && !rest.starts_with("ffn_down_exps.b") =>
            {
                return turned_experts(&part, "mlp.experts", true, stored);
            }
            "GraniteMoeHybridForCausalLM" if rest.starts_with("ffn_") => {
                if let Some(tensors) = granite(&part, stored) {
                    return tensors;
                }
            }
            _ => {}
        }
        match rest {
            "attn_k_b.weight" => return joined_heads(&part, stored),
            "attn_v_b.weight" => return vec![],
            "ssm_a" => part.values.iter_mut().for_each(|v| *v = (-*v).ln()),
            "ssm_conv1d.weight" => part.shape.insert(1, 1),
            "ssm_conv1d_q.weight" | "ssm_conv1d_k.weight" | "ssm_conv1d_v.weight" => {
                part.shape.remove(0);
            }
            "attn_q.weight" | "attn_k.weight" if self.permuted => {
                let name = format!("{}{rest}", part.blocks[0]);
                let tensor = part.file.tensor(&name).unwrap();
                part.values = unpermuted(&part.values, tensor, 16);
            }
            _ => {}
        }
        // Numbers of heads are no columns, and groups' norms are in a row.
        let of_heads = ["ssm_a", "ssm_d"].contains(&rest) && part.shape.last() == Some(&1);
        let of_heads = of_heads && self.architecture != "KimiLinearForCausalLM";
        if of_heads || rest == "ssm_norm.weight" {
            part.shape = vec![part.values.len()];
        }
        if self.architecture == "FalconH1ForCausalLM" {
            divide(config, &mut part);
        }
        self.plain(&part, stored)
    }

    /// The tensor under its own name, or each expert's.
    fn plain(&self, part: &Part<'_>, stored: Dtype) -> Vec<Tensor> {
        let (stem, kind) = part.rest.rsplit_once('.').unwrap_or((part.rest, ""));
        let find = |ours: &str| {
            let mut names = self.names.iter().flat_map(|names| names.iter());
            names
                .find(|(name, _)| *name == ours)
                .map(|(_, theirs)| *theirs)
        };
        let name = match (find(part.rest), find(stem)) {
            (Some(whole), _) => whole.to_owned(),
            (None, Some(theirs)) => format!("{theirs}.{kind}"),
            // What drafts has names that nobody reads.
            (None, None) if part.rest.contains("nextn") => part.rest.to_owned(),
            (None, None) => panic!("{}: {} has no name", self.reference, part.rest),
        };
        if !name.contains(".E.") {
            return part.named(&name, &part.shape, &part.values, stored);
        }
        let each = part.values.chunks(part.values.len() / part.shape[0]);
        let expert = |(number, values): (usize, &[f32])| {
            let name = name.replace(".E.", &format!(".{number}."));
            part.named(&name, &part.shape[1..], values, stored)
        };
        each.enumerate().flat_map(expert).collect()
    }
}

/// JSON with the text that transformers has since version 5 in the place of Python's infinity.
pub fn without_infinity(text: &str) -> String {
    text.replace(", Infinity]", r#", {"__float__": "Infinity"}]"#)
}

/// `kv_b_proj`: for each head the rows that make its keys, then those that make its values.
fn joined_heads(keys: &Part<'_>, stored: Dtype) -> Vec<Tensor> {
    let values = keys.beside("attn_v_b.weight");
    let &[heads, latent, plain] = &keys.shape[..] else {
        panic!("{:?}", keys.shape)
    };
    let each = values.shape[1];
    let mut all = Vec::new();
    for head in 0..heads {
        for row in 0..plain {
            let column = |col| keys.values[(head * latent + col) * plain + row];
            all.extend((0..latent).map(column));
        }
        all.extend(&values.values[head * each * latent..][..each * latent]);
    }
    let shape = [heads * (plain + each), latent];
    keys.named("self_attn.kv_b_proj.weight", &shape, &all, stored)
}

/// Experts as matrices that rows are multiplied with from the left: (experts, inputs, outputs), gates and ups in one.
fn turned_experts(part: &Part<'_>, theirs: &str, in_turns: bool, stored: Dtype) -> Vec<Tensor> {
    let kind = part.rest.rsplit_once('.').unwrap().1;
    let (name, parts) = match part.rest.split('.').next().unwrap() {
        "ffn_up_exps" => return vec![],
        "ffn_down_exps" => ("down_proj", vec![part.beside(part.rest)]),
        _ => {
            let other = part.beside(&part.rest.replace("gate", "up"));
            ("gate_up_proj", vec![part.beside(part.rest), other])
        }
    };
    let experts = part.shape[0];
    let (outputs, inputs) = match part.shape[1..] {
        [outputs, inputs] => (outputs, inputs),
        [outputs] => (outputs, 1),
        _ => panic!("{:?}", part.shape),
    };
    let mut all = Vec::new();
    for (expert, input) in (0..experts).flat_map(|e| (0..inputs).map(move |i| (e, i))) {
        let value =
            |part: &Part<'_>, output| part.values[(expert * outputs + output) * inputs + input];
        if in_turns {
            let outputs =
                (0..outputs).flat_map(|output| parts.iter().map(move |p| value(p, output)));
            all.extend(outputs);
        } else {
            let parts = parts
                .iter()
                .flat_map(|p| (0..outputs).map(move |output| value(p, output)));
            all.extend(parts);
        }
    }
    let width = outputs * parts.len();
    if kind == "bias" {
        return part.named(
            &format!("{theirs}.{name}_bias"),
            &[experts, width],
            &all,
            stored,
        );
    }
    part.named(
        &format!("{theirs}.{name}"),
        &[experts, inputs, width],
        &all,
        stored,
    )
}

/// Granite's gates and ups, which are the rows of one matrix, an expert's or the MLP's.
fn granite(part: &Part<'_>, stored: Dtype) -> Option<Vec<Tensor>> {
    let name = match part.rest {
        "ffn_gate_exps.weight" => "block_sparse_moe.input_linear.weight",
        "ffn_gate.weight" | "ffn_gate_shexp.weight" => "shared_mlp.input_linear.weight",
        "ffn_up_exps.weight" | "ffn_up.weight" | "ffn_up_shexp.weight" => return Some(vec![]),
        _ => return None,
    };
    assert!(part.has("ffn_norm.weight"));
    let up = part.beside(&part.rest.replace("gate", "up"));
    let experts = if part.shape.len() == 3 {
        part.shape[0]
    } else {
        1
    };
    let each = part.values.len() / experts;
    let both = part.values.chunks(each).zip(up.values.chunks(each));
    let all: Vec<f32> = both.flat_map(|(gate, up)| [gate, up].concat()).collect();
    let mut shape = part.shape.clone();
    let rows = shape.len() - 2;
    shape[rows] *= 2;
    Some(part.named(name, &shape, &all, stored))
}

/// Takes the multipliers of Falcon-H1 out of what a converter multiplies with them.
fn divide(config: &Json, part: &mut Part<'_>) {
    let number = |key: &str| config[key].as_f64().unwrap();
    let item = |key: &str, at: usize| config[key][at].as_f64().unwrap();
    let input = number("attention_in_multiplier");
    let factor = match part.rest {
        "token_embd.weight" => number("embedding_multiplier"),
        "output.weight" => number("lm_head_multiplier"),
        "attn_q.weight" | "attn_v.weight" => input,
        "attn_k.weight" => input * number("key_multiplier"),
        "attn_output.weight" => number("attention_out_multiplier"),
        "ffn_gate.weight" => item("mlp_multipliers", 0),
        "ffn_down.weight" => item("mlp_multipliers", 1),
        "ssm_out.weight" => number("ssm_out_multiplier"),
        "ssm_in.weight" => number("ssm_in_multiplier"),
        _ => return,
    };
    let cols = *part.shape.last().unwrap();
    // Gate, x, b, c and steps: 80, 80, 16, 16 and 5 rows.
    let section = |row: usize| {
        [80, 160, 176, 192]
            .iter()
            .filter(|end| row >= **end)
            .count()
    };
    for (index, value) in part.values.iter_mut().enumerate() {
        let own = match part.rest {
            "ssm_in.weight" => item("ssm_multipliers", section(index / cols)),
            _ => 1.0,
        };
        *value = (f64::from(*value) / (factor * own)) as f32;
    }
}
