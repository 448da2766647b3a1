//! Q4_0: 32 weights share a scale: w = d (q - 8), q of 4 bits.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Half, IN_BUFFERS_QS, IN_TEXTURES_QS, Plane, QUANTS, SCALES, half, pack_nibbles, part,
    random_block,
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
    planes: &[
        Plane {
            binding: QUANTS,
            halfwords: 8,
        },
        Plane {
            binding: SCALES,
            halfwords: 1,
        },
    ],
    decode,
    pack: |block, planes| {
        let b: Block = pod_read_unaligned(block);
        pack_nibbles(&b.quants, planes[0]);
        planes[1][0] = b.d;
    },
    random: |random, block| random_block(random, block, &[0]),
    part: part("q4_0", include_str!("q4_0.wgsl"), IN_BUFFERS_QS),
    textured: part("q4_0.texture", include_str!("q4_0.wgsl"), IN_TEXTURES_QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let d = half(b.d);
    for (j, &byte) in b.quants.iter().enumerate() {
        w[j] = d * (f32::from(byte & 15) - 8.0);
        w[j + 16] = d * (f32::from(byte >> 4) - 8.0);
    }
}
