//! Q8_0: 32 weights share a scale: w = d q, q a signed byte.

use bytemuck::pod_read_unaligned;

use super::{
    Format, Half, IN_BUFFERS_QS, IN_TEXTURES_QS, Plane, QUANTS, SCALES, half, part, random_block,
};

/// A block as files have it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Block {
    d: Half,
    quants: [i8; 32],
}
const _: () = assert!(size_of::<Block>() == 34);

pub static Q8_0: Format = Format {
    name: "q8_0",
    ggml: 8,
    block: 32,
    bytes: 34,
    planes: &[
        Plane {
            binding: QUANTS,
            halfwords: 16,
        },
        Plane {
            binding: SCALES,
            halfwords: 1,
        },
    ],
    decode,
    pack: |block, planes| {
        let b: Block = pod_read_unaligned(block);
        let pairs = b
            .quants
            .chunks_exact(2)
            .map(|q| u16::from_le_bytes([q[0].cast_unsigned(), q[1].cast_unsigned()]));
        planes[0]
            .iter_mut()
            .zip(pairs)
            .for_each(|(word, pair)| *word = pair);
        planes[1][0] = b.d;
    },
    random: |random, block| random_block(random, block, &[0]),
    part: part("q8_0", include_str!("q8_0.wgsl"), IN_BUFFERS_QS),
    textured: part("q8_0.texture", include_str!("q8_0.wgsl"), IN_TEXTURES_QS),
};

fn decode(block: &[u8], w: &mut [f32]) {
    let b: Block = pod_read_unaligned(block);
    let d = half(b.d);
    b.quants
        .iter()
        .zip(w)
        .for_each(|(&q, w)| *w = d * f32::from(q));
}
