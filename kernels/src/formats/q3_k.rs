//! Q3_K: 256 weights share d, 16 of them s of 6 bits: w = d (s - 32) (q - 4), q of 3 bits, the third kept apart.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{Half, fields, half, pack_fields, random_block},
    part,
    planes::QS,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    high: [u8; 32],
    quants: [u8; 64],
    scales: [u8; 12],
    d: Half,
}
const _: () = assert!(size_of::<Block>() == 110);

impl Block {
    /// s - 32 of each 16 weights: four low bits in the first eight bytes, two high ones in the last four.
    fn scales(&self) -> [i8; 16] {
        let (low, high) = self.scales.split_at(8);
        let (low, high) = (fields::<4, 8, 16>(low), fields::<2, 4, 16>(high));
        std::array::from_fn(|i| (low[i] | high[i] << 4).cast_signed() - 32)
    }
}

pub static Q3_K: Format = Format {
    name: "q3_k",
    ggml: 11,
    block: 256,
    bytes: 110,
    planes: &[Plane::quants(112), Plane::scales(2, 1)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[108], 0.005),
    part: part("q3_k", include_str!("q3_k.wgsl"), QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, s) = (half(b.d), b.scales());
    let (low, high) = (
        fields::<2, 32, 256>(&b.quants),
        fields::<1, 32, 256>(&b.high),
    );
    for (i, w) in w.iter_mut().enumerate() {
        *w = d * f32::from(s[i / 16]) * (f32::from(low[i] + 4 * high[i]) - 4.0);
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    let (quants, rest) = planes[0].split_at_mut(64);
    let (high, scales) = rest.split_at_mut(32);
    pack_fields::<2>(&fields::<2, 32, 256>(&b.quants), quants);
    pack_fields::<1>(&fields::<1, 32, 256>(&b.high), high);
    scales.copy_from_slice(bytemuck::bytes_of(&b.scales()));
    planes[1].copy_from_slice(&b.d.to_le_bytes());
}
