//! Q5_K: 256 weights share d and dmin, 32 of them s and m of 6 bits: w = d s q - dmin m, q of 5 bits, the fifth kept apart.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{fields, pack_fields, random_block},
    part,
    planes::QPH,
    q4_k::Scales,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    scales: Scales,
    high: [u8; 32],
    quants: [u8; 128],
}
const _: () = assert!(size_of::<Block>() == 176);

pub static Q5_K: Format = Format {
    name: "q5_k",
    ggml: 13,
    block: 256,
    bytes: 176,
    planes: &[Plane::quants(128), Scales::PLANE, Plane::qh(32)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0, 2], 0.001),
    part: part("q5_k", include_str!("q5_k.wgsl"), QPH),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (low, high) = (
        fields::<4, 32, 256>(&b.quants),
        fields::<1, 32, 256>(&b.high),
    );
    let q = std::array::from_fn(|i| low[i] + 16 * high[i]);
    b.scales.weights(&q, w);
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&fields::<4, 32, 256>(&b.quants), &mut planes[0]);
    b.scales.pack(&mut planes[1]);
    pack_fields::<1>(&fields::<1, 32, 256>(&b.high), &mut planes[2]);
}
