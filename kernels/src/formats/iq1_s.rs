//! IQ1_S: 256 weights share d, 32 of them s of 3 bits and an offset: w = d (2 s + 1) (v ± 1/8), v of -1, 0, 1; a code of 11
//! bits stands for eight v. Packing resolves those, so that on the GPU a weight takes 2.19 bits instead of 1.56.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane, grids,
    pack::{Half, half, pack_fields, random_block},
    part,
    planes::QS,
};

/// A block as files have it; `high` has, of each 32 weights, the upper three bits of four codes, then s, then whether the
/// offset is negative.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    codes: [u8; 32],
    high: [u16; 8],
}
const _: () = assert!(size_of::<Block>() == 50);

impl Block {
    /// s of each group, and above it the bit that says that the offset is negative.
    fn scales(&self) -> [u8; 8] {
        self.high.map(|high| (high >> 12) as u8)
    }

    /// v + 1 of each weight.
    fn quants(&self) -> [u8; 256] {
        let high = |i: usize| self.high[i / 4] >> (i % 4 * 3) & 7;
        trits(std::array::from_fn(|i| {
            u16::from(self.codes[i]) | high(i) << 8
        }))
    }
}

pub static IQ1_S: Format = Format {
    name: "iq1_s",
    ggml: 19,
    block: 256,
    bytes: 50,
    planes: &[Plane::quants(64), Plane::scales(2, 3)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0], 0.03),
    part: part("iq1_s", include_str!("iq1_s.wgsl"), QS),
};

/// v + 1 of each weight from the codes of eights, also in IQ1_M.
pub(super) fn trits(codes: [u16; 32]) -> [u8; 256] {
    std::array::from_fn(|i| {
        let eight = grids::IQ1[usize::from(codes[i / 8])];
        (eight >> (i % 8 * 2) & 3) as u8
    })
}

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, s, q) = (half(b.d), b.scales(), b.quants());
    for (i, w) in w.iter_mut().enumerate() {
        let s = s[i / 32];
        let offset = if s < 8 { -0.875 } else { -1.125 };
        *w = d * f32::from(2 * (s & 7) + 1) * (f32::from(q[i]) + offset);
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<2>(&b.quants(), &mut planes[0]);
    let (d, scales) = planes[1].split_at_mut(2);
    d.copy_from_slice(&b.d.to_le_bytes());
    for (byte, s) in scales.iter_mut().zip(b.scales().chunks_exact(2)) {
        *byte = s[0] | s[1] << 4;
    }
}
