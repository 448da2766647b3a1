//! Q5_1: 32 weights share a scale and a least value: w = d q + m, q of 5 bits, the fifth kept apart.

use bytemuck::pod_read_unaligned;

use super::{
    Format, HIGHS, Half, IN_BUFFERS_QPH, IN_TEXTURES_QPH, Plane, QUANTS, SCALES, half,
    pack_nibbles, part, random_block,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    m: Half,
    high: [u16; 2],
    quants: [u8; 16],
}
const _: () = assert!(size_of::<Block>() == 24);

pub static Q5_1: Format = Format {
    name: "q5_1",
    ggml: 7,
    block: 32,
    bytes: 24,
    planes: &[
        Plane {
            binding: QUANTS,
            halfwords: 8,
        },
        Plane {
            binding: SCALES,
            halfwords: 2,
        },
        Plane {
            binding: HIGHS,
            halfwords: 2,
        },
    ],
    decode,
    pack: |block, planes| {
        let b: Block = pod_read_unaligned(block);
        pack_nibbles(&b.quants, planes[0]);
        planes[1].copy_from_slice(&[b.d, b.m]);
        planes[2].copy_from_slice(&b.high);
    },
    random: |random, block| random_block(random, block, &[0, 2]),
    part: part("q5_1", include_str!("q5_1.wgsl"), IN_BUFFERS_QPH),
    textured: part("q5_1.texture", include_str!("q5_1.wgsl"), IN_TEXTURES_QPH),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, m) = (half(b.d), half(b.m));
    let high = u32::from(b.high[0]) | u32::from(b.high[1]) << 16;
    let fifth = |j: usize| f32::from((high >> j & 1) as u8) * 16.0;
    for (j, &byte) in b.quants.iter().enumerate() {
        w[j] = d * (f32::from(byte & 15) + fifth(j)) + m;
        w[j + 16] = d * (f32::from(byte >> 4) + fifth(j + 16)) + m;
    }
}
