//! Blocks of MXFP4 whose codes and scales lie apart, as they are put together when they are read.

use std::ops::Range;

use super::Source;
use crate::Result;

/// Bytes of a block's codes.
const CODES: usize = 16;
/// Bytes of a block as GGUF has it: the scale and the codes.
const BLOCK: u64 = 17;

/// A tensor of blocks, of every so many rows of what is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    /// Begin of the codes: the file, and the byte in it.
    pub blocks: (usize, u64),
    /// Begin of the scales: the file, and the byte in it.
    pub scales: (usize, u64),
    /// Blocks of a row.
    pub groups: u64,
    /// From a row to the next of the same tensor, in rows that are stored.
    pub step: u64,
    /// The first of those.
    pub first: u64,
}

impl Packed {
    /// Bytes of the tensor as GGUF has it.
    pub async fn read(&self, sources: &[Source], range: Range<u64>) -> Result<Vec<u8>> {
        let row_bytes = self.groups * BLOCK;
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        while at < range.end {
            let row = at / row_bytes;
            let end = range.end.min((row + 1) * row_bytes);
            let within = at - row * row_bytes..end - row * row_bytes;
            bytes.extend(self.row(sources, row, within).await?);
            at = end;
        }
        Ok(bytes)
    }

    /// Bytes of a row.
    async fn row(&self, sources: &[Source], row: u64, range: Range<u64>) -> Result<Vec<u8>> {
        let stored = row * self.step + self.first;
        let (first, end) = (range.start / BLOCK, range.end.div_ceil(BLOCK));
        let (start, count) = (stored * self.groups + first, end - first);
        let codes = CODES as u64;
        let (part, offset) = self.blocks;
        let blocks = sources[part]
            .read(offset + start * codes, count * codes)
            .await?;
        let (part, offset) = self.scales;
        let scales = sources[part].read(offset + start, count).await?;
        let all = scales.iter().zip(blocks.chunks_exact(CODES));
        let all: Vec<u8> = all
            .flat_map(|(&scale, codes)| [scale].into_iter().chain(in_halves(codes)))
            .collect();
        let skipped = (range.start - first * BLOCK) as usize;
        let length = (range.end - range.start) as usize;
        Ok(all[skipped..skipped + length].to_vec())
    }
}

/// Codes of neighbours, two in a byte, as codes of the first half with those of the second above them.
fn in_halves(codes: &[u8]) -> impl Iterator<Item = u8> {
    let code = |i: usize| codes[i / 2] >> (4 * (i % 2)) & 15;
    (0..CODES).map(move |i| code(i) | code(i + CODES) << 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_neighbours_go_into_halves() {
        let value = |i: u8| i % 16;
        let stored: Vec<u8> = (0..16)
            .map(|j| value(2 * j) | value(2 * j + 1) << 4)
            .collect();
        let halves: Vec<u8> = in_halves(&stored).collect();
        for (i, &byte) in (0..).zip(&halves) {
            assert_eq!((byte & 15, byte >> 4), (value(i), value(i + 16)));
        }
    }
}
