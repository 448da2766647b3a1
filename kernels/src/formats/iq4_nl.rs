//! IQ4_NL: 32 weights share a scale: w = d v, v one of 16 values that lie closer around 0.

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
    d: Half,
    quants: [u8; 16],
}
const _: () = assert!(size_of::<Block>() == 18);

/// Values that the four bits stand for, also in IQ4_XS.
pub(super) const VALUES: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

pub static IQ4_NL: Format = Format {
    name: "iq4_nl",
    ggml: 20,
    block: 32,
    bytes: 18,
    planes: &[Plane::quants(16), Plane::scales(2, 1)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0], 0.005),
    part: part("iq4_nl", include_str!("iq4_nl.wgsl"), QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let d = half(b.d);
    let q = fields::<4, 16, 32>(&b.quants);
    w.iter_mut()
        .zip(q)
        .for_each(|(w, q)| *w = d * f32::from(VALUES[usize::from(q)]));
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&fields::<4, 16, 32>(&b.quants), &mut planes[0]);
    planes[1].copy_from_slice(&b.d.to_le_bytes());
}
