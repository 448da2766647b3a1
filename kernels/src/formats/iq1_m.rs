//! IQ1_M: 256 weights share d, 16 of them s of 3 bits, 8 of them an offset: w = d (2 s + 1) (v ± 1/8), v as in IQ1_S. On the
//! GPU a weight takes 2.44 bits instead of 1.75.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    iq1_s::trits,
    pack::{Half, fields, half, pack_fields, random_block, random_half},
    part,
    planes::QSH,
};

/// A block as files have it: `high` has, of each eight weights, the upper three bits of their code below whether their offset
/// is negative; `scales` four s each, below four bits of d.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    codes: [u8; 32],
    high: [u8; 16],
    scales: [u16; 4],
}
const _: () = assert!(size_of::<Block>() == 56);

impl Block {
    fn d(&self) -> Half {
        let parts = self.scales.iter().enumerate();
        parts.fold(0, |d, (i, scales)| d | scales >> 12 << (4 * i))
    }

    /// s of each 16 weights.
    fn scales(&self) -> [u8; 16] {
        std::array::from_fn(|i| (self.scales[i / 4] >> (i % 4 * 3) & 7) as u8)
    }

    /// v + 1 of each weight.
    fn quants(&self) -> [u8; 256] {
        let high = fields::<4, 1, 32>(&self.high);
        trits(std::array::from_fn(|i| {
            u16::from(self.codes[i]) | u16::from(high[i] & 7) << 8
        }))
    }

    /// 1 of each eight weights whose offset is negative, else 0.
    fn offsets(&self) -> [u8; 32] {
        fields::<4, 1, 32>(&self.high).map(|high| high >> 3)
    }
}

pub static IQ1_M: Format = Format {
    name: "iq1_m",
    ggml: 29,
    block: 256,
    bytes: 56,
    planes: &[Plane::quants(64), Plane::scales(2, 1), Plane::qh(12)],
    decode,
    pack,
    random: |random, block| {
        random_block(random, block, &[], 0.0);
        let d = random_half(random, 0.03).to_bits();
        for (i, scales) in block[48..].chunks_exact_mut(2).enumerate() {
            scales[1] = scales[1] & 15 | ((d >> (4 * i) & 15) as u8) << 4;
        }
    },
    part: part("iq1_m", include_str!("iq1_m.wgsl"), QSH),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, s, q, offsets) = (half(b.d()), b.scales(), b.quants(), b.offsets());
    for (i, w) in w.iter_mut().enumerate() {
        let offset = if offsets[i / 8] == 0 { -0.875 } else { -1.125 };
        *w = d * f32::from(2 * s[i / 16] + 1) * (f32::from(q[i]) + offset);
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<2>(&b.quants(), &mut planes[0]);
    planes[1].copy_from_slice(&b.d().to_le_bytes());
    let (offsets, scales) = planes[2].split_at_mut(4);
    for (byte, eights) in offsets.iter_mut().zip(b.offsets().chunks_exact(8)) {
        *byte = eights.iter().rev().fold(0, |bits, bit| bits << 1 | bit);
    }
    for (byte, s) in scales.iter_mut().zip(b.scales().chunks_exact(2)) {
        *byte = s[0] | s[1] << 4;
    }
}
