//! IQ4_XS: 256 weights share d, 32 of them s of 6 bits: w = d (s - 32) v, v one of the values of IQ4_NL.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    iq4_nl::VALUES,
    pack::{Half, fields, half, pack_fields, random_block},
    part,
    planes::QS,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    scales_high: [u8; 2],
    scales_low: [u8; 4],
    quants: [u8; 128],
}
const _: () = assert!(size_of::<Block>() == 136);

impl Block {
    /// s of each group.
    fn scales(&self) -> [u8; 8] {
        let (low, high) = (
            fields::<4, 1, 8>(&self.scales_low),
            fields::<2, 1, 8>(&self.scales_high),
        );
        std::array::from_fn(|i| low[i] | high[i] << 4)
    }
}

pub static IQ4_XS: Format = Format {
    name: "iq4_xs",
    ggml: 23,
    block: 256,
    bytes: 136,
    planes: &[Plane::quants(128), Plane::scales(2, 5)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0], 0.0003),
    part: part("iq4_xs", include_str!("iq4_xs.wgsl"), QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, s) = (half(b.d), b.scales());
    let q = fields::<4, 16, 256>(&b.quants);
    for (i, w) in w.iter_mut().enumerate() {
        let v = f32::from(VALUES[usize::from(q[i])]);
        *w = d * (f32::from(s[i / 32]) - 32.0) * v;
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&fields::<4, 16, 256>(&b.quants), &mut planes[0]);
    planes[1][..2].copy_from_slice(&b.d.to_le_bytes());
    planes[1][2..].copy_from_slice(&b.scales());
}
