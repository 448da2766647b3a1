//! Files of a folder that have a model's tensors: one, or several and an index.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::{super::safetensors::Entry, json::Folder};
use crate::{Error, Result, file::short};

/// Index of the files that have each tensor, where there are several.
const INDEX: &str = "model.safetensors.index.json";
/// The file of a model that has one.
const WHOLE: &str = "model.safetensors";
const INDEX_BYTES_MAX: u64 = 32 << 20;
/// Files at most; an index with more is a mistake.
const SHARDS_MAX: usize = 1000;

/// The tensors' files of a folder, and what its index says of them.
pub(super) struct Shards {
    pub names: Vec<String>,
    /// Tensor's name to file's name.
    pub index: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Shards {
    /// Files that have the tensors: the one that is meant, the whole model, or those that the index names.
    pub fn of(folder: &Folder, single: Option<String>) -> Result<Shards> {
        let one = |name: String| Shards {
            names: vec![name],
            index: BTreeMap::new(),
        };
        if let Some(name) = single {
            return Ok(one(name));
        }
        // As `transformers` does: an index beside a whole file is an older one's.
        if folder.has(WHOLE) {
            return Ok(one(WHOLE.to_owned()));
        }
        let Some(index) = folder.json::<Index>(INDEX, INDEX_BYTES_MAX)? else {
            return Err(Error::bad_file(format!(
                "{} has neither {WHOLE} nor {INDEX}; download the weights too, as safetensors, or name a .gguf file",
                folder.0.display()
            )));
        };
        let names: HashSet<&String> = index.weight_map.values().collect();
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        names.sort_unstable();
        let label = folder.label(INDEX);
        if names.is_empty() || names.len() > SHARDS_MAX {
            let count = names.len();
            return Err(Error::bad_file(format!(
                "{label} names {count} files, not 1 to {SHARDS_MAX}"
            )));
        }
        let plain =
            |name: &String| name.ends_with(".safetensors") && !name.contains(['/', '\\', ':']);
        if let Some(odd) = names.iter().find(|name| !plain(name)) {
            let odd = short(odd);
            return Err(Error::bad_file(format!(
                "{label} names the file {odd}, which is no .safetensors file beside it"
            )));
        }
        Ok(Shards {
            names,
            index: index.weight_map,
        })
    }

    /// Every tensor is where the index says.
    pub fn check(&self, folder: &Folder, entries: &[Vec<Entry>]) -> Result<()> {
        for (file, entries) in self.names.iter().zip(entries) {
            let there: HashSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            let named = self.index.iter().filter(|(_, place)| *place == file);
            for (tensor, _) in named {
                if !there.contains(tensor.as_str()) {
                    let (index, tensor) = (folder.label(INDEX), short(tensor));
                    return Err(Error::bad_file(format!(
                        "{index} says that tensor {tensor} is in {file}, which does not have it; download both again"
                    )));
                }
            }
        }
        Ok(())
    }
}
