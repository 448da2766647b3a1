//! Q5_1: 32 weights share a scale and a min: w = d q + m, q of 5 bits, the fifth kept apart.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{Half, fields, half, pack_fields, random_block},
    part,
    planes::QPH,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    m: Half,
    high: [u8; 4],
    quants: [u8; 16],
}
const _: () = assert!(size_of::<Block>() == 24);

pub static Q5_1: Format = Format {
    name: "q5_1",
    ggml: 7,
    block: 32,
    bytes: 24,
    planes: &[Plane::quants(16), Plane::scales(4, 1), Plane::qh(4)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0, 2], 0.05),
    part: part("q5_1", include_str!("q5_1.wgsl"), QPH),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, m) = (half(b.d), half(b.m));
    let (low, high) = (fields::<4, 16, 32>(&b.quants), fields::<1, 1, 32>(&b.high));
    for (i, w) in w.iter_mut().enumerate() {
        *w = d * f32::from(low[i] + 16 * high[i]) + m;
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&fields::<4, 16, 32>(&b.quants), &mut planes[0]);
    planes[1].copy_from_slice(bytemuck::bytes_of(&[b.d, b.m]));
    pack_fields::<1>(&fields::<1, 1, 32>(&b.high), &mut planes[2]);
}
