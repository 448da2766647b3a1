//! Modules that sentence-transformers keeps beside a model: which modules follow it (`modules.json`), and how texts are pooled
//! (`1_Pooling/config.json`) and then multiplied (`2_Dense`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    super::{Source, TensorInfo, Value},
    json::{Folder, Object},
    only::Only,
    row::Row,
};
use crate::{Error, Result, Unsupported, file::short};

/// The list of modules.
pub(super) const FILE: &str = "modules.json";
const BYTES_MAX: u64 = 1 << 20;

/// Ways of pooling that are run, by their numbers in GGUF's `pooling_type`: the value of `pooling_mode`, and the flag that
/// older files have for it.
const MODES: [(&str, &str, u64); 3] = [
    ("mean", "pooling_mode_mean_tokens", 1),
    ("cls", "pooling_mode_cls_token", 2),
    ("lasttoken", "pooling_mode_lasttoken", 3),
];

/// GGUF's names of dense layers, in their order.
const PROJECTIONS: [&str; 2] = ["dense_2", "dense_3"];

/// Keys of dense layers that are run in one position only.
const DENSE_ONLY: [(&str, Only); 4] = [
    ("bias", Only::Bool(false)),
    (
        "activation_function",
        Only::Text("torch.nn.modules.linear.Identity"),
    ),
    ("module_input_name", Only::Text("sentence_embedding")),
    ("module_output_name", Only::Text("sentence_embedding")),
];

type Metadata = BTreeMap<String, Value>;

/// Matrices of dense layers, and their files.
type Dense = Vec<(TensorInfo, Source)>;

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Metadata and tensors of the modules; none where the folder has no list of them. `part` is the number of the next source.
pub(super) fn read(folder: &Folder, row: &Row, part: usize) -> Result<(Metadata, Dense)> {
    let (mut all, mut dense) = (BTreeMap::new(), Vec::new());
    let Some(modules) = folder.json::<Vec<Module>>(FILE, BYTES_MAX)? else {
        return Ok((all, dense));
    };
    let mut normed = false;
    for Module { path, kind } in modules {
        match kind.rsplit('.').next().unwrap_or_default() {
            // Vectors have a length of 1 unless somebody asks for others.
            "Transformer" => {}
            "Normalize" => normed = true,
            "Pooling" => {
                let number = pooling(&settings(folder, &path)?)?;
                let key = format!("{}.pooling_type", row.family);
                all.insert(key, Value::Unsigned(number));
            }
            "Dense" if !normed && dense.len() < PROJECTIONS.len() => {
                dense.push(projection(
                    folder,
                    &path,
                    (dense.len(), part + dense.len()),
                )?);
            }
            _ => {
                return Err(Error::unsupported(
                    Unsupported::Setting,
                    format!(
                        "a module {} follows the model, and is not run here in this place: take a GGUF file of it",
                        short(&kind)
                    ),
                )
                .in_file(&folder.label(FILE)));
            }
        }
    }
    Ok((all, dense))
}

/// The settings of the module in the folder `path`.
fn settings(folder: &Folder, path: &str) -> Result<Object> {
    if path.contains(['.', '\\', ':']) || path.starts_with('/') {
        return Err(
            Error::bad_file(format!("{} is no folder beside the model", short(path)))
                .in_file(&folder.label(FILE)),
        );
    }
    let name = format!("{path}/config.json");
    folder.object(&name)?.ok_or_else(|| missing(folder, &name))
}

fn missing(folder: &Folder, name: &str) -> Error {
    Error::bad_file(format!(
        "{} is missing, and modules.json names its folder; download all files of the model",
        folder.label(name)
    ))
}

/// The matrix of a dense layer behind the pooling, the `number`th, as source `part`.
fn projection(
    folder: &Folder,
    path: &str,
    (number, part): (usize, usize),
) -> Result<(TensorInfo, Source)> {
    let config = settings(folder, path)?;
    if config.text("activation_function")?.is_none() {
        return Err(config.wrong("activation_function", "a text"));
    }
    for (key, only) in DENSE_ONLY {
        only.check(&config, key)?;
    }
    let name = format!("{path}/model.safetensors");
    if !folder.has(&name) {
        return Err(missing(folder, &name));
    }
    let (source, entries) = folder.tensors(&name, true)?;
    let wrong = || {
        Error::bad_file("a dense layer has one tensor, linear.weight").in_file(&folder.label(&name))
    };
    let [entry] = entries.as_slice() else {
        return Err(wrong());
    };
    if entry.name != "linear.weight" {
        return Err(wrong());
    }
    let tensor = entry.tensor(format!("{}.weight", PROJECTIONS[number]), part)?;
    let stated = [config.whole("in_features")?, config.whole("out_features")?];
    if stated.map(|size| size.unwrap_or(0)) != tensor.shape[..] {
        return Err(wrong_sizes(&config, &tensor));
    }
    Ok((tensor, source))
}

fn wrong_sizes(config: &Object, tensor: &TensorInfo) -> Error {
    let shape = &tensor.shape;
    let message = format!("in_features and out_features are not those of linear.weight, {shape:?}");
    Error::bad_file(message).in_file(&config.label)
}

/// The number of a pooling in GGUF.
fn pooling(config: &Object) -> Result<u64> {
    if let Some(mode) = config.text("pooling_mode")? {
        let known = MODES.iter().find(|(name, ..)| *name == mode);
        return known
            .map(|(_, _, number)| *number)
            .ok_or_else(|| config.unsupported("pooling_mode", KNOWN));
    }
    flagged(config)
}

const KNOWN: &str = "of sentence-transformers' poolings mean, cls and lasttoken are run here";

/// The one mode whose flag is set.
fn flagged(config: &Object) -> Result<u64> {
    let mut set = Vec::new();
    for key in config
        .map
        .keys()
        .filter(|key| key.starts_with("pooling_mode_"))
    {
        if config.boolean(key)? == Some(true) {
            set.push(key);
        }
    }
    let [key] = set.as_slice() else {
        return Err(Error::unsupported(
            Unsupported::Setting,
            format!("{} poolings are on, where one is run", set.len()),
        )
        .in_file(&config.label));
    };
    let known = MODES.iter().find(|(_, flag, _)| flag == key);
    known
        .map(|(_, _, number)| *number)
        .ok_or_else(|| config.unsupported(key, KNOWN))
}
