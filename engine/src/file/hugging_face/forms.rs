//! Tensors that GGUF has in another form: the other way round, cut apart, under another name, or in another shape with the same
//! numbers. Nothing is computed, and nothing is read yet.

use std::collections::{HashMap, HashSet};

use super::{
    super::{TensorInfo, Value, strided::Strided},
    row::{Cut, Decays, Row},
};
use crate::{Error, Result};

/// Puts the parts of tensors in their place; where each has its bytes.
pub(super) fn cut(row: &Row, tensors: &mut Vec<TensorInfo>) -> Result<HashMap<String, Strided>> {
    let mut strided = HashMap::new();
    let mut all = Vec::with_capacity(tensors.len());
    for tensor in tensors.drain(..) {
        let block = of_block(&tensor.name);
        let found = block.and_then(|(layer, part)| {
            let mut cuts = row.cuts.iter();
            Some((layer, cuts.find(|cut| cut.stored == part)?))
        });
        // One of another shape is refused where the model's tensors are looked up.
        match found {
            Some((layer, cut)) if (2..4).contains(&tensor.shape.len()) => {
                for (part, place) in cut.parts(&tensor, layer)? {
                    strided.insert(part.name.clone(), place);
                    all.push(part);
                }
            }
            _ => all.push(tensor),
        }
    }
    *tensors = all;
    Ok(strided)
}

impl Cut {
    /// The parts of a tensor of two dimensions or three.
    fn parts(&self, tensor: &TensorInfo, layer: u32) -> Result<Vec<(TensorInfo, Strided)>> {
        let (mut cols, mut rows) = (tensor.shape[0], tensor.shape[1]);
        if self.turned {
            std::mem::swap(&mut cols, &mut rows);
        }
        let count = self.into.len() as u64;
        if rows % count != 0 {
            let (name, shape) = (&tensor.name, &tensor.shape);
            return Err(Error::bad_file(format!(
                "{name} has the shape {shape:?}, of which {count} parts cannot be equal"
            )));
        }
        let (col_step, row_step) = if self.turned { (rows, 1) } else { (1, cols) };
        let size = tensor.kind.block_bytes();
        let part = |(number, name): (u64, &&str)| {
            let (first, row_step) = if self.alternating {
                (number * row_step, row_step * count)
            } else {
                (number * (rows / count) * row_step, row_step)
            };
            let place = Strided {
                part: tensor.part,
                offset: tensor.offset + first * size,
                size,
                cols,
                rows: rows / count,
                col_step,
                row_step,
                matrix_step: cols * rows,
            };
            let info = TensorInfo {
                name: format!("blk.{layer}.{name}"),
                shape: [&[cols, rows / count], &tensor.shape[2..]].concat(),
                kind: tensor.kind,
                offset: 0,
                bytes: tensor.bytes / count,
                part: 0,
            };
            (info, place)
        };
        Ok((0..).zip(self.into).map(part).collect())
    }
}

/// Calls a shared expert that has no others beside it what it then is, the MLP.
pub(super) fn shared_alone(tensors: &mut [TensorInfo], strided: &mut HashMap<String, Strided>) {
    let router = |tensor: &TensorInfo| {
        let (layer, part) = of_block(&tensor.name)?;
        (part == "ffn_gate_inp.weight").then_some(layer)
    };
    let routed: HashSet<u32> = tensors.iter().filter_map(router).collect();
    for tensor in tensors {
        let alone = of_block(&tensor.name).is_some_and(|(layer, _)| !routed.contains(&layer));
        if alone && tensor.name.contains("_shexp.") {
            let name = tensor.name.replace("_shexp.", ".");
            let place = strided.remove(&tensor.name);
            strided.extend(place.map(|place| (name.clone(), place)));
            tensor.name = name;
        }
    }
}

/// Gives the numbers of heads and groups of a state space the shapes that GGUF has for them: a column, and a row a group.
pub(super) fn reshape(
    row: &Row,
    metadata: &std::collections::BTreeMap<String, Value>,
    tensors: &mut [TensorInfo],
) {
    if !matches!(&row.scan, Some(scan) if matches!(scan.decays, Decays::Heads(_))) {
        return;
    }
    let groups = metadata.get(&format!("{}.ssm.group_count", row.family));
    let groups = match groups {
        Some(&Value::Unsigned(groups)) if groups > 0 => groups,
        _ => 1,
    };
    for tensor in tensors {
        let part = of_block(&tensor.name).map(|(_, part)| part);
        match (part, tensor.shape.as_slice()) {
            (Some("ssm_a" | "ssm_d"), &[heads]) => tensor.shape = vec![1, heads],
            (Some("ssm_norm.weight"), &[values]) if values % groups == 0 => {
                tensor.shape = vec![values / groups, groups];
            }
            _ => {}
        }
    }
}

/// The layer of a tensor, and its name within it.
pub(super) fn of_block(name: &str) -> Option<(u32, &str)> {
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((layer.parse().ok()?, rest))
}
