//! Q4_1: 32 weights share a scale and a min: w = d q + m, q of 4 bits.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{Half, fields, half, pack_fields, random_block},
    part,
    planes::QP,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    m: Half,
    quants: [u8; 16],
}
const _: () = assert!(size_of::<Block>() == 20);

pub static Q4_1: Format = Format {
    name: "q4_1",
    ggml: 3,
    block: 32,
    bytes: 20,
    planes: &[Plane::quants(16), Plane::scales(4, 1)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0, 2], 0.05),
    part: part("q4_1", include_str!("q4_1.wgsl"), QP),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, m) = (half(b.d), half(b.m));
    let q = fields::<4, 16, 32>(&b.quants);
    w.iter_mut()
        .zip(q)
        .for_each(|(w, q)| *w = d * f32::from(q) + m);
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&fields::<4, 16, 32>(&b.quants), &mut planes[0]);
    planes[1].copy_from_slice(bytemuck::bytes_of(&[b.d, b.m]));
}
