//! Modules that sentence-transformers keeps beside a model: which modules follow it (`modules.json`), and how texts are pooled
//! (`1_Pooling/config.json`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    super::Value,
    json::{Folder, Object},
    row::Row,
};
use crate::{Error, Result, Unsupported, file::short};

const FILE: &str = "modules.json";
const BYTES_MAX: u64 = 1 << 20;

/// Ways of pooling that are run, by their numbers in GGUF's `pooling_type`: the value of `pooling_mode`, and the flag that
/// older files have for it.
const MODES: [(&str, &str, u64); 3] = [
    ("mean", "pooling_mode_mean_tokens", 1),
    ("cls", "pooling_mode_cls_token", 2),
    ("lasttoken", "pooling_mode_lasttoken", 3),
];

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Metadata of the modules; none where the folder has no list of them.
pub(super) fn metadata(folder: &Folder, row: &Row) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    let Some(modules) = folder.json::<Vec<Module>>(FILE, BYTES_MAX)? else {
        return Ok(all);
    };
    for Module { path, kind } in modules {
        match kind.rsplit('.').next().unwrap_or_default() {
            // Vectors have a length of 1 unless somebody asks for others.
            "Transformer" | "Normalize" => {}
            "Pooling" => {
                let number = pooling(folder, &path)?;
                let key = format!("{}.pooling_type", row.family);
                all.insert(key, Value::Unsigned(number));
            }
            _ => {
                return Err(Error::unsupported(
                    Unsupported::Setting,
                    format!(
                        "a module {} follows the model, and is not run here: take a GGUF file of it",
                        short(&kind)
                    ),
                )
                .in_file(&folder.label(FILE)));
            }
        }
    }
    Ok(all)
}

/// The number of the pooling whose settings lie in the folder `path`.
fn pooling(folder: &Folder, path: &str) -> Result<u64> {
    if path.contains(['.', '\\', ':']) || path.starts_with('/') {
        return Err(
            Error::bad_file(format!("{} is no folder beside the model", short(path)))
                .in_file(&folder.label(FILE)),
        );
    }
    let name = format!("{path}/config.json");
    let config = folder.object(&name)?;
    let config = config.ok_or_else(|| {
        Error::bad_file(format!(
            "{} is missing, and modules.json names it; download all files of the model",
            folder.label(&name)
        ))
    })?;
    if let Some(mode) = config.text("pooling_mode")? {
        let known = MODES.iter().find(|(name, ..)| *name == mode);
        return known
            .map(|(_, _, number)| *number)
            .ok_or_else(|| config.unsupported("pooling_mode", KNOWN));
    }
    flagged(&config)
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
