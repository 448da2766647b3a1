//! TQ2_0: 256 weights share a scale: w = d (q - 1), q of 2 bits, 3 of whose values models use.

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
    quants: [u8; 64],
    d: Half,
}
const _: () = assert!(size_of::<Block>() == 66);

pub static TQ2_0: Format = Format {
    name: "tq2_0",
    ggml: 35,
    block: 256,
    bytes: 66,
    planes: PLANES,
    decode,
    pack,
    random: |random, block| random_block(random, block, &[64], 0.05),
    part: part("tq2_0", include_str!("tq2_0.wgsl"), QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    weights(b.d, &fields::<2, 32, 256>(&b.quants), w);
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_weights(b.d, &fields::<2, 32, 256>(&b.quants), planes);
}

/// The packed form, also that of TQ1_0.
pub(super) const PLANES: &[Plane] = &[Plane::quants(64), Plane::scales(2, 1)];

pub(super) fn pack_weights(d: Half, q: &[u8; 256], planes: &mut [Vec<u8>]) {
    pack_fields::<2>(q, &mut planes[0]);
    planes[1].copy_from_slice(&d.to_le_bytes());
}

/// The weights, from their integers.
pub(super) fn weights(d: Half, q: &[u8; 256], w: &mut [f32]) {
    let d = half(d);
    w.iter_mut()
        .zip(q)
        .for_each(|(w, &q)| *w = d * (f32::from(q) - 1.0));
}
