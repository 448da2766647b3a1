//! A model as Hugging Face's `transformers` keeps it: a folder of `config.json`, `tokenizer.json` and safetensors. It becomes
//! what a GGUF file is: metadata under GGUF's keys, tensors under GGUF's names, each where it lies in its file.
//!
//! Nothing is converted on the way; rows of matrices that lie the other way round are gathered as they are read. Where such a folder means something else than GGUF by the same name, metadata of our own
//! say so, and whoever reads the GGUF key reads them too:
//!
//! | key | what it says |
//! |---|---|
//! | `lantern.rope_style` | RoPE rotates pairs as `interleaved` or `neox` has them, whatever the family's row says |
//! | `lantern.yarn_unrounded` | the bounds of YaRN's ramp are not rounded |
//! | `lantern.key_heads` | a delta net's value heads are `grouped` by their key head, whatever the family's row says |
//! | `lantern.config.…` | keys of `config.json` that GGUF has none for; they must be what the family's row does |
//! | `lantern.norm_offset` | is added to the weights of norms |
//! | `lantern.inner_norm_epsilon` | the epsilon of norms within a mixer is this |
//! | `lantern.tokenizer.json` | the text of `tokenizer.json` |
//! | `lantern.tokenizer.file` | its path, for messages |
//! | `lantern.tokenizer.added` | tokens that the files beside it add, as JSON |
//! | `lantern.tokenizer.named` | texts of all special tokens that have a name, by that, as JSON |
//! | `lantern.tokenizer.ends` | ids of more tokens that end a text |
//! | `lantern.tokenizer.rows` | tokens that the model has an embedding for |
//! | `lantern.tokenizer.split_special_tokens` | special tokens in a text are text |
//! | `lantern.generation.stop` | texts that end what is generated |
//! | `lantern.generation.refused` | message for who would generate, where `generation_config.json` asks for what is not done here |

mod computed;
mod config;
mod forms;
mod generation;
mod hybrids;
mod json;
mod latents;
mod layers;
mod modules;
mod names;
mod newer;
mod older;
mod packed;
mod peft;
mod rope;
mod row;
mod rows;
mod scans;
mod settings;
mod spaces;
mod switches;
mod tokenizer;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use self::{
    generation::{GENERATION_KEYS, GenerationKey},
    settings::{KeyRole, TOKENIZER_SETTINGS},
};

use self::{
    json::{Folder, Object, Settings},
    names::Named,
    row::Row,
};
use super::{Header, Metadata, ModelFile, Source, TensorInfo, Value, safetensors::Entry};
use crate::{Error, Result, Unsupported, file::short};

/// Which file has which tensor, where there are several.
const INDEX: &str = "model.safetensors.index.json";
/// The file of a model that has one.
const WHOLE: &str = "model.safetensors";
const INDEX_BYTES_MAX: u64 = 32 << 20;
/// Files at most; an index with more is a mistake.
const SHARDS_MAX: usize = 1000;

/// The tensors' files of a folder, and what its index says of them.
struct Shards {
    names: Vec<String>,
    /// Tensor's name to file's name.
    index: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Parts of a block by which it makes keys and values of its own.
const SHARED: [&str; 3] = ["attn_k", "attn_v", "attn_k_norm"];

/// A tensor that is made of several, one for each expert or head, by their number.
type Joints = BTreeMap<String, BTreeMap<u32, TensorInfo>>;

/// The model that `path` stands for: a folder with `config.json`, or one of its files. None where it stands for none.
///
/// # Errors
/// [`Error::BadFile`] and [`Error::Unsupported`] name the file, and what is wrong with it.
pub(super) fn open(path: &Path) -> Result<Option<ModelFile>> {
    let Some((folder, single)) = place(path) else {
        return peft::open(path);
    };
    let folder = Folder(folder);
    let mut config = folder.object("config.json")?.ok_or_else(|| {
        let beside = "safetensors are run with the config.json and tokenizer.json beside them";
        Error::bad_file(format!(
            "{} is missing: {beside}",
            folder.label("config.json")
        ))
    })?;
    let shards = shards(&folder, single)?;
    let mut sources = Vec::new();
    let mut entries = Vec::new();
    for name in &shards.names {
        let (source, tensors) = folder.tensors(name, shards.index.is_empty())?;
        entries.push(tensors);
        sources.push(source);
    }
    shards.check(&folder, &entries)?;
    let row = rows::row_for(&config)?;
    config = row.inner(config)?;
    let mut uses = switches::uses(&config, row);
    row.complete(&mut config);
    scans::count_layers(&mut config, row)?;
    let settings = Settings {
        config,
        tokenizer: tokenizer::settings(&folder)?,
        special: folder.object(tokenizer::SPECIAL)?,
        generation: folder.object(generation::FILE)?,
    };
    uses.extend(tokenizer::uses(&settings));
    uses.extend(settings.generation.iter().flat_map(generation::uses));
    let file = assemble(&folder, &settings, sources, &entries)?;
    Ok(Some(file.with_key_uses(uses)))
}

/// The folder that `path` stands for, and the one file of it that is meant.
fn place(path: &Path) -> Option<(PathBuf, Option<String>)> {
    if path.is_dir() {
        let there = path.join("config.json").is_file();
        return there.then(|| (path.to_owned(), None));
    }
    let name = path.file_name()?.to_str()?;
    let single = name.ends_with(".safetensors");
    if !(single || name == "config.json" || name.ends_with(".safetensors.index.json")) {
        return None;
    }
    let single = (single && !name.contains("-of-")).then(|| name.to_owned());
    Some((around(path), single))
}

/// The folder that a file lies in.
fn around(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn shards(folder: &Folder, single: Option<String>) -> Result<Shards> {
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
    let plain = |name: &String| name.ends_with(".safetensors") && !name.contains(['/', '\\', ':']);
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

impl Shards {
    /// Every tensor is where the index says.
    fn check(&self, folder: &Folder, entries: &[Vec<Entry>]) -> Result<()> {
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

/// Makes the model of what was read.
fn assemble(
    folder: &Folder,
    settings: &Settings,
    mut sources: Vec<Source>,
    entries: &[Vec<Entry>],
) -> Result<ModelFile> {
    let config = &settings.config;
    let row = rows::row_for(config)?;
    let (mut tensors, joints, halves) = collect(config, row, &sources, entries)?;
    leave_out_shared(config, row, &mut tensors)?;
    let joints = join(&mut tensors, joints).map_err(|error| error.in_file(&config.label))?;
    tie(config, &sources, &mut tensors)?;
    let wrong = |error: Error| error.in_file(&config.label);
    let mut strided = forms::cut(row, &mut tensors).map_err(wrong)?;
    forms::shared_alone(&mut tensors, &mut strided);
    scans::check_kinds(config, row, &tensors)?;
    let mut packed = HashMap::new();
    for (tensor, place) in halves.tensors().map_err(wrong)? {
        packed.insert(tensor.name.clone(), place);
        tensors.push(tensor);
    }
    computed::halves(&mut tensors, &mut sources).map_err(wrong)?;
    let numbers = computed::numbers(&mut tensors, &sources).map_err(wrong)?;
    computed::decays(&mut tensors, &mut sources).map_err(wrong)?;
    switches::check_biases(config, row, &tensors)?;
    let embedding = tensors
        .iter()
        .find(|tensor| tensor.name == names::EMBEDDING);
    let embedding = embedding.ok_or_else(|| {
        let missing = "there is no embedding (model.embed_tokens.weight, or GPT-2's wte.weight); download the model again";
        Error::bad_file(missing).in_file(&folder.0.display().to_string())
    })?;
    let rows = embedding.shape.get(1).copied().unwrap_or(0);

    let mut metadata = config::metadata(config, row)?;
    metadata.extend(numbers);
    forms::reshape(row, &metadata, &mut tensors);
    let factors = scans::factors(config, row, &metadata)?;
    computed::factors(&factors, &mut tensors, &mut sources);
    check_values(config, row, &metadata, &tensors)?;
    metadata.insert("general.name".into(), Value::Text(folder.name()));
    let rope = rope::read(config, row)?;
    metadata.extend(rope.metadata(row.family));
    for (name, factors) in rope.factors {
        let (tensor, source) = computed::small(name, &factors, sources.len());
        tensors.push(tensor);
        sources.push(source);
    }
    metadata.extend(modules::metadata(folder, row)?);
    metadata.extend(tokenizer::read(folder, settings, rows)?);
    if let Some(generation) = &settings.generation {
        metadata.extend(generation::metadata(generation)?);
    }
    let label = folder.0.display().to_string();
    let header = Header::of(Metadata(metadata), tensors).map_err(|error| error.in_file(&label))?;
    let file = ModelFile::of_parts(label, header, sources, joints);
    Ok(file.with_packed(packed).with_strided(strided))
}

/// Tensors as they are, those of one part an expert or a head, and codes apart from their scales.
type Collected = (Vec<TensorInfo>, Joints, packed::Halves);

fn collect(
    config: &Object,
    row: &Row,
    sources: &[Source],
    entries: &[Vec<Entry>],
) -> Result<Collected> {
    let layers = config.whole("num_hidden_layers")?;
    let (mut tensors, mut joints) = (Vec::new(), Joints::new());
    let mut halves = packed::Halves::default();
    for (part, (source, entries)) in sources.iter().zip(entries).enumerate() {
        for entry in entries {
            let wrong = |error: Error| error.in_file(source.label());
            if row.packed && halves.take(entry, part).map_err(wrong)? {
                continue;
            }
            let found =
                tensor(entry, row, layers, part).map_err(|error| error.in_file(source.label()))?;
            match found {
                None => {}
                Some((tensor, None)) => tensors.push(tensor),
                Some((tensor, Some(expert))) => {
                    let experts = joints.entry(tensor.name.clone()).or_default();
                    if experts.insert(expert, tensor).is_some() {
                        let twice = format!("tensor {} is there twice", entry.name);
                        return Err(Error::bad_file(twice).in_file(source.label()));
                    }
                }
            }
        }
    }
    Ok((tensors, joints, halves))
}

/// Leaves out keys and values of layers that read those of others, which files may have all the same.
fn leave_out_shared(config: &Object, row: &Row, tensors: &mut Vec<TensorInfo>) -> Result<()> {
    let key = "num_kv_shared_layers";
    let shared = config.whole(key)?.filter(|_| row.knows(key)).unwrap_or(0);
    if shared == 0 {
        return Ok(());
    }
    let layers = config.whole("num_hidden_layers")?.unwrap_or(0);
    let own = layers.saturating_sub(shared);
    tensors.retain(|tensor| {
        let mut parts = tensor.name.split('.').skip(1);
        let layer = parts.next().and_then(|layer| layer.parse::<u64>().ok());
        let keys = parts.next().is_some_and(|part| SHARED.contains(&part));
        !(keys && layer.is_some_and(|layer| layer >= own))
    });
    Ok(())
}

/// Holds matrices of values against a configuration by which layers without a window have their keys for values.
fn check_values(
    config: &Object,
    row: &Row,
    metadata: &BTreeMap<String, Value>,
    tensors: &[TensorInfo],
) -> Result<()> {
    let key = "attention_k_eq_v";
    let Some(Value::Integers(windowed)) = metadata.get("lantern.windowed_layers") else {
        return Ok(());
    };
    if !row.knows(key) || config.boolean(key)? != Some(true) {
        return Ok(());
    }
    let full = windowed.iter().enumerate().filter(|(_, flag)| **flag == 0);
    for name in full.map(|(layer, _)| format!("blk.{layer}.attn_v.weight")) {
        if tensors.iter().any(|tensor| tensor.name == name) {
            let other = "the files are of different models";
            return Err(Error::bad_file(format!(
                "{key} is true, but there is a tensor {name} (GGUF's name of it); {other}"
            ))
            .in_file(&config.label));
        }
    }
    Ok(())
}

/// The tensor, and of which expert it is; None for one that `transformers` computes itself.
fn tensor(
    entry: &Entry,
    row: &Row,
    layers: Option<u64>,
    part: usize,
) -> Result<Option<(TensorInfo, Option<u32>)>> {
    let beyond = |layer: u32| layers.is_some_and(|layers| u64::from(layer) >= layers);
    if row.drafts && names::layer(&entry.name).is_some_and(beyond) {
        return Ok(None);
    }
    match names::find(&entry.name, row) {
        Named::Computed => Ok(None),
        Named::Tensor(name, expert) => {
            let mut tensor = entry.tensor(name, part)?;
            if names::is_squeezed(&tensor.name) && tensor.shape.len() > 1 {
                tensor.shape.retain(|&size| size != 1);
            }
            Ok(Some((tensor, expert)))
        }
        Named::Unknown => Err(Error::unsupported(
            Unsupported::Tensor,
            format!(
                "tensor {} has no place in a {} model as it is run here",
                entry.name, row.family
            ),
        )),
    }
}

/// Adds a tensor for each that has one part an expert, or a head.
fn join(tensors: &mut Vec<TensorInfo>, joints: Joints) -> Result<HashMap<String, Vec<TensorInfo>>> {
    let mut all = HashMap::new();
    for (name, experts) in joints {
        let count = experts.len() as u64;
        let mut parts = Vec::new();
        for (expected, (number, part)) in (0..).zip(experts) {
            if number != expected {
                return Err(Error::bad_file(format!(
                    "{name}: there is a part {number}, but none {expected}; download the model again"
                )));
            }
            parts.push(part);
        }
        let first = parts[0].clone();
        let alike = |part: &TensorInfo| (part.kind, &part.shape) == (first.kind, &first.shape);
        if first.shape.len() > 2 || !parts.iter().all(alike) {
            return Err(Error::bad_file(format!(
                "{name}: its parts are of different types or shapes"
            )));
        }
        tensors.push(TensorInfo {
            shape: [&first.shape[..], &[count]].concat(),
            offset: 0,
            // In bounds: each lies in a file, at a place of its own.
            bytes: first.bytes * count,
            ..first
        });
        all.insert(name, parts);
    }
    Ok(all)
}

/// Leaves the head out where it is the embedding, as files that have it twice say, and takes it for the embedding where only
/// it is there. A head of its own stays, whatever the configuration says: as `transformers` does.
fn tie(config: &Object, sources: &[Source], tensors: &mut Vec<TensorInfo>) -> Result<()> {
    let tied = config.boolean("tie_word_embeddings")?;
    let place = |name: &str| tensors.iter().position(|tensor| tensor.name == name);
    match (place(names::EMBEDDING), place(names::HEAD)) {
        (Some(embedding), Some(head)) if tied != Some(false) => {
            let twice = same(&tensors[embedding], &tensors[head], sources);
            tensors.retain(|tensor| !(twice && tensor.name == names::HEAD));
        }
        (Some(_), None) if tied == Some(false) => {
            return Err(Error::bad_file(
                "tie_word_embeddings is false, but there is no tensor lm_head.weight; download the model again",
            )
            .in_file(&config.label));
        }
        (None, Some(head)) if tied != Some(false) => {
            names::EMBEDDING.clone_into(&mut tensors[head].name);
        }
        _ => {}
    }
    Ok(())
}

/// Whether two tensors have the same shape and values, also where they are stored in different types.
fn same(one: &TensorInfo, other: &TensorInfo, sources: &[Source]) -> bool {
    if one.shape != other.shape {
        return false;
    }
    let all = [one, other].map(|tensor| computed::values(tensor, sources));
    let [Some(ours), Some(theirs)] = all else {
        return false;
    };
    ours.eq(theirs)
}
