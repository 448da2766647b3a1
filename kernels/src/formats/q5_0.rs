//! Q5_0: 32 weights share a scale: w = d (q - 16), q of 5 bits, the fifth kept apart.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Plane,
    pack::{Half, fields, half, pack_fields, random_block},
    part,
    planes::QSH,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    high: [u8; 4],
    quants: [u8; 16],
}
const _: () = assert!(size_of::<Block>() == 22);

pub static Q5_0: Format = Format {
    name: "q5_0",
    ggml: 6,
    block: 32,
    bytes: 22,
    planes: &[Plane::quants(16), Plane::scales(2, 1), Plane::qh(4)],
    decode,
    pack,
    random: |random, block| random_block(random, block, &[0], 0.05),
    part: part("q5_0", include_str!("q5_0.wgsl"), QSH),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let d = half(b.d);
    let (low, high) = (fields::<4, 16, 32>(&b.quants), fields::<1, 1, 32>(&b.high));
    for (i, w) in w.iter_mut().enumerate() {
        *w = d * (f32::from(low[i] + 16 * high[i]) - 16.0);
    }
}

fn pack(block: &[u8], planes: &mut [Vec<u8>]) {
    let b: Block = pod_read_unaligned(block);
    pack_fields::<4>(&fields::<4, 16, 32>(&b.quants), &mut planes[0]);
    planes[1].copy_from_slice(&b.d.to_le_bytes());
    pack_fields::<1>(&fields::<1, 1, 32>(&b.high), &mut planes[2]);
}
