//! Experts in MXFP4 (OCP Microscaling Formats 1.0) as gpt-oss has them: codes of 32 weights, scales in a tensor beside them, and
//! rows of gates and ups that alternate. GGUF has a scale before its codes, and gates and ups apart.

use std::collections::BTreeMap;

use super::{
    super::{TensorInfo, packed::Packed, safetensors::Entry, types::TensorType},
    names,
    row::Row,
};
use crate::{Error, Result};

/// Bytes of the codes of a block.
const CODES: u64 = 16;

/// Ends of names, GGUF's names of what they hold, and which of how many rows each takes.
#[rustfmt::skip] // a table
const PARTS: &[(&str, &[(&str, u64)])] = &[
    ("mlp.experts.gate_up_proj", &[("ffn_gate_exps.weight", 0), ("ffn_up_exps.weight", 1)]),
    ("mlp.experts.down_proj",    &[("ffn_down_exps.weight", 0)]),
];

/// Halves of packed experts, by the name that both begin with.
#[derive(Default)]
pub(super) struct Halves(BTreeMap<String, [Option<Half>; 2]>);

/// Place of a half, and its shape.
type Half = (Place, Vec<u64>);

/// Begin of a half: the file, and the byte in it.
type Place = (usize, u64);

impl Halves {
    /// Takes codes or scales; false for anything else.
    pub fn take(&mut self, entry: &Entry, part: usize) -> Result<bool> {
        let mut ends = ["_blocks", "_scales"].iter().enumerate();
        let found = ends.find_map(|(half, end)| Some((half, entry.name.strip_suffix(end)?)));
        let Some((half, stem)) = found else {
            return Ok(false);
        };
        if !PARTS.iter().any(|(end, _)| stem.ends_with(end)) {
            return Ok(false);
        }
        let (offset, shape) = entry.bytes()?;
        let halves = self.0.entry(stem.to_owned()).or_default();
        if halves[half].replace(((part, offset), shape)).is_some() {
            return Err(Error::bad_file(format!(
                "tensor {} is there twice",
                entry.name
            )));
        }
        Ok(true)
    }

    /// The tensors that they make, and where each has its bytes.
    pub fn tensors(self, row: &Row) -> Result<Vec<(TensorInfo, Packed)>> {
        let mut all = Vec::new();
        for (stem, halves) in self.0 {
            let [Some((blocks, shape)), Some((scales, scale_shape))] = halves else {
                return Err(Error::bad_file(format!(
                    "{stem}_blocks and {stem}_scales must both be there; download the model again"
                )));
            };
            let wrong = || {
                Error::bad_file(format!(
                    "{stem}_blocks has the shape {shape:?} and {stem}_scales {scale_shape:?}, not those of experts"
                ))
            };
            let &[experts, rows, groups, CODES] = shape.as_slice() else {
                return Err(wrong());
            };
            let layer = names::layer(&stem, row).ok_or_else(wrong)?;
            let part = PARTS.iter().find(|(end, _)| stem.ends_with(end));
            let (_, parts) = part.ok_or_else(wrong)?;
            let step = parts.len() as u64;
            if scale_shape != [experts, rows, groups] || rows % step != 0 {
                return Err(wrong());
            }
            let block = TensorType::MXFP4.block_bytes();
            for &(name, first) in *parts {
                // In range: the halves lie in files, and are no smaller than a half of this.
                let bytes = experts * (rows / step) * groups * block;
                let tensor = TensorInfo {
                    name: format!("blk.{layer}.{name}"),
                    shape: vec![groups * 32, rows / step, experts],
                    kind: TensorType::MXFP4,
                    offset: 0,
                    bytes,
                    part: 0,
                };
                let packed = Packed {
                    blocks,
                    scales,
                    groups,
                    step,
                    first,
                };
                all.push((tensor, packed));
            }
        }
        Ok(all)
    }
}
