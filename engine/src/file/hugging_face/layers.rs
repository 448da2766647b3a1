//! Layers that differ from each other: which attend to a window, and which are rotated, as each architecture's code in
//! `transformers` makes it of `config.json`.

use std::collections::BTreeMap;

use super::{
    super::Value,
    json::Object,
    row::{Others, Rotated, Row, Windows},
};
use crate::{Error, Result};

/// More layers than any model has.
const LAYERS_MAX: u64 = 1 << 16;

/// Metadata of windows and rotation: a flag for each layer, where they are not all without window and rotated.
///
/// # Errors
/// [`Error::BadFile`] for lists of another length and windows of no position,
/// [`Error::Unsupported`] for layers of other kinds.
pub(super) fn metadata(config: &Object, row: &Row) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    let windows = !matches!(row.windows, Windows::None);
    if !windows && row.others == Others::None {
        return Ok(all);
    }
    let layers = config.whole("num_hidden_layers")?.unwrap_or(0);
    if layers > LAYERS_MAX {
        return Err(config.wrong("num_hidden_layers", "a number of layers"));
    }
    let kinds = listed(config, row, layers)?;
    if let (Others::Conv | Others::KeyDecays, Some(kinds)) = (row.others, &kinds) {
        // GGUF has no key heads in layers without attention, and one of latent keys.
        let heads = match row.others {
            Others::KeyDecays => 1,
            _ => config.whole("num_key_value_heads")?.unwrap_or(0) as i64,
        };
        let heads = |kind: &Kind| if *kind == Kind::Other { 0 } else { heads };
        let key = format!("{}.attention.head_count_kv", row.family);
        all.insert(key, Value::Integers(kinds.iter().map(heads).collect()));
    }
    if let (Others::LinearAttention, Some(kinds)) = (row.others, &kinds) {
        let recurrent: Vec<bool> = kinds.iter().map(|kind| *kind == Kind::Other).collect();
        let key = format!("{}.attention.recurrent_layers", row.family);
        all.insert(key, flags(&recurrent));
    }
    if !windows {
        return Ok(all);
    }
    let rotated = rotated(config, row, layers)?;
    if let Some(rotated) = &rotated {
        all.insert("lantern.rotated_layers".into(), flags(rotated));
    }
    let window = window(config, row)?;
    let windowed: Vec<bool> = match kinds {
        Some(kinds) => kinds.iter().map(|kind| *kind == Kind::Sliding).collect(),
        None if window.is_none() => vec![false; layers as usize],
        None => usual(config, row, layers, rotated.as_deref())?,
    };
    if windowed.contains(&true) {
        let window = window.ok_or_else(|| {
            let off = "but use_sliding_window is not true, or there is no sliding_window";
            let message = format!("layer_types names sliding_attention, {off}");
            Error::bad_file(message).in_file(&config.label)
        })?;
        if window == 0 {
            return Err(config.wrong("sliding_window", "a number above 0"));
        }
        let key = format!("{}.attention.sliding_window", row.family);
        all.insert(key, Value::Unsigned(window));
    }
    let unrotated = match row.rotated {
        Rotated::AsFamily | Rotated::Stated => false,
        Rotated::Windowed => true,
        Rotated::WindowedIfAny => window.is_some(),
    };
    if unrotated {
        all.insert("lantern.rotated_layers".into(), flags(&windowed));
    }
    all.extend(widths(config, row, &windowed)?);
    all.extend(heads(config, row, layers)?);
    all.insert("lantern.windowed_layers".into(), flags(&windowed));
    Ok(all)
}

/// Numbers of Gemma 4 that differ between layers: heads of those without a window, and MLPs of those that read the keys of
/// others.
fn widths(config: &Object, row: &Row, windowed: &[bool]) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    if !row.knows("global_head_dim") {
        return Ok(all);
    }
    let mut put = |key: &str, value| all.insert(format!("{}.{key}", row.family), value);
    for (theirs, ending) in [("global_head_dim", ""), ("head_dim", "_swa")] {
        if let Some(size) = config.whole(theirs)? {
            put(
                &format!("attention.key_length{ending}"),
                Value::Unsigned(size),
            );
            put(
                &format!("attention.value_length{ending}"),
                Value::Unsigned(size),
            );
        }
    }
    let heads = config.whole("num_key_value_heads")?.unwrap_or(0) as i64;
    let same = config.boolean("attention_k_eq_v")?.unwrap_or(false);
    let global = config.whole("num_global_key_value_heads")?.filter(|_| same);
    let global = global.map_or(heads, |heads| heads as i64);
    let heads = windowed.iter().map(|&has| if has { heads } else { global });
    put("attention.head_count_kv", Value::Integers(heads.collect()));
    let shared = config.whole("num_kv_shared_layers")?.unwrap_or(0);
    let own = (windowed.len() as u64).saturating_sub(shared) as usize;
    let width = config.whole("intermediate_size")?.unwrap_or(0) as i64;
    if config.boolean("use_double_wide_mlp")?.unwrap_or(false) {
        let width = |layer| {
            if layer < own {
                width
            } else {
                width.saturating_mul(2)
            }
        };
        let widths = (0..windowed.len()).map(width).collect();
        put("feed_forward_length", Value::Integers(widths));
    }
    Ok(all)
}

/// Query heads of each layer, where they are listed.
fn heads(config: &Object, row: &Row, layers: u64) -> Result<BTreeMap<String, Value>> {
    let key = "num_attention_heads_per_layer";
    let Some(listed) = config.list(key)?.filter(|_| row.knows(key)) else {
        return Ok(BTreeMap::new());
    };
    let heads: Option<Vec<i64>> = listed.iter().map(serde_json::Value::as_i64).collect();
    let heads = heads.filter(|heads| heads.len() as u64 == layers);
    let heads = heads.ok_or_else(|| config.wrong(key, "a list with a number for each layer"))?;
    let name = format!("{}.attention.head_count", row.family);
    Ok([(name, Value::Integers(heads))].into())
}

fn flags(layers: &[bool]) -> Value {
    Value::Integers(layers.iter().map(|&flag| flag.into()).collect())
}

/// Positions that a layer with a window attends to.
fn window(config: &Object, row: &Row) -> Result<Option<u64>> {
    let window = config.whole("sliding_window")?;
    let switched = matches!(row.windows, Windows::Switched | Windows::Last);
    let on = config.boolean("use_sliding_window")?.unwrap_or(false);
    Ok(window.filter(|_| on || !switched))
}

/// Kind of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Attention to all positions.
    Full,
    /// Attention to a window.
    Sliding,
    /// Something else, as the row says.
    Other,
}

/// Kinds of layers that are listed.
fn listed(config: &Object, row: &Row, layers: u64) -> Result<Option<Vec<Kind>>> {
    let full = config.list("full_attn_idxs")?;
    let full = full.filter(|_| row.knows("full_attn_idxs") && config.get("layer_types").is_none());
    if let Some(full) = full {
        let is_full = |layer: u64| full.iter().any(|v| v.as_u64() == Some(layer));
        let kind = |layer| {
            if is_full(layer) {
                Kind::Full
            } else {
                Kind::Other
            }
        };
        return Ok(Some((0..layers).map(kind).collect()));
    }
    let Some(kinds) = config
        .list("layer_types")?
        .filter(|_| row.knows("layer_types"))
    else {
        return Ok(None);
    };
    if kinds.len() as u64 != layers {
        return Err(config.wrong("layer_types", "a list with a text for each layer"));
    }
    let windows = !matches!(row.windows, Windows::None);
    let chunks = matches!(row.windows, Windows::Chunks);
    let known = match row.others {
        Others::None if chunks => "only full_attention and chunked_attention are run here",
        Others::None => "only full_attention and sliding_attention are run here",
        Others::Conv => "only full_attention and conv are run here",
        Others::LinearAttention | Others::KeyDecays => {
            "only full_attention and linear_attention are run here"
        }
    };
    let kind = |kind: &serde_json::Value| match (kind.as_str(), row.others) {
        (Some("full_attention"), _) => Ok(Kind::Full),
        (Some("sliding_attention"), _) if windows && !chunks => Ok(Kind::Sliding),
        (Some("chunked_attention"), _) if chunks => Ok(Kind::Sliding),
        (Some("conv"), Others::Conv)
        | (Some("linear_attention"), Others::LinearAttention | Others::KeyDecays) => {
            Ok(Kind::Other)
        }
        _ => Err(config.unsupported("layer_types", known)),
    };
    kinds.iter().map(kind).collect::<Result<_>>().map(Some)
}

/// Layers that have a window where nothing lists them.
fn usual(config: &Object, row: &Row, layers: u64, rotated: Option<&[bool]>) -> Result<Vec<bool>> {
    let pattern = match config.whole("sliding_window_pattern")? {
        None => config.whole("_sliding_window_pattern")?,
        given => given,
    };
    let first = config.whole("max_window_layers")?.unwrap_or(0);
    let on = config.boolean("use_sliding_window")?.unwrap_or(false);
    let given = pattern.filter(|_| row.knows("sliding_window_pattern"));
    let has = |layer: u64| match row.windows {
        Windows::None | Windows::Listed => false,
        Windows::All | Windows::Switched => true,
        Windows::Last | Windows::From => layer >= first,
        Windows::WithoutRope => on && rotated.is_some_and(|rotated| !rotated[layer as usize]),
        Windows::AllBut(usual) => !(layer + 1).is_multiple_of(given.unwrap_or(usual)),
        Windows::AllButFrom0(usual) => !layer.is_multiple_of(given.unwrap_or(usual)),
        Windows::Chunks => rotated.is_some_and(|rotated| rotated[layer as usize]),
        Windows::AllButLast(usual) => layer + 1 < layers && !(layer + 1).is_multiple_of(usual),
    };
    if pattern == Some(0) {
        return Err(config.wrong("sliding_window_pattern", "a number above 0"));
    }
    Ok((0..layers).map(has).collect())
}

/// Layers whose queries and keys are rotated, where the architecture has some that are not.
fn rotated(config: &Object, row: &Row, layers: u64) -> Result<Option<Vec<bool>>> {
    if !row.knows("no_rope_layers") {
        return Ok(None);
    }
    let listed = config.list("no_rope_layers")?;
    if let Some(listed) = listed.filter(|listed| !listed.is_empty()) {
        // The list has a 1 for layers with RoPE, whatever its name says.
        let flags: Option<Vec<bool>> = listed.iter().map(|v| Some(v.as_i64()? != 0)).collect();
        let wrong = || config.wrong("no_rope_layers", "a list with a 0 or 1 for each layer");
        let flags = flags.filter(|flags| flags.len() as u64 == layers);
        return flags.map(Some).ok_or_else(wrong);
    }
    let every = config.whole("no_rope_layer_interval")?.unwrap_or(4);
    if every == 0 {
        return Err(config.wrong("no_rope_layer_interval", "a number above 0"));
    }
    Ok(Some(
        (1..=layers)
            .map(|number| !number.is_multiple_of(every))
            .collect(),
    ))
}
