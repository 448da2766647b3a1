//! Q4_0: 32 weights share a scale: w = d (q - 8), q of 4 bits.

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

pub static Q4_0: Format = Format {
    name: "q4_0",
    ggml: 2,
    block: 32,
    bytes: 18,
    planes: &[Plane::quants(16), Plane::scales(2, 1)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0], 0.05),
    part: part("q4_0", include_str!("q4_0.wgsl"), QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let d = half(b.d);
    let q = fields::<4, 16, 32>(&b.quants);
    w.iter_mut()
        .zip(q)
        .for_each(|(w, q)| *w = d * (f32::from(q) - 8.0));
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&fields::<4, 16, 32>(&b.quants), &mut planes[0]);
    planes[1].copy_from_slice(&b.d.to_le_bytes());
}
