//! Q4_1: 32 weights share a scale and a least value: w = d q + m, q of 4 bits.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Half, IN_BUFFERS_QP, IN_TEXTURES_QP, Plane, QUANTS, SCALES, half, pack_nibbles, part,
    random_block,
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
    planes: &[
        Plane {
            binding: QUANTS,
            halfwords: 8,
        },
        Plane {
            binding: SCALES,
            halfwords: 2,
        },
    ],
    decode,
    pack: |block, planes| {
        let b: Block = pod_read_unaligned(block);
        pack_nibbles(&b.quants, planes[0]);
        planes[1].copy_from_slice(&[b.d, b.m]);
    },
    random: |random, block| random_block(random, block, &[0, 2]),
    part: part("q4_1", include_str!("q4_1.wgsl"), IN_BUFFERS_QP),
    textured: part("q4_1.texture", include_str!("q4_1.wgsl"), IN_TEXTURES_QP),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let (d, m) = (half(b.d), half(b.m));
    for (j, &byte) in b.quants.iter().enumerate() {
        w[j] = d * f32::from(byte & 15) + m;
        w[j + 16] = d * f32::from(byte >> 4) + m;
    }
}
