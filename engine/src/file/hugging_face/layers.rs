//! Layers that differ from each other: which attend to a window, and which are rotated, as each architecture's code in
//! `transformers` makes it of `config.json`.

use std::collections::BTreeMap;

use super::{
    super::Value,
    json::Object,
    rows::{Row, Windows},
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
    if matches!(row.windows, Windows::None) {
        return Ok(all);
    }
    let layers = config.whole("num_hidden_layers")?.unwrap_or(0);
    if layers > LAYERS_MAX {
        return Err(config.wrong("num_hidden_layers", "a number of layers"));
    }
    let rotated = rotated(config, row, layers)?;
    if let Some(rotated) = &rotated {
        all.insert("lantern.rotated_layers".into(), flags(rotated));
    }
    let window = window(config, row)?;
    let windowed = match listed(config, row, layers)? {
        Some(listed) => listed,
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
    all.insert("lantern.windowed_layers".into(), flags(&windowed));
    Ok(all)
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

/// Layers that `layer_types` gives a window.
fn listed(config: &Object, row: &Row, layers: u64) -> Result<Option<Vec<bool>>> {
    let Some(kinds) = config
        .list("layer_types")?
        .filter(|_| row.knows("layer_types"))
    else {
        return Ok(None);
    };
    if kinds.len() as u64 != layers {
        return Err(config.wrong("layer_types", "a list with a text for each layer"));
    }
    let windowed = |kind: &serde_json::Value| match kind.as_str() {
        Some("sliding_attention") => Ok(true),
        Some("full_attention") => Ok(false),
        _ => Err(config.unsupported(
            "layer_types",
            "only full_attention and sliding_attention are run here",
        )),
    };
    kinds.iter().map(windowed).collect::<Result<_>>().map(Some)
}

/// Layers that have a window where nothing lists them.
fn usual(config: &Object, row: &Row, layers: u64, rotated: Option<&[bool]>) -> Result<Vec<bool>> {
    let pattern = match config.whole("sliding_window_pattern")? {
        None => config.whole("_sliding_window_pattern")?,
        given => given,
    };
    let first = config.whole("max_window_layers")?.unwrap_or(0);
    let on = config.boolean("use_sliding_window")?.unwrap_or(false);
    let has = |layer: u64| match row.windows {
        Windows::None => false,
        Windows::All | Windows::Switched => true,
        Windows::Last => layer >= first,
        Windows::WithoutRope => on && rotated.is_some_and(|rotated| !rotated[layer as usize]),
        Windows::AllBut(usual) => {
            let given = pattern.filter(|_| row.knows("sliding_window_pattern"));
            !(layer + 1).is_multiple_of(given.unwrap_or(usual))
        }
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
    if let Some(listed) = config.list("no_rope_layers")? {
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
