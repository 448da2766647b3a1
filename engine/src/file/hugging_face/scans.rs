//! Selective state spaces of `config.json`: their sizes, which each architecture has keys of its own for, the kinds of layers, and
//! the factors on products.

use std::collections::BTreeMap;

use super::{
    super::{TensorInfo, Value},
    forms::of_block,
    json::Object,
    row::{Decays, Row},
};
use crate::{Error, Result};

/// Metadata of sizes that no single key has.
pub(super) fn metadata(config: &Object, row: &Row) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    let Some(scan) = &row.scan else {
        return Ok(all);
    };
    let mut put = |key: &str, value| all.insert(format!("{}.ssm.{key}", row.family), value);
    let (rank, normed) = match scan.decays {
        Decays::Heads(key) => (config.whole(key)?, false),
        Decays::Channels { rank, normed } => (rank_of(config, rank)?, normed),
    };
    if let Some(rank) = rank {
        put("time_step_rank", Value::Unsigned(rank));
    }
    if normed {
        put("dt_b_c_rms", Value::Bool(true));
    }
    for keys in scan.inner {
        let Some(inner) = product(config, keys)? else {
            continue;
        };
        put("inner_size", Value::Unsigned(inner));
        let other = product(config, scan.same)?;
        if other.is_some_and(|other| other != inner && !scan.same.is_empty()) {
            let (keys, others) = (keys.join(" * "), scan.same.join(" * "));
            return Err(
                Error::bad_file(format!("{keys} and {others} must be the same"))
                    .in_file(&config.label),
            );
        }
        break;
    }
    Ok(all)
}

/// The product of the numbers of keys, where all are there.
fn product(config: &Object, keys: &[&str]) -> Result<Option<u64>> {
    let numbers: Result<Vec<_>> = keys.iter().map(|key| config.whole(key)).collect();
    let numbers: Option<Vec<u64>> = numbers?.into_iter().collect();
    Ok(numbers.map(|numbers| numbers.into_iter().fold(1, u64::saturating_mul)))
}

/// The rank of steps; "auto" is a sixteenth of the model's width.
fn rank_of(config: &Object, key: &str) -> Result<Option<u64>> {
    match config.get(key) {
        Some(value) if *value != "auto" => config.whole(key),
        _ => Ok(config.whole("hidden_size")?.map(|width| width.div_ceil(16))),
    }
}

/// Words for kinds of layers, and the tensor that a layer of the kind has.
#[rustfmt::skip] // a table
const KINDS: &[(&[&str], &str)] = &[
    (&["mamba", "linear_attention", "M"], "ssm_in.weight"),
    (&["attention", "full_attention", "*"], "attn_q.weight"),
    (&["mlp", "-"], "ffn_up.weight"),
    (&["moe", "E"], "ffn_gate_inp.weight"),
];

/// Kinds of layers under whichever key lists them.
fn kinds(config: &Object, row: &Row) -> Result<Option<(&'static str, Vec<String>)>> {
    let key = "hybrid_override_pattern";
    for key in ["layers_block_type", "layer_types"] {
        if let Some(all) = config.list(key)?.filter(|_| row.knows(key)) {
            let word = |kind: &serde_json::Value| kind.as_str().map(str::to_owned);
            let words: Option<Vec<String>> = all.iter().map(word).collect();
            return match words {
                Some(words) => Ok(Some((key, words))),
                None => Err(config.wrong(key, "a list of texts")),
            };
        }
    }
    let pattern = config.text(key)?.filter(|_| row.knows(key));
    let letters = |pattern: &str| pattern.chars().map(String::from).collect();
    Ok(pattern.map(|pattern| (key, letters(pattern))))
}

/// Layers by the list of their kinds, where an architecture goes by that.
///
/// # Errors
/// [`Error::BadFile`] where another number is said.
pub(super) fn count_layers(config: &mut Object, row: &Row) -> Result<()> {
    let key = "hybrid_override_pattern";
    if let (true, Some((_, kinds))) = (row.knows(key), kinds(config, row)?) {
        let count = serde_json::Value::from(kinds.len());
        let key = "num_hidden_layers";
        if config.get(key).is_some_and(|stated| *stated != count) {
            return Err(config.wrong(key, &format!("{count}, as many as layers are listed,")));
        }
        config.map.insert("num_hidden_layers".to_owned(), count);
    }
    Ok(())
}

/// Holds the kinds of layers that are listed against the tensors.
///
/// # Errors
/// [`Error::Unsupported`] for other kinds, [`Error::BadFile`] for a layer without the tensors of its kind.
pub(super) fn check_kinds(config: &Object, row: &Row, tensors: &[TensorInfo]) -> Result<()> {
    if row.scan.is_none() {
        return Ok(());
    }
    let Some((key, kinds)) = kinds(config, row)? else {
        return Ok(());
    };
    if config.whole("num_hidden_layers")? != Some(kinds.len() as u64) {
        return Err(config.wrong(key, "a list with a text for each layer"));
    }
    let parts: std::collections::HashSet<_> =
        tensors.iter().filter_map(|t| of_block(&t.name)).collect();
    for (layer, kind) in (0..).zip(&kinds) {
        let mut known = KINDS.iter();
        let found = known.find(|(words, _)| words.contains(&kind.as_str()));
        let (_, part) = found.ok_or_else(|| {
            config.unsupported(
                key,
                "only layers with state spaces, attention, an MLP or experts are run here",
            )
        })?;
        if !parts.contains(&(layer, *part)) {
            return Err(Error::bad_file(format!(
                "{key} says that layer {layer} is {kind}, but there is no tensor blk.{layer}.{part} (GGUF's name of it); the files are of different models"
            ))
            .in_file(&config.label));
        }
    }
    Ok(())
}

/// Factors on products, by the matrix's name in GGUF behind that of its block: one, or one for each row. None where all are 1.
pub(super) fn factors(
    config: &Object,
    row: &Row,
    metadata: &BTreeMap<String, Value>,
) -> Result<Vec<(&'static str, Vec<f32>)>> {
    let mut all = Vec::new();
    for factor in row.factors {
        let mut product = 1.0;
        for &(key, item) in factor.by {
            product *= match item {
                None => config.number(key)?,
                Some(item) => items(config, key, item + 1)?.map(|items| items[item]),
            }
            .unwrap_or(1.0);
        }
        let sections = match factor.sections {
            None => None,
            Some(key) => items(config, key, 5)?,
        };
        let values = match sections {
            None => vec![product as f32],
            Some(sections) => rows(&sections, product, row, metadata),
        };
        all.push((factor.part, values));
    }
    let plain = |values: &[f32]| values.iter().all(|v| v.to_bits() == 1f32.to_bits());
    if all.iter().all(|(_, values)| plain(values)) {
        all.clear();
    }
    Ok(all)
}

/// Numbers of a list, at least so many.
fn items(config: &Object, key: &str, count: usize) -> Result<Option<Vec<f64>>> {
    match config.numbers(key)? {
        Some(items) if items.len() < count => {
            Err(config.wrong(key, &format!("a list of {count} numbers")))
        }
        items => Ok(items),
    }
}

/// A factor for each row of a state space's first matrix: gate, x, b, c and steps.
fn rows(sections: &[f64], product: f64, row: &Row, metadata: &BTreeMap<String, Value>) -> Vec<f32> {
    let size = |key: &str| match metadata.get(&format!("{}.ssm.{key}", row.family)) {
        Some(&Value::Unsigned(size)) if size < ROWS_MAX => size as usize,
        _ => 0,
    };
    let inner = size("inner_size");
    let both = (size("group_count") * size("state_size")).min(ROWS_MAX as usize);
    let sizes = [inner, inner, both, both, size("time_step_rank")];
    let section = |(&factor, size)| std::iter::repeat_n((factor * product) as f32, size);
    sections.iter().zip(sizes).flat_map(section).collect()
}

/// More rows than a state space's matrix has in any section.
const ROWS_MAX: u64 = 1 << 20;
