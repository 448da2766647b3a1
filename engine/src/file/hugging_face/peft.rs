//! LoRA adapters as `peft` saves them: a folder of `adapter_config.json` and `adapter_model.safetensors`. They become what
//! GGUF has of adapters, but for the order of rows and the family, of which the folder says nothing.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use super::{
    super::{Header, Metadata, ModelFile, TensorInfo, Value, safetensors::Entry},
    around,
    json::{Folder, Object},
    names::{self, Named},
    rows,
};
use crate::{Error, Result, Unsupported};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Keys that change what an adapter computes, and are not run where they are set.
const REFUSED: &[&str] = &[
    "use_dora",
    "use_qalora",
    "lora_bias",
    "alpha_pattern",
    "modules_to_save",
    "trainable_token_indices",
    "layer_replication",
    "target_parameters",
    "alora_invocation_tokens",
    "arrow_config",
    "use_bdlora",
];

/// The adapter that `path` stands for: a folder with `adapter_config.json`, or one of its two files.
///
/// # Errors
/// [`Error::BadFile`] and [`Error::Unsupported`] name the file, and the key or the tensor.
pub(super) fn open(path: &Path) -> Result<Option<ModelFile>> {
    let Some(folder) = place(path) else {
        return Ok(None);
    };
    let folder = Folder(folder);
    let Some(config) = folder.object(CONFIG)? else {
        return Ok(None);
    };
    let alpha = alpha(&config)?;
    let (source, entries) = folder.tensors(WEIGHTS, true)?;
    let tensors = entries.iter().map(tensor);
    let tensors: Result<Vec<TensorInfo>> = tensors.collect();
    let tensors = tensors.map_err(|error| error.in_file(source.label()))?;
    let text = |text: &str| Value::Text(text.to_owned());
    let metadata: BTreeMap<String, Value> = [
        ("general.type", text("adapter")),
        ("adapter.type", text("lora")),
        ("adapter.lora.alpha", Value::Float(alpha)),
        ("lantern.rope_style", text("neox")),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let label = folder.0.display().to_string();
    let header = Header::of(Metadata(metadata), tensors).map_err(|error| error.in_file(&label))?;
    let file = ModelFile::of_parts(label, header, vec![source], HashMap::new());
    Ok(Some(file))
}

/// The folder that `path` stands for.
fn place(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return Some(path.to_owned());
    }
    let name = path.file_name()?.to_str()?;
    [CONFIG, WEIGHTS].contains(&name).then(|| around(path))
}

/// Alpha, by which the product of a pair is scaled, over its rank.
fn alpha(config: &Object) -> Result<f64> {
    let kind = config.text("peft_type")?.unwrap_or("LORA");
    if kind != "LORA" {
        return Err(config.unsupported("peft_type", "only LORA is run here"));
    }
    for key in REFUSED {
        let off = |value: &serde_json::Value| {
            let empty = value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty);
            empty || *value == serde_json::Value::Bool(false)
        };
        if config.get(key).is_some_and(|value| !off(value)) {
            return Err(config.unsupported(key, "adapters are run here without it"));
        }
    }
    if config.text("bias")?.is_some_and(|bias| bias != "none") {
        return Err(config.unsupported("bias", "only none is run here"));
    }
    let alpha = config.number("lora_alpha")?.filter(|&alpha| alpha > 0.0);
    let alpha = alpha.ok_or_else(|| config.wrong("lora_alpha", "a number above 0"))?;
    if !config.boolean("use_rslora")?.unwrap_or(false) {
        return Ok(alpha);
    }
    if config
        .object("rank_pattern")?
        .is_some_and(|ranks| !ranks.map.is_empty())
    {
        return Err(config.unsupported("rank_pattern", "use_rslora is run here without it"));
    }
    let rank = config.whole("r")?.filter(|&rank| rank > 0);
    let rank = rank.ok_or_else(|| config.wrong("r", "a whole number above 0"))?;
    // Over the root of the rank, in the place of the rank.
    Ok(alpha * (rank as f64).sqrt())
}

/// A half of a pair, under the name that GGUF gives it.
fn tensor(entry: &Entry) -> Result<TensorInfo> {
    let unknown = || {
        let name = &entry.name;
        Error::unsupported(
            Unsupported::Lora,
            format!("tensor {name} is neither A nor B of a matrix that takes adapters here"),
        )
    };
    let name = entry.name.strip_prefix("base_model.model.");
    let name = name.unwrap_or(&entry.name);
    let ends = [
        (".lora_A.weight", "lora_a"),
        (".lora_B.weight", "lora_b"),
        (".lora_A.default.weight", "lora_a"),
        (".lora_B.default.weight", "lora_b"),
    ];
    let found = ends
        .iter()
        .find_map(|(end, half)| Some((name.strip_suffix(end)?, half)));
    let (module, half) = found.ok_or_else(unknown)?;
    let gpt2 = module.starts_with("transformer.") || module.starts_with("h.");
    let architecture = if gpt2 {
        "GPT2LMHeadModel"
    } else {
        "LlamaForCausalLM"
    };
    let row = rows::row_of(architecture).expect("a row of the table");
    match names::find(&format!("{module}.weight"), row) {
        Named::Tensor(name, None) => entry.tensor(format!("{name}.{half}"), 0),
        _ => Err(unknown()),
    }
}
