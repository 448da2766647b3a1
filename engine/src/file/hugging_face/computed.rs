//! Tensors that GGUF has in another form than `transformers`: numbers of activations as metadata, decays with their
//! exponential, biases of gates and of ups apart.

use std::collections::BTreeMap;

use half::{bf16, f16};

use super::{
    super::{Source, TensorInfo, Value, types::TensorType},
    forms::of_block,
    json::Object,
    row::{Places, Row},
};
use crate::{Error, Result};

/// Values of a tensor that is read at once at most; larger ones are none of these.
const VALUES_MAX: u64 = 1 << 22;

/// The name that a tensor of an activation's number has before it becomes metadata, behind that of its block.
pub(super) const XIELU: &str = "xielu.";
/// The name of logarithms of decays, before they become decays, behind that of its block.
const DECAY_LOG: &str = "ssm_a_log";

/// The name of biases of gates and ups that alternate, behind that of its block.
const BOTH: &str = "ffn_gate_up_exps.bias";

/// Values of a tensor whose file is here.
pub(super) fn values<'s>(
    tensor: &TensorInfo,
    sources: &'s [Source],
) -> Option<impl Iterator<Item = f32> + use<'s>> {
    let all = sources.get(tensor.part)?.all()?;
    let start = usize::try_from(tensor.offset).ok()?;
    let end = start.checked_add(usize::try_from(tensor.bytes).ok()?)?;
    let kind = tensor.kind;
    let value = move |bytes: &[u8]| match (kind, bytes) {
        (TensorType::F16, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
        (TensorType::BF16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
        (_, bytes) => f32::from_le_bytes(bytes.try_into().unwrap_or([0xff; 4])),
    };
    let stored = all
        .get(start..end)?
        .chunks_exact(kind.block_bytes() as usize);
    Some(stored.map(value))
}

/// A tensor that is in no file, and the source that has it.
pub(super) fn small(name: &str, values: &[f32], part: usize) -> (TensorInfo, Source) {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensor = TensorInfo {
        name: name.to_owned(),
        shape: vec![values.len() as u64],
        kind: TensorType::F32,
        offset: 0,
        bytes: bytes.len() as u64,
        part,
    };
    (tensor, Source::from_bytes(bytes))
}

/// All values of a small tensor.
pub(super) fn few(tensor: &TensorInfo, sources: &[Source]) -> Result<Vec<f32>> {
    let name = &tensor.name;
    let few = values(tensor, sources).filter(|_| tensor.weights() <= VALUES_MAX);
    let all: Vec<f32> = few.into_iter().flatten().collect();
    match all.iter().find(|v| !v.is_finite()) {
        Some(v) => Err(Error::bad_file(format!("{name} holds {v}"))),
        None if all.is_empty() => Err(Error::bad_file(format!("{name} has too many values"))),
        None => Ok(all),
    }
}

/// Takes out what becomes metadata, a number for each layer.
pub(super) fn numbers(
    tensors: &mut Vec<TensorInfo>,
    sources: &[Source],
) -> Result<BTreeMap<String, Value>> {
    let mut all: BTreeMap<String, BTreeMap<u32, f64>> = BTreeMap::new();
    for tensor in tensors.iter() {
        let Some((layer, name)) = of_block(&tensor.name).filter(|(_, n)| n.starts_with(XIELU))
        else {
            continue;
        };
        let value = few(tensor, sources)?[0];
        all.entry(name.to_owned())
            .or_default()
            .insert(layer, value.into());
    }
    tensors.retain(|tensor| !of_block(&tensor.name).is_some_and(|(_, n)| n.starts_with(XIELU)));
    // Up to the first layer that has none; who reads them says so.
    let listed = |layers: BTreeMap<u32, f64>| {
        let each = (0..)
            .zip(layers)
            .take_while(|(number, (layer, _))| number == layer);
        Value::Floats(each.map(|(_, (_, value))| value).collect())
    };
    Ok(all
        .into_iter()
        .map(|(name, layers)| (name, listed(layers)))
        .collect())
}

/// Puts what is computed of logarithms in their place.
pub(super) fn decays(tensors: &mut [TensorInfo], sources: &mut Vec<Source>) -> Result<()> {
    for tensor in tensors {
        let Some((layer, _)) = of_block(&tensor.name).filter(|(_, name)| *name == DECAY_LOG) else {
            continue;
        };
        let logs = few(tensor, sources)?;
        let decays: Vec<f32> = logs.iter().map(|&v| -f64::from(v).exp() as f32).collect();
        let name = format!("blk.{layer}.ssm_a");
        let shape = tensor.shape.clone();
        let (decays, source) = small(&name, &decays, sources.len());
        *tensor = TensorInfo { shape, ..decays };
        sources.push(source);
    }
    Ok(())
}

/// Leaves out the rows of positions before the first: those up to that of `pad_token_id`.
///
/// # Errors
/// [`Error::BadFile`] where there are no others.
pub(super) fn positions(config: &Object, row: &Row, tensors: &mut [TensorInfo]) -> Result<()> {
    let is = |tensor: &&mut TensorInfo| tensor.name == "position_embd.weight";
    let before = before_positions(config, row)?;
    let Some(tensor) = tensors.iter_mut().find(is).filter(|_| before > 0) else {
        return Ok(());
    };
    let rows = match tensor.shape.as_slice() {
        &[_, rows] if rows > before => rows,
        shape => {
            let name = &tensor.name;
            return Err(Error::bad_file(format!(
                "{name} (GGUF's name of it) has the shape {shape:?}, and no row behind that of pad_token_id"
            )));
        }
    };
    let each = tensor.bytes / rows;
    tensor.shape[1] = rows - before;
    tensor.offset += before * each;
    tensor.bytes -= before * each;
    Ok(())
}

/// Rows of positions before the first.
pub(super) fn before_positions(config: &Object, row: &Row) -> Result<u64> {
    let padding = config.whole("pad_token_id")?;
    let padding = padding.filter(|_| row.places == Places::Padded);
    Ok(padding.map_or(0, |padding| padding.saturating_add(1)))
}

/// Puts biases of gates and of ups in the place of those that alternate.
pub(super) fn halves(tensors: &mut Vec<TensorInfo>, sources: &mut Vec<Source>) -> Result<()> {
    let mut all = Vec::new();
    for tensor in tensors.iter() {
        let Some((layer, _)) = of_block(&tensor.name).filter(|(_, name)| *name == BOTH) else {
            continue;
        };
        let pair = match tensor.shape.as_slice() {
            &[both, experts] if both % 2 == 0 => Some((both, experts)),
            _ => None,
        };
        let Some((both, experts)) = pair else {
            let name = &tensor.name;
            return Err(Error::bad_file(format!(
                "{name} has no row of pairs for each expert"
            )));
        };
        let alternating = few(tensor, sources)?;
        for (start, part) in ["ffn_gate_exps", "ffn_up_exps"].iter().enumerate() {
            let half: Vec<f32> = alternating.iter().skip(start).step_by(2).copied().collect();
            let name = format!("blk.{layer}.{part}.bias");
            let (mut half, source) = small(&name, &half, sources.len());
            half.shape = vec![both / 2, experts];
            all.push(half);
            sources.push(source);
        }
    }
    tensors.retain(|tensor| of_block(&tensor.name).is_none_or(|(_, name)| name != BOTH));
    tensors.extend(all);
    Ok(())
}

/// Adds factors on the products of matrices that are there.
pub(super) fn factors(
    factors: &[(&str, Vec<f32>)],
    tensors: &mut Vec<TensorInfo>,
    sources: &mut Vec<Source>,
) {
    let mut all = Vec::new();
    for (layer, part) in tensors.iter().filter_map(|tensor| of_block(&tensor.name)) {
        let stem = part.strip_suffix(".weight");
        let found = factors.iter().find(|(part, _)| Some(*part) == stem);
        if let Some((part, values)) = found {
            let (factor, source) =
                small(&format!("blk.{layer}.{part}.scale"), values, sources.len());
            all.push(factor);
            sources.push(source);
        }
    }
    tensors.extend(all);
}
