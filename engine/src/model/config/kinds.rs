//! Layers of each kind: those with a window, without rotation, with a recurrent state, without keys of their own.

use crate::{
    Error, Result, Unsupported,
    file::Value,
    graph::Mask,
    model::{
        families::{Family, Recurrent, Sight, Unrotated, Windows},
        keys::Keys,
    },
};

/// Whether rows attend to those before them alone: as the file says, or as the family has it.
///
/// # Errors
/// [`Error::Unsupported`] where the family's layers have states or windows of the past, and the file wants what follows, or
/// the other way round.
pub(super) fn causal(keys: &Keys, family: &Family, windows: &[Option<u32>]) -> Result<bool> {
    let causal = keys.boolean("attention.causal")?;
    let causal = causal.unwrap_or(family.sight != Sight::Both);
    let windowed = windows.iter().any(Option::is_some);
    let other = windowed && causal == (family.sight == Sight::Both);
    if other || !causal && family.recurrent != Recurrent::None {
        let (key, has) = (keys.key("attention.causal"), family.name);
        return Err(Error::unsupported(
            Unsupported::Setting,
            format!("metadata {key} is {causal}, which the layers of {has} are not run with here"),
        ));
    }
    Ok(causal)
}

/// Positions that a layer with this window, or without one, attends to.
pub(super) fn mask(family: &Family, causal: bool, window: Option<u32>) -> Mask {
    match (causal, window) {
        (true, None) => Mask::Causal,
        (true, Some(window)) if family.sight == Sight::Chunked => Mask::Chunked(window),
        (true, Some(window)) => Mask::Window(window),
        (false, None) => Mask::None,
        (false, Some(window)) => Mask::Symmetric(window),
    }
}

/// Flags of layers that are all set but every so many of them.
fn all_but(interval: u32, layers: u32) -> Vec<bool> {
    (1..=layers)
        .map(|number| interval == 0 || !number.is_multiple_of(interval))
        .collect()
}

/// Layers with attention: those with its tensors, in families whose layers may have another mixer in its place or beside it.
pub(super) fn attending_layers(keys: &Keys, family: &Family, layers: u32) -> Vec<bool> {
    let attends = |layer: u32| {
        let has = |part: &str| {
            let name = format!("blk.{layer}.{part}.weight");
            keys.file.tensor(&name).is_some()
        };
        match family.recurrent {
            Recurrent::Mamba => has("attn_q") || has("attn_qkv"),
            Recurrent::Rwkv7 => false,
            _ => true,
        }
    };
    (0..layers).map(attends).collect()
}

/// Layers whose queries and keys are rotated: as the file lists them, or as the family has them.
pub(super) fn rotated_layers(
    keys: &Keys,
    family: &Family,
    windows: &[Option<u32>],
) -> Result<Vec<bool>> {
    let layers = windows.len();
    if keys.file.tensor("position_embd.weight").is_some() {
        return Ok(vec![false; layers]);
    }
    let listed = keys.flags("lantern.rotated_layers", layers as u32)?;
    if let Some(listed) = listed {
        return Ok(listed);
    }
    Ok(match family.unrotated {
        Unrotated::None => vec![true; layers],
        Unrotated::All => vec![false; layers],
        Unrotated::Untrained => {
            let trained = keys.boolean("rope.scaling.finetuned")?.unwrap_or(true);
            vec![trained; layers]
        }
        Unrotated::Every(interval) => all_but(interval, layers as u32),
        Unrotated::WithoutWindow => {
            let none = windows.iter().all(Option::is_none);
            windows.iter().map(|w| none || w.is_some()).collect()
        }
    })
}

/// Layers that have keys and values of their own: all, or all but the last.
pub(super) fn layers_with_keys(keys: &Keys, family: &Family, layers: u32) -> Result<u32> {
    if !family.shared_keys {
        return Ok(layers);
    }
    let shared = keys.optional("attention.shared_kv_layers")?.unwrap_or(0);
    // One layer of each kind must have some.
    let own = layers
        .checked_sub(shared)
        .filter(|&own| shared == 0 || own > 1);
    own.ok_or_else(|| {
        Error::bad_file(format!(
            "metadata {} is {shared}, and there are {layers} layers",
            keys.key("attention.shared_kv_layers")
        ))
    })
}

/// The last layer that has a window, or has none, of those with keys of their own.
pub(super) fn shared_layer(windows: &[Option<u32>], local: bool) -> Option<u32> {
    let found = windows.iter().rposition(|window| window.is_some() == local);
    found.map(|layer| layer as u32)
}

/// The window of each layer: as the file lists or counts those that have it, or as the family has them. Only families that
/// have windows are asked for GGUF's keys: llama.cpp does not read them in the others.
pub(super) fn windows(keys: &Keys, family: &Family, layers: u32) -> Result<Vec<Option<u32>>> {
    let listed = keys.flags("lantern.windowed_layers", layers)?;
    let none = || vec![None; layers as usize];
    if listed.is_none() && family.windows == Windows::None {
        return Ok(none());
    }
    let window = keys.optional("attention.sliding_window")?;
    let Some(window) = window.or(family.window) else {
        return Ok(none());
    };
    let windowed = match listed {
        Some(listed) => listed,
        None => windowed_layers(keys, family, layers)?,
    };
    let of = |has_window: bool| has_window.then_some(window);
    Ok(windowed.into_iter().map(of).collect())
}

fn windowed_layers(keys: &Keys, family: &Family, layers: u32) -> Result<Vec<bool>> {
    let (first, usual) = match family.windows {
        Windows::None => return Ok(vec![false; layers as usize]),
        Windows::All => return Ok(vec![true; layers as usize]),
        Windows::AllBut(interval) => (1, interval),
        Windows::AllButFrom0(interval) => (0, interval),
    };
    let key = keys.key("attention.sliding_window_pattern");
    if let Some(Value::Integers(_)) = keys.metadata().get(&key) {
        return Ok(keys.flags(&key, layers)?.unwrap_or_default());
    }
    let interval = keys.metadata().u32(&key)?.unwrap_or(usual);
    let numbers = first..first + layers;
    Ok(numbers
        .map(|n| interval == 0 || !n.is_multiple_of(interval))
        .collect())
}

/// Layers with a recurrent state: as the file lists them, or all but every so many, or those without key heads.
pub(super) fn recurrent_layers(
    keys: &Keys,
    family: &Family,
    kv_heads: &[u32],
) -> Result<Vec<bool>> {
    let layers = kv_heads.len() as u32;
    // Layers of models without attention have no key heads, either.
    if family.recurrent != Recurrent::DeltaNet {
        return Ok(kv_heads.iter().map(|&heads| heads == 0).collect());
    }
    let key = keys.key("attention.recurrent_layers");
    if let Some(listed) = keys.flags(&key, layers)? {
        return Ok(listed);
    }
    let interval = keys.optional("full_attention_interval")?.unwrap_or(4);
    // Blocks that draft have attention.
    let drafts = keys.optional("nextn_predict_layers")?.unwrap_or(0);
    let own = keys.required("block_count")?.saturating_sub(drafts);
    let all = all_but(interval, layers).into_iter().zip(0..);
    Ok(all
        .map(|(recurrent, layer)| recurrent && layer < own)
        .collect())
}
