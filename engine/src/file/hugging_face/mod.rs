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
//! | `lantern.classifier_pooling` | a classifier reads the row of `cls`, or the `mean` of all |
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
//! | `lantern.generation.suppressed` | ids of tokens that are never generated |
//! | `lantern.qk_norm` | queries and keys are normed without weights, or are not, whatever the family's row says |
//! | `lantern.pairs.refused` | message for who would score a text by a query, where that is not done here as it is meant |
//! | `lantern.generation.refused` | message for who would generate, where `generation_config.json` asks for what is not done here |

mod computed;
mod config;
mod encoders;
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
mod only;
mod packed;
mod peft;
mod reranker;
mod rope;
mod row;
mod rows;
mod scans;
mod settings;
mod shards;
mod spaces;
mod switches;
mod tokenizer;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

pub use self::{
    generation::{GENERATION_KEYS, GenerationKey},
    settings::{KeyRole, TOKENIZER_SETTINGS},
};

use self::{
    json::{Folder, Object, Settings},
    names::Named,
    row::{Head, Places, Row},
    shards::Shards,
};
use super::{Header, Metadata, ModelFile, Source, TensorInfo, Value, safetensors::Entry};
use crate::{Error, Result, Unsupported};

/// Message for who would generate with a model that has no head, and whose embedding is none.
const NO_HEAD: &str = "the model has no tensor lm_head.weight: it makes embeddings of texts (lantern embed), and no text";

/// Message for who would score a text by a query with a model that tells them apart in a way that is not run.
const NO_TYPES: &str = "the model tells a query from a text by the types of tokens (type_vocab_size), and all tokens are of the first type here; take a model without them, such as those of XLM-RoBERTa";

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
    let shards = Shards::of(&folder, single)?;
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
    latents::complete(&mut config, row)?;
    scans::count_layers(&mut config, row)?;
    config::check(&config, row)?;
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
    let headless = !matches!(row.head, Head::Logits) || folder.has(modules::FILE);
    let textless = tie(config, &sources, &mut tensors, headless)?;
    computed::positions(config, row, &mut tensors)?;
    let wrong = |error: Error| error.in_file(&config.label);
    let mut strided = forms::cut(row, &mut tensors).map_err(wrong)?;
    forms::shared_alone(&mut tensors, &mut strided);
    scans::check_kinds(config, row, &tensors)?;
    let mut packed = HashMap::new();
    for (tensor, place) in halves.tensors(row).map_err(wrong)? {
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
    let (modules, dense) = modules::read(folder, row, sources.len())?;
    metadata.extend(modules);
    for (tensor, source) in dense {
        tensors.push(tensor);
        sources.push(source);
    }
    metadata.extend(tokenizer::read(folder, settings, rows)?);
    reranker::read(folder, row, &mut metadata, (&mut tensors, &mut sources))?;
    if let Some(generation) = &settings.generation {
        metadata.extend(generation::metadata(generation)?);
    }
    metadata.extend(refusals(row, &tensors, textless));
    let label = folder.0.display().to_string();
    let header = Header::of(Metadata(metadata), tensors).map_err(|error| error.in_file(&label))?;
    let file = ModelFile::of_parts(label, header, sources, joints);
    Ok(file.with_packed(packed).with_strided(strided))
}

/// Messages for who would do with the model what it is not made for, or what is not run.
fn refusals(row: &Row, tensors: &[TensorInfo], textless: bool) -> BTreeMap<String, Value> {
    let several = |t: &TensorInfo| t.name == "token_types.weight" && t.shape.get(1) > Some(&1);
    let typed = row.places == Places::Typed && tensors.iter().any(several);
    let all = [
        (typed, "lantern.pairs.refused", NO_TYPES),
        (textless, generation::REFUSED, NO_HEAD),
    ];
    let there = all.into_iter().filter(|(there, ..)| *there);
    there
        .map(|(_, key, message)| (key.to_owned(), Value::Text(message.to_owned())))
        .collect()
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
    if row.drafts && names::layer(&entry.name, row).is_some_and(beyond) {
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
/// it is there. A head of its own stays, whatever the configuration says: as `transformers` does. Whether there is none,
/// which is right where the model makes embeddings (`headless`).
fn tie(
    config: &Object,
    sources: &[Source],
    tensors: &mut Vec<TensorInfo>,
    headless: bool,
) -> Result<bool> {
    let tied = config.boolean("tie_word_embeddings")?;
    let place = |name: &str| tensors.iter().position(|tensor| tensor.name == name);
    match (place(names::EMBEDDING), place(names::HEAD)) {
        (Some(embedding), Some(head)) if tied != Some(false) => {
            let twice = same(&tensors[embedding], &tensors[head], sources);
            tensors.retain(|tensor| !(twice && tensor.name == names::HEAD));
        }
        (Some(_), None) if tied == Some(false) && headless => return Ok(true),
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
    Ok(false)
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
